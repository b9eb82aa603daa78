"""The doorman: who waits at the door, who has to go, and who is held back."""

from tapestry_backend.server.connections.handshake_limiter import (
    GRACE_S,
    MOST_AT_ONCE,
    MOST_FAILURES,
    MOST_PENDING,
    WITHIN_S,
    Doorman,
)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_as_many_as_allowed_may_wait() -> None:
    """Nobody has to go for the last of them, however long they have been there."""
    clock = Clock()
    doorman: Doorman[int] = Doorman(clock)
    assert [doorman.arrive(number) for number in range(MOST_PENDING)] == [[]] * MOST_PENDING
    clock.now = 100 * GRACE_S
    assert doorman.thin_out() == []
    assert doorman.pending == MOST_PENDING


def test_many_at_once_may_come_but_not_stay() -> None:
    """Those that came first go, once they have waited for too long; who left in time is no case."""
    clock = Clock()
    doorman: Doorman[int] = Doorman(clock)
    for number in range(MOST_PENDING + 4):
        clock.now = number * GRACE_S / 100
        assert doorman.arrive(number) == []
    assert doorman.thin_out() == []
    doorman.leave(0)
    clock.now = 1.01 * GRACE_S
    assert doorman.thin_out() == [1]
    clock.now = 2 * GRACE_S
    assert doorman.thin_out() == [2, 3]
    assert doorman.pending == MOST_PENDING


def test_far_too_many_cost_the_oldest_its_place_at_once() -> None:
    """Not the newcomer, who may be honest."""
    doorman: Doorman[int] = Doorman(Clock())
    for number in range(MOST_AT_ONCE):
        assert doorman.arrive(number) == []
    assert doorman.arrive(1000) == [0]
    assert doorman.arrive(1001) == [1]
    assert doorman.pending == MOST_AT_ONCE


def test_failures_are_counted_within_their_time() -> None:
    """The limit itself is still answered at once, one more is not, and time heals."""
    clock = Clock()
    doorman: Doorman[int] = Doorman(clock)
    assert [doorman.refuse() for _ in range(MOST_FAILURES)] == [False] * MOST_FAILURES
    clock.now = WITHIN_S
    assert doorman.refuse()
    clock.now = 2 * WITHIN_S + 1
    assert not doorman.refuse()


def test_lost_patience_is_news_once() -> None:
    """And again after it had come back."""
    doorman: Doorman[int] = Doorman()
    said = [doorman.loses_patience(too_many=many) for many in (False, True, True, False, True)]
    assert said == [False, True, False, False, True]
