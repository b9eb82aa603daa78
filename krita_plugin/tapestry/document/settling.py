"""Waiting until Krita has drawn what was changed."""

from __future__ import annotations

import time
from collections.abc import Generator

from ..common.task_queue import PAUSE
from .canvas import Canvas

PATIENCE_S = 10.0
"""Krita draws the largest canvas in a second."""


def settled(canvas: Canvas) -> Generator[str, None, None]:
    """Wait until everything is shown, though not for ever.

    Krita 5.1 ends itself when a canvas is made smaller while such an update is under way.
    """
    end = time.monotonic() + PATIENCE_S
    while canvas.is_open and not canvas.is_settled and time.monotonic() < end:
        yield PAUSE


def drawn(canvas: Canvas) -> Generator[str | None, None, None]:
    """Show what was written, and wait for it; asked while it draws, Krita waits for that first."""
    yield from settled(canvas)
    if canvas.is_open:
        canvas.refresh()
    yield None
    yield from settled(canvas)
