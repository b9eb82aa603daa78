"""Stopping: by Ctrl-C, by a terminal that closes, by a signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDINGS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]
_SIGNALLED = 128
"""An exit status is this plus the number of the signal that ended a command."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, other signals end a command as Ctrl-C does: what is finished is kept, nothing halved.

    They raise KeyboardInterrupt with the exit status. One that is ignored (by nohup) stays so.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(_SIGNALLED + number)

    with _handled(stop, [each for each in _ENDINGS if signal.getsignal(each) is signal.SIG_DFL]):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, nothing stops a command: for the moment in which it keeps what it has."""
    with _handled(signal.SIG_IGN, [signal.SIGINT, *_ENDINGS]):
        yield


@contextmanager
def _handled(handler: Callable[..., Any] | signal.Handlers, numbers: list[int]) -> Iterator[None]:
    """Only the main thread receives signals, and only it may set handlers."""
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)
