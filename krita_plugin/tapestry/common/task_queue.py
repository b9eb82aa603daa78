"""Coroutines that run in short turns of Krita's event loop, so that Krita stays usable."""

from __future__ import annotations

import inspect
import time
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

Value = TypeVar("Value")

Work = Coroutine[Any, Any, Value]
"""The coroutine of an `async def`. It awaits other coroutines and the three functions below only:
there is no asyncio behind it."""

TURN_S = 0.015
"""Processor time of a turn, after which it ends at the next `give_way`. Not by the clock: while a
backend paints on all cores, that would count the backend's time. What lies between two awaits takes
up to 20 ms."""

LONGEST_TURN_S = 3 * TURN_S
"""Limit of a turn by the clock, for work that waits for Krita's threads."""

PAUSE_S = 0.003
"""Between two looks at something that others do: asking all the time would slow them down."""


async def give_way() -> None:
    """End the turn here if its time is over."""
    await _wait(None)


async def next_turn() -> None:
    """End the turn here in any case: what comes next takes long, or what came before did."""
    await _wait(0)


async def pause(seconds: float = PAUSE_S) -> None:
    """Go on after this time; for asking again and again whether others are done."""
    await _wait(seconds)


@types.coroutine
def _wait(delay_s: float | None) -> Generator[float | None, None, None]:
    yield delay_s


class Loop(Protocol):
    """What we need of an event loop."""

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call once after `delay_s` seconds (0: in the next turn); gives what cancels it."""
        ...


class Task:
    """A coroutine that runs in turns of the loop.

    finished   is called with what the coroutine returns
    failed     is called with the exception that it raises

    One of them is called, once, unless the task is cancelled before. Some of Krita's calls turn its
    event loop inside, so that a coroutine may be cancelled while it runs: then it ends at its next
    await.
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
        """End the coroutine at its current await; neither callback is called."""
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
    """Run a coroutine to its next await; for how many seconds it waits, None for `give_way`.

    Raises StopIteration with its value when it is done.
    """
    return work.send(None)


def _turn_time() -> Callable[[], bool]:
    """A function that says whether the turn that begins now may go on."""
    worked_s, passed_s = time.thread_time() + TURN_S, time.monotonic() + LONGEST_TURN_S
    return lambda: time.thread_time() < worked_s and time.monotonic() < passed_s


class TaskQueue:
    """Coroutines that run one after the other, in the order in which they were added.

    failed   is called with what one of them raises; the next one runs all the same
    """

    def __init__(self, loop: Loop, failed: Callable[[Exception], None]) -> None:
        self._loop = loop
        self._failed = failed
        self._waiting: deque[Work[None]] = deque()
        self._task: Task | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs or waits."""
        return self._task is None

    def add(self, work: Work[None]) -> None:
        """Run this coroutine after all those that were added before."""
        self._waiting.append(work)
        if self._task is None:
            self._next()

    def close(self) -> None:
        """Cancel the one that runs, and drop those that wait."""
        for work in self._waiting:
            work.close()
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _next(self) -> None:
        self._task = None
        if self._waiting:
            work = self._waiting.popleft()
            self._task = Task(self._loop, work, lambda _: self._next(), self._fail)

    def _fail(self, error: Exception) -> None:
        try:
            self._failed(error)
        finally:
            self._next()
