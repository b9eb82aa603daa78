"""Waiting until Krita has drawn what was changed."""

from __future__ import annotations

import time

from ..common.task_queue import give_way, pause
from .canvas import Canvas

PATIENCE_S = 10.0
"""Krita draws the largest canvas in a second."""


async def settled(canvas: Canvas) -> None:
    """Wait until everything is shown, though not for ever.

    Krita 5.1 ends itself when a canvas is made smaller while such an update is under way.
    """
    end = time.monotonic() + PATIENCE_S
    while canvas.is_open and not canvas.is_settled and time.monotonic() < end:
        await pause()


async def drawn(canvas: Canvas) -> None:
    """Show what was written, and wait for it; asked while it draws, Krita waits for that first."""
    await settled(canvas)
    if canvas.is_open:
        canvas.refresh()
    await give_way()
    await settled(canvas)
