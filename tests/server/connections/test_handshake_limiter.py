"""The handshake limiter: which connections wait, which are closed, and which are held back."""

from tapestry_backend.server.connections.handshake_limiter import (
    GRACE_S,
    MOST_AT_ONCE,
    MOST_FAILURES,
    MOST_PENDING,
    WITHIN_S,
    HandshakeLimiter,
)


class StoppedClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_as_many_as_allowed_may_wait() -> None:
    """None is closed for the last of them, however long they have been there."""
    clock = StoppedClock()
    limiter: HandshakeLimiter[int] = HandshakeLimiter(clock)
    assert [limiter.arrive(number) for number in range(MOST_PENDING)] == [[]] * MOST_PENDING
    clock.now = 100 * GRACE_S
    assert limiter.thin_out() == []
    assert limiter.pending == MOST_PENDING


def test_many_at_once_may_come_but_not_stay() -> None:
    """Those that came first go, once they have waited for too long; who left in time is no case."""
    clock = StoppedClock()
    limiter: HandshakeLimiter[int] = HandshakeLimiter(clock)
    for number in range(MOST_PENDING + 4):
        clock.now = number * GRACE_S / 100
        assert limiter.arrive(number) == []
    assert limiter.thin_out() == []
    limiter.leave(0)
    clock.now = 1.01 * GRACE_S
    assert limiter.thin_out() == [1]
    clock.now = 2 * GRACE_S
    assert limiter.thin_out() == [2, 3]
    assert limiter.pending == MOST_PENDING


def test_far_too_many_cost_the_oldest_its_place_at_once() -> None:
    """Not the newcomer, who may be honest."""
    limiter: HandshakeLimiter[int] = HandshakeLimiter(StoppedClock())
    for number in range(MOST_AT_ONCE):
        assert limiter.arrive(number) == []
    assert limiter.arrive(1000) == [0]
    assert limiter.arrive(1001) == [1]
    assert limiter.pending == MOST_AT_ONCE


def test_failures_are_counted_within_their_time() -> None:
    """The limit itself is still answered at once, one more is not, and time heals."""
    clock = StoppedClock()
    limiter: HandshakeLimiter[int] = HandshakeLimiter(clock)
    assert [limiter.refuse() for _ in range(MOST_FAILURES)] == [False] * MOST_FAILURES
    clock.now = WITHIN_S
    assert limiter.refuse()
    clock.now = 2 * WITHIN_S + 1
    assert not limiter.refuse()


def test_lost_patience_is_news_once() -> None:
    """And again after it had come back."""
    limiter: HandshakeLimiter[int] = HandshakeLimiter()
    said = [limiter.should_log_overload(too_many=many) for many in (False, True, True, False, True)]
    assert said == [False, True, False, False, True]
