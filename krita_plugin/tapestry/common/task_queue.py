"""Long work in short turns of the event loop, so that Krita stays usable."""

from __future__ import annotations

import inspect
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Protocol, TypeVar

Value = TypeVar("Value")

TURN_S = 0.015
"""A turn takes on another piece of work for this long, in processor time: while a backend paints on
all cores, the clock tells what others do. A piece itself takes up to 20 ms."""

LONGEST_TURN_S = 3 * TURN_S
"""The same by the clock: pieces may wait for Krita's threads."""

REST = "rest"
"""What a piece yields instead of None when the next one has to have a turn of its own."""

PAUSE = "pause"
"""What a piece yields that waits for something else: the next one asks again a little later."""

_PAUSE_S = 0.003
"""Asking all the time would take the processor from what is waited for."""


class Loop(Protocol):
    """What we need of an event loop."""

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call once after `delay_s` seconds (0: in the next turn); gives what cancels it."""
        ...


class Task:
    """A generator that is run piece by piece, in turns of the loop.

    finished takes what the generator returns; failed takes what it raises. One of them is called,
    once, unless the work is cancelled before.

    Some of Krita's calls let its event loop turn, so the work may be cancelled in the middle of a
    piece: then it ends with that piece.
    """

    def __init__(
        self,
        loop: Loop,
        pieces: Generator[str | None, None, Value],
        finished: Callable[[Value], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._loop = loop
        self._pieces = pieces
        self._finished = finished
        self._failed = failed
        self._is_cancelled = False
        self._cancel_turn = loop.call_later(0, self._turn)

    def cancel(self) -> None:
        """Stop where it is."""
        self._is_cancelled = True
        self._cancel_turn()
        if inspect.getgeneratorstate(self._pieces) != inspect.GEN_RUNNING:
            self._pieces.close()

    def _turn(self) -> None:
        said, has_time = None, _turn_time()
        try:
            while said is None and has_time() and not self._is_cancelled:
                said = next(self._pieces)
        except StopIteration as stop:
            if not self._is_cancelled:
                self._finished(stop.value)
        except Exception as error:  # noqa: BLE001  whoever waits for the work decides
            if not self._is_cancelled:
                self._failed(error)
        else:
            self._go_on(said)

    def _go_on(self, said: str | None) -> None:
        if self._is_cancelled:
            self._pieces.close()
            return
        delay_s = _PAUSE_S if said == PAUSE else 0
        self._cancel_turn = self._loop.call_later(delay_s, self._turn)


def _turn_time() -> Callable[[], bool]:
    """Asked whether a turn that begins now may go on."""
    worked_s, passed_s = time.thread_time() + TURN_S, time.monotonic() + LONGEST_TURN_S
    return lambda: time.thread_time() < worked_s and time.monotonic() < passed_s


class TaskQueue:
    """Works that are done one after the other, in the order in which they were given."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], Task]] = deque()
        self._work: Task | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return self._work is None

    def add(
        self,
        pieces: Generator[str | None, None, Value],
        finished: Callable[[Value], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Do this when everything before it is done; `finished` or `failed` is called, once.

        What `finished` raises goes to `failed`.
        """

        def finish(value: Value) -> None:
            try:
                finished(value)
            except Exception as error:  # noqa: BLE001  whoever waits for the work decides
                failed(error)
            finally:
                self._next()

        def fail(error: Exception) -> None:
            try:
                failed(error)
            finally:
                self._next()

        self._waiting.append(lambda: Task(self._loop, pieces, finish, fail))
        if self._work is None:
            self._next()

    def close(self) -> None:
        """Stop where it is."""
        self._waiting.clear()
        if self._work is not None:
            self._work.cancel()
            self._work = None

    def _next(self) -> None:
        self._work = self._waiting.popleft()() if self._waiting else None
