"""Coroutines of the plugin, run without turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tapestry.common.task_queue import Work, run_on

Value = TypeVar("Value")


def finish(work: Work[Value], between: Callable[[], object] = lambda: None) -> Value:
    """What the work returns, done in one go; `between` is called wherever it waits."""
    while True:
        try:
            run_on(work)
        except StopIteration as stop:
            return stop.value
        between()
