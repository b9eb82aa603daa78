"""Long work in short turns of the event loop, so that Krita stays usable."""

from __future__ import annotations

import inspect
import time
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

Value = TypeVar("Value")

Work = Coroutine[Any, Any, Value]
"""What an `async def` gives. It awaits other work and the three functions below, nothing else: no
asyncio is behind it."""

TURN_S = 0.015
"""A turn takes on more work for this long, in processor time: while a backend paints on
all cores, the clock tells what others do. What comes between two waits takes up to 20 ms."""

LONGEST_TURN_S = 3 * TURN_S
"""The same by the clock: the work may wait for Krita's threads."""

PAUSE_S = 0.003
"""Asking all the time would take the processor from what is waited for."""


async def give_way() -> None:
    """End the turn here if its time is over."""
    await _wait(None)


async def next_turn() -> None:
    """Go on in another turn: what comes next takes long, or what came before did."""
    await _wait(0)


async def pause(seconds: float = PAUSE_S) -> None:
    """Go on later; to ask again and again for what others do."""
    await _wait(seconds)


@types.coroutine
def _wait(delay_s: float | None) -> Generator[float | None, None, None]:
    yield delay_s


_Finished = Callable[[Any], None]
_Failed = Callable[[Exception], None]


class Loop(Protocol):
    """What we need of an event loop."""

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call once after `delay_s` seconds (0: in the next turn); gives what cancels it."""
        ...


class Task:
    """A coroutine that is run in turns of the loop.

    finished takes what the coroutine returns; failed takes what it raises. One of them is called,
    once, unless the work is cancelled before.

    Some of Krita's calls let its event loop turn, so the work may be cancelled while it runs: then
    it ends where it awaits something next.
    """

    def __init__(
        self,
        loop: Loop,
        work: Work[Value],
        finished: Callable[[Value], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._loop = loop
        self._work = work
        self._finished = finished
        self._failed = failed
        self._is_cancelled = False
        self._cancel_turn = loop.call_later(0, self._turn)

    def cancel(self) -> None:
        """Stop where it is."""
        self._is_cancelled = True
        self._cancel_turn()
        if inspect.getcoroutinestate(self._work) != inspect.CORO_RUNNING:
            self._work.close()

    def _turn(self) -> None:
        delay_s, has_time = None, _turn_time()
        try:
            while delay_s is None and has_time() and not self._is_cancelled:
                delay_s = run_on(self._work)
        except StopIteration as stop:
            if not self._is_cancelled:
                self._finished(stop.value)
        except Exception as error:  # noqa: BLE001  the caller that waits for it decides
            if not self._is_cancelled:
                self._failed(error)
        else:
            self._go_on(delay_s or 0)

    def _go_on(self, delay_s: float) -> None:
        if self._is_cancelled:
            self._work.close()
        else:
            self._cancel_turn = self._loop.call_later(delay_s, self._turn)


def run_on(work: Work[Any]) -> float | None:
    """Run a coroutine to where it waits next, and say for how long: None while there is time.

    Raises StopIteration with its value when it is done.
    """
    return work.send(None)


def _turn_time() -> Callable[[], bool]:
    """Asked whether a turn that begins now may go on."""
    worked_s, passed_s = time.thread_time() + TURN_S, time.monotonic() + LONGEST_TURN_S
    return lambda: time.thread_time() < worked_s and time.monotonic() < passed_s


class TaskQueue:
    """Works that are done one after the other, in the order in which they were given."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Work[Any], _Finished, _Failed]] = deque()
        self._task: Task | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return self._task is None

    def add(self, work: Work[Value], finished: Callable[[Value], None], failed: _Failed) -> None:
        """Do this when everything before it is done; `finished` or `failed` is called, once.

        What `finished` raises goes to `failed`.
        """

        def finish(value: Value) -> None:
            try:
                finished(value)
            except Exception as error:  # noqa: BLE001  the caller that waits for it decides
                failed(error)
            finally:
                self._next()

        def fail(error: Exception) -> None:
            try:
                failed(error)
            finally:
                self._next()

        self._waiting.append((work, finish, fail))
        if self._task is None:
            self._next()

    def close(self) -> None:
        """Stop where it is."""
        for work, _finish, _fail in self._waiting:
            work.close()
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _next(self) -> None:
        self._task = Task(self._loop, *self._waiting.popleft()) if self._waiting else None
