"""The doorman: who waits at the door, who has to go, and who is held back."""

from tapestry_backend.server.doorman import MOST_FAILURES, MOST_PENDING, WITHIN_S, Doorman


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_as_many_as_allowed_may_wait() -> None:
    """Nobody has to go for the last of them."""
    doorman: Doorman[int] = Doorman()
    assert [doorman.arrive(number) for number in range(MOST_PENDING)] == [None] * MOST_PENDING
    assert doorman.pending == MOST_PENDING


def test_one_too_many_costs_the_oldest_its_place() -> None:
    """Not the newcomer, who may be honest; and whoever left in time costs nobody."""
    doorman: Doorman[int] = Doorman()
    for number in range(MOST_PENDING):
        doorman.arrive(number)
    assert doorman.arrive(100) == 0
    assert doorman.arrive(101) == 1
    doorman.leave(2)
    assert doorman.arrive(102) is None
    assert doorman.pending == MOST_PENDING


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
