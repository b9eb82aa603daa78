"""What the plugin asks after a reconnect, and what it does not hear twice."""

import pytest

from tapestry.jobs.unacknowledged import Underway
from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.messages import (
    Accepted,
    Acknowledge,
    Backend,
    Cancel,
    Cancelled,
    Failed,
    Progress,
    Request,
    Resume,
    Submit,
)

SUBMIT = Submit("a", Request("generate", 64, 64, prompt="sky"))


@pytest.fixture
def underway() -> Underway:
    """One job was submitted, and its first message has come."""
    underway = Underway()
    underway.sent(SUBMIT)
    assert underway.answers(Accepted("a", 0, 7)) is None
    return underway


def test_nothing_to_ask_without_a_job() -> None:
    """Before the first, and after the last."""
    assert Underway().questions() == []


def test_it_asks_for_what_came_after_the_last_message(underway: Underway) -> None:
    """Of every job whose end was not acknowledged."""
    underway.sent(Submit("b", SUBMIT.request))
    assert underway.questions() == [Resume(("a", "b"), (7, 0))]
    underway.sent(Acknowledge("a"))
    assert underway.questions() == [Resume(("b",), (0,))]


def test_many_jobs_take_several_questions() -> None:
    """A message is bounded."""
    underway = Underway()
    for number in range(65):
        underway.sent(Submit(str(number), SUBMIT.request))
    assert [len(question.job_ids) for question in underway.questions()] == [64, 1]


def test_what_came_before_is_not_heard_again(underway: Underway) -> None:
    """A larger number is news."""
    assert underway.answers(Accepted("a", 0, 7)) == []
    assert underway.answers(Progress("a", "denoising", 1, 20, 9)) is None
    assert underway.answers(Progress("a", "denoising", 1, 20, 8)) == []
    assert underway.answers(Backend("lost")) is None
    assert underway.answers(Cancelled("another", 1)) is None


def test_a_job_that_the_server_lost_is_sent_again(underway: Underway) -> None:
    """Once on each connection; then the artist hears of it. Its numbers begin anew."""
    lost = Failed("a", ErrorCode.UNKNOWN_JOB, "?")
    for _ in range(2):
        assert underway.answers(lost) == [SUBMIT]
        assert underway.answers(Accepted("a", 0, 3)) is None
        assert underway.answers(lost) is None
        underway.questions()


def test_a_job_that_was_given_up_is_cancelled(underway: Underway) -> None:
    """Nobody hears of it; its end is acknowledged."""
    underway.abandon("a")
    underway.abandon("never")
    assert underway.questions() == [Cancel("a")]
    assert underway.answers(Progress("a", "denoising", 1, 20, 9)) == []
    assert underway.answers(Failed("a", ErrorCode.UNKNOWN_JOB, "?")) == [Acknowledge("a")]
    assert underway.questions() == []


def test_without_a_backend_everything_is_given_up(underway: Underway) -> None:
    """Unless it is submitted again."""
    underway.abandon_all()
    underway.sent(SUBMIT)
    assert underway.questions() == [Resume(("a",), (0,))]


def test_what_is_kept_is_acknowledged_and_not_asked_for(underway: Underway) -> None:
    """Once, on the next connection."""
    underway.keep("a")
    underway.keep("never sent")
    assert underway.questions() == [Acknowledge("a")]
    assert underway.questions() == []
