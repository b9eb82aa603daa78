"""Work in pieces, done at once."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Value = TypeVar("Value")


def finish(pieces: Generator[None, None, Value]) -> Value:
    """What the work returns, done in one go."""
    while True:
        try:
            next(pieces)
        except StopIteration as stop:
            return stop.value
