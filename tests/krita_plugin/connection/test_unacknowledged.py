"""What the plugin asks after a reconnect, and what it does not hear twice."""

import pytest

from tapestry.connection.unacknowledged import UnacknowledgedJobs
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
def unacknowledged() -> UnacknowledgedJobs:
    """One job was submitted, and its first message has come."""
    unacknowledged = UnacknowledgedJobs()
    unacknowledged.sent(SUBMIT)
    assert unacknowledged.answers(Accepted("a", 0, 7)) is None
    return unacknowledged


def test_nothing_to_ask_without_a_job() -> None:
    """Before the first, and after the last."""
    assert UnacknowledgedJobs().questions() == []


def test_a_reconnect_asks_for_what_came_after_the_last_message(
    unacknowledged: UnacknowledgedJobs,
) -> None:
    """Of every job whose end was not acknowledged."""
    unacknowledged.sent(Submit("b", SUBMIT.request))
    assert unacknowledged.questions() == [Resume(("a", "b"), (7, 0))]
    unacknowledged.sent(Acknowledge("a"))
    assert unacknowledged.questions() == [Resume(("b",), (0,))]


def test_many_jobs_take_several_questions() -> None:
    """A message is bounded."""
    unacknowledged = UnacknowledgedJobs()
    for number in range(65):
        unacknowledged.sent(Submit(str(number), SUBMIT.request))
    assert [
        len(question.job_ids)
        for question in unacknowledged.questions()
        if isinstance(question, Resume)
    ] == [64, 1]


def test_earlier_messages_are_not_heard_again(unacknowledged: UnacknowledgedJobs) -> None:
    """A larger number is news."""
    assert unacknowledged.answers(Accepted("a", 0, 7)) == []
    assert unacknowledged.answers(Progress("a", "denoising", 1, 20, 9)) is None
    assert unacknowledged.answers(Progress("a", "denoising", 1, 20, 8)) == []
    assert unacknowledged.answers(Backend("lost")) is None
    assert unacknowledged.answers(Cancelled("another", 1)) is None


def test_a_job_that_the_server_lost_is_sent_again(unacknowledged: UnacknowledgedJobs) -> None:
    """Once on each connection; then the artist hears of it. Its numbers begin anew."""
    lost = Failed("a", ErrorCode.UNKNOWN_JOB, "?")
    for _ in range(2):
        assert unacknowledged.answers(lost) == [SUBMIT]
        assert unacknowledged.answers(Accepted("a", 0, 3)) is None
        assert unacknowledged.answers(lost) is None
        unacknowledged.questions()


def test_a_job_that_was_given_up_is_cancelled(unacknowledged: UnacknowledgedJobs) -> None:
    """It is not passed on; its end is acknowledged."""
    unacknowledged.abandon("a")
    unacknowledged.abandon("never")
    assert unacknowledged.questions() == [Cancel("a")]
    assert unacknowledged.answers(Progress("a", "denoising", 1, 20, 9)) == []
    assert unacknowledged.answers(Failed("a", ErrorCode.UNKNOWN_JOB, "?")) == [Acknowledge("a")]
    assert unacknowledged.questions() == []


def test_all_jobs_are_given_up_without_a_backend(unacknowledged: UnacknowledgedJobs) -> None:
    """Unless it is submitted again."""
    unacknowledged.abandon_all()
    unacknowledged.sent(SUBMIT)
    assert unacknowledged.questions() == [Resume(("a",), (0,))]


def test_what_is_kept_is_acknowledged_and_not_asked_for(unacknowledged: UnacknowledgedJobs) -> None:
    """Once, on the next connection."""
    unacknowledged.keep("a")
    unacknowledged.keep("never sent")
    assert unacknowledged.questions() == [Acknowledge("a")]
    assert unacknowledged.questions() == []
