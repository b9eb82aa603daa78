"""Long work cut into short turns of the event loop, so that Krita stays usable; no Qt."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Protocol, TypeVar

Value = TypeVar("Value")

TURN_S = 0.015
"""A turn takes on another piece of work for this long; a piece itself takes up to 20 ms."""


class Loop(Protocol):
    """What we need of an event loop."""

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call once after `delay_s` seconds (0: in the next turn); gives what cancels it."""
        ...


class Work:
    """A generator that is run piece by piece, in turns of the loop.

    finished takes what the generator returns; failed takes what it raises. One of them is called,
    once, unless the work is cancelled before.
    """

    def __init__(
        self,
        loop: Loop,
        pieces: Generator[None, None, Value],
        finished: Callable[[Value], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._loop = loop
        self._pieces = pieces
        self._finished = finished
        self._failed = failed
        self._cancel_turn = loop.call_later(0, self._turn)

    def cancel(self) -> None:
        """Stop where it is."""
        self._cancel_turn()
        self._pieces.close()

    def _turn(self) -> None:
        end = time.monotonic() + TURN_S
        try:
            while time.monotonic() < end:
                next(self._pieces)
        except StopIteration as stop:
            self._finished(stop.value)
        except Exception as error:  # noqa: BLE001  whoever waits for the work decides
            self._failed(error)
        else:
            self._cancel_turn = self._loop.call_later(0, self._turn)
