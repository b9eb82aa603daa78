"""When a worker is given up, by a clock that the test sets."""

from tapestry_backend.workers.watchdog import (
    LOADING_SILENCE_S,
    SILENCE_S,
    STAGE_S,
    STEP_S,
    TIMES_THE_MEAN,
    Watchdog,
)
from tapestry_protocol.messages import Backend, Heartbeat, Progress


def step(number: int, steps: int = 20) -> Progress:
    """A step that is done."""
    return Progress("a", "denoising", number, steps)


def busy(*at_s: float) -> Watchdog:
    """A worker whose steps were done at these seconds, and which says that it is alive."""
    watchdog = Watchdog(0)
    watchdog.hear(Backend("ready"), 0)
    watchdog.hear(Backend("busy"), 0)
    for number, now_s in enumerate(at_s, 1):
        watchdog.hear(step(number), now_s)
    return watchdog


def test_a_worker_that_starts_has_time() -> None:
    """Torch is large."""
    watchdog = Watchdog(0)
    watchdog.hear(Backend("loading"), 1)
    assert not watchdog.why_exhausted(LOADING_SILENCE_S)
    assert watchdog.why_exhausted(LOADING_SILENCE_S + 2) == "does not answer"


def test_a_worker_that_loads_a_model_has_time_too() -> None:
    """Its first step shows that it is done."""
    watchdog = busy()
    watchdog.hear(Progress("a", "loading", 0, 0), 1)
    assert not watchdog.why_exhausted(1 + LOADING_SILENCE_S)
    watchdog.hear(Progress("a", "encoding", 0, 0), 100)
    assert watchdog.why_exhausted(101 + SILENCE_S) == "does not answer"


def test_a_silent_worker_is_given_up() -> None:
    """Idle or not; a beat is enough."""
    watchdog = Watchdog(0)
    watchdog.hear(Backend("ready"), 0)
    watchdog.hear(Heartbeat(), 5)
    assert not watchdog.why_exhausted(5 + SILENCE_S)
    assert watchdog.why_exhausted(6 + SILENCE_S) == "does not answer"


def test_a_quick_job_that_stops_is_stuck_soon() -> None:
    """Though the worker's heart beats."""
    watchdog = busy(0.1, 0.2, 0.3)
    watchdog.hear(Heartbeat(), STEP_S)
    assert not watchdog.why_exhausted(STEP_S)
    assert watchdog.why_exhausted(STEP_S + 0.5) == "does not get on"


def test_a_slow_job_has_its_own_measure() -> None:
    """A step of a minute may be followed by one of ten."""
    watchdog = busy(60, 120, 180)
    limit_s = 60 * TIMES_THE_MEAN
    watchdog.hear(Heartbeat(), 180 + limit_s)
    assert not watchdog.why_exhausted(180 + limit_s)
    assert watchdog.why_exhausted(181 + limit_s) == "does not get on"


def test_what_cannot_be_compared_has_long() -> None:
    """The first step, and whatever follows the last one."""
    for watchdog in (busy(1), busy(*range(1, 21))):
        watchdog.hear(Heartbeat(), STAGE_S)
        assert not watchdog.why_exhausted(STAGE_S)
        watchdog.hear(Heartbeat(), STAGE_S + 100)
        assert watchdog.why_exhausted(STAGE_S + 100) == "does not get on"
    watchdog = busy(0.1, 0.2)
    watchdog.hear(Progress("a", "decoding", 0, 0), 0.3)
    watchdog.hear(Heartbeat(), 100)
    assert not watchdog.why_exhausted(100)


def test_a_worker_without_a_job_needs_no_progress() -> None:
    """It waits for one."""
    watchdog = busy(0.1, 0.2)
    watchdog.hear(Backend("ready"), 1)
    watchdog.hear(Heartbeat(), 10 * STAGE_S)
    assert not watchdog.why_exhausted(10 * STAGE_S)


def test_a_server_that_slept_blames_nobody() -> None:
    """It has heard nothing because it did not listen."""
    watchdog = busy(0.1, 0.2)
    watchdog.begin_again(1000)
    assert not watchdog.why_exhausted(1000 + STEP_S)
