"""Long work in short turns."""

import inspect

import pytest

from tapestry.common import task_queue
from tapestry.common.task_queue import Task, TaskQueue, give_way, next_turn, pause
from tests.krita_plugin.fake_loop import FakeLoop


async def counting(seen: list[int], last: int) -> str:
    """Work that waits a few times."""
    for number in range(last):
        seen.append(number)
        await give_way()
    return "done"


def test_work_takes_as_many_turns_as_it_needs(monkeypatch) -> None:
    """With no time in a turn, nothing is done at all; then everything is."""
    loop, seen, results = FakeLoop(), [], []
    Task(loop, counting(seen, 3), results.append, results.append)
    assert seen == []
    loop.run()
    assert seen == [0, 1, 2]
    assert results == ["done"]


def test_work_may_ask_for_a_turn_or_for_a_while() -> None:
    """It goes on in the next turn, or only when time has passed."""
    loop, seen, results = FakeLoop(), [], []

    async def work() -> str:
        for wait in (give_way, next_turn, give_way, pause):
            seen.append(wait.__name__)
            await wait()
        return "done"

    Task(loop, work(), results.append, results.append)
    loop.turn()
    assert seen == ["give_way", "next_turn"]
    loop.run()
    assert (seen[2:], results) == (["give_way", "pause"], [])
    loop.run(1)
    assert results == ["done"]


def test_a_pause_is_as_long_as_it_is_asked_for() -> None:
    """In seconds."""
    loop, results = FakeLoop(), []
    Task(loop, pause(2.0), results.append, results.append)
    loop.run(1.9)
    assert results == []
    loop.run(0.2)
    assert results == [None]


@pytest.mark.parametrize(
    ("clock", "limit_s"),
    [("thread_time", task_queue.TURN_S), ("monotonic", task_queue.LONGEST_TURN_S)],
)
def test_a_turn_ends_when_its_time_is_over(monkeypatch, clock: str, limit_s: float) -> None:
    """What lies between two waits takes most of a turn: two fill one, of work or of waiting."""
    loop, seen, results = FakeLoop(), [], []
    moments = iter(range(1000))
    still = dict.fromkeys(("thread_time", "monotonic"), lambda: 0.0)
    for name, told in {**still, clock: lambda: next(moments) * limit_s * 0.75}.items():
        monkeypatch.setattr(task_queue.time, name, told)
    Task(loop, counting(seen, 5), results.append, results.append)
    loop.turn()
    assert seen == [0]
    loop.run()
    assert seen == [0, 1, 2, 3, 4]
    assert results == ["done"]


def test_a_long_task_has_a_turn_of_its_own() -> None:
    """What comes before and after it waits for others."""
    loop, seen = FakeLoop(), []

    async def work() -> None:
        for name in ("short", "long", "short again"):
            seen.append(name)
            await next_turn()

    Task(loop, work(), seen.append, seen.append)
    for number in range(4):
        loop.call_later(0, lambda number=number: seen.append(number))
    loop.run()
    assert seen == ["short", 0, 1, 2, 3, "long", "short again", None]


def test_cancelled_work_is_never_heard_of_again() -> None:
    """Neither its result nor its end."""
    loop, seen, results = FakeLoop(), [], []
    work = Task(loop, counting(seen, 3), results.append, results.append)
    work.cancel()
    loop.run()
    assert seen == []
    assert results == []


def test_an_exception_of_a_task_is_reported() -> None:
    """To the one who waits, not to the loop."""

    async def failing() -> None:
        await give_way()
        raise LookupError("gone")

    loop, failures = FakeLoop(), []
    Task(loop, failing(), failures.append, failures.append)
    loop.run()
    assert [str(failure) for failure in failures] == ["gone"]


async def failing() -> str:
    """Work that ends badly."""
    await give_way()
    raise ValueError("oops")


async def counted(seen: list[int], times: int) -> None:
    """The same without a value, as a queue wants it."""
    await counting(seen, times)


async def broken() -> None:
    """Work of a queue that ends badly."""
    await failing()


def test_a_queue_does_one_work_after_the_other() -> None:
    """Whatever becomes of those before."""
    loop, seen, failures = FakeLoop(), [], []
    queue = TaskQueue(loop, failures.append)
    queue.add(counted(seen, 2))
    queue.add(broken())
    queue.add(counted(seen, 1))
    assert not queue.is_idle
    loop.run()
    assert seen == [0, 1, 0]
    assert [str(error) for error in failures] == ["oops"]
    assert queue.is_idle


def test_a_queue_goes_on_when_what_is_told_fails() -> None:
    """Work may also be added from there."""
    loop, seen = FakeLoop(), []

    def failed(_error: Exception) -> None:
        queue.add(counted(seen, 1))
        raise RuntimeError("no notice")

    queue = TaskQueue(loop, failed)
    queue.add(broken())
    with pytest.raises(RuntimeError, match="no notice"):
        loop.run()
    loop.run()
    assert seen == [0]


def test_a_closed_queue_does_nothing_more() -> None:
    """Neither what it was doing nor what waits."""
    loop, seen, failures = FakeLoop(), [], []
    queue = TaskQueue(loop, failures.append)
    for _ in range(2):
        queue.add(counted(seen, 2))
    queue.close()
    loop.run()
    assert (seen, failures, queue.is_idle) == ([], [], True)


def test_work_may_be_cancelled_while_it_runs() -> None:
    """As when Krita lets its event loop turn inside a call: it ends there, and is not heard of."""
    loop, seen, told = FakeLoop(), [], []
    tasks: list[Task] = []

    async def work(count: int) -> str:
        try:
            for _ in range(count):
                tasks[-1].cancel()
                seen.append("work")
                await give_way()
            tasks[-1].cancel()
            return "done"
        finally:
            seen.append("end")

    for count, expected in ((0, ["end"]), (2, ["work", "end"])):
        tasks.append(Task(loop, work(count), told.append, told.append))
        loop.run()
        assert (seen, told) == (expected, [])
        seen.clear()


def test_what_was_given_and_never_begun_is_closed_as_well() -> None:
    """A coroutine that is lost is a warning of Python's, and so an error here."""
    queue = TaskQueue(FakeLoop(), lambda _: None)
    works = [counted([], 1) for _ in range(3)]
    for work in works:
        queue.add(work)
    queue.close()
    assert [inspect.getcoroutinestate(work) for work in works] == [inspect.CORO_CLOSED] * 3
