"""Long work in short turns."""

from collections.abc import Generator

import pytest

from tapestry.common import task_queue
from tapestry.common.task_queue import PAUSE, REST, Task, TaskQueue
from tests.krita_plugin.fake_loop import FakeLoop


def counting(seen: list[int], last: int) -> Generator[None, None, str]:
    """Work of a few pieces."""
    for number in range(last):
        seen.append(number)
        yield
    return "done"


def test_work_takes_as_many_turns_as_it_needs(monkeypatch) -> None:
    """With no time in a turn, nothing is done at all; then everything is."""
    loop, seen, results = FakeLoop(), [], []
    Task(loop, counting(seen, 3), results.append, results.append)
    assert seen == []
    loop.run()
    assert seen == [0, 1, 2]
    assert results == ["done"]


def test_a_piece_may_ask_for_a_turn_or_for_a_while() -> None:
    """The next one comes in the next turn, or only when time has passed."""
    loop, seen, results = FakeLoop(), [], []

    def pieces() -> Generator[str | None, None, str]:
        for said in (None, REST, None, PAUSE):
            seen.append(said)
            yield said
        return "done"

    Task(loop, pieces(), results.append, results.append)
    loop.turn()
    assert seen == [None, REST]
    loop.run()
    assert (seen, results) == ([None, REST, None, PAUSE], [])
    loop.run(1)
    assert results == ["done"]


@pytest.mark.parametrize(
    ("clock", "limit_s"),
    [("thread_time", task_queue.TURN_S), ("monotonic", task_queue.LONGEST_TURN_S)],
)
def test_a_turn_ends_when_its_time_is_over(monkeypatch, clock: str, limit_s: float) -> None:
    """Each piece takes most of a turn here, so two of them fill one: of work, or of waiting."""
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


def test_a_long_piece_has_a_turn_of_its_own() -> None:
    """What comes before and after it waits for others."""
    loop, seen = FakeLoop(), []

    def pieces() -> Generator[str | None, None, None]:
        for name in ("short", "long", "short again"):
            seen.append(name)
            yield task_queue.REST

    Task(loop, pieces(), seen.append, seen.append)
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


def test_what_is_raised_is_told() -> None:
    """To the one who waits, not to the loop."""

    def failing() -> Generator[None, None, None]:
        yield
        raise LookupError("gone")

    loop, failures = FakeLoop(), []
    Task(loop, failing(), failures.append, failures.append)
    loop.run()
    assert [str(failure) for failure in failures] == ["gone"]


def failing() -> Generator[None, None, str]:
    """Work that ends badly."""
    yield
    raise ValueError("oops")


def test_a_line_does_one_work_after_the_other() -> None:
    """Whatever becomes of those before."""
    loop, seen, told = FakeLoop(), [], []
    line = TaskQueue(loop)
    line.add(counting(seen, 2), told.append, told.append)
    line.add(failing(), told.append, lambda error: told.append(str(error)))
    line.add(counting(seen, 1), told.append, told.append)
    assert not line.is_idle
    loop.run()
    assert seen == [0, 1, 0]
    assert told == ["done", "oops", "done"]
    assert line.is_idle


def test_what_is_raised_at_the_end_is_told_and_the_line_goes_on() -> None:
    """Work may also be added from there."""
    loop, seen, told = FakeLoop(), [], []
    line = TaskQueue(loop)

    def broken(_value: str) -> None:
        line.add(counting(seen, 1), told.append, told.append)
        raise ValueError("oops")

    line.add(counting(seen, 1), broken, lambda error: told.append(str(error)))
    loop.run()
    assert told == ["oops", "done"]


def test_a_closed_line_does_nothing_more() -> None:
    """Neither what it was doing nor what waits."""
    loop, seen, told = FakeLoop(), [], []
    line = TaskQueue(loop)
    for _ in range(2):
        line.add(counting(seen, 2), told.append, told.append)
    line.close()
    loop.run()
    assert (seen, told, line.is_idle) == ([], [], True)


def test_work_may_be_cancelled_in_the_middle_of_a_piece() -> None:
    """As when Krita lets its event loop turn inside a call: it ends there, and is not heard of."""
    loop, seen, told = FakeLoop(), [], []
    works: list[Task] = []

    def pieces(count: int) -> Generator[None, None, str]:
        try:
            for _ in range(count):
                works[-1].cancel()
                seen.append("piece")
                yield
            works[-1].cancel()
            return "done"
        finally:
            seen.append("end")

    for count, expected in ((0, ["end"]), (2, ["piece", "end"])):
        works.append(Task(loop, pieces(count), told.append, told.append))
        loop.run()
        assert (seen, told) == (expected, [])
        seen.clear()
