"""What an artist reads when the server itself has bad news about a job."""

from __future__ import annotations

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Failed, Remark
from tapestry_protocol.sentences import Sentence

from .job import MAX_TRIES


def refused(job_id: str, error: TapestryError) -> Failed:
    """A job that was not taken on."""
    return Failed(job_id, error.code, error.message, error.advice)


def conflict(job_id: str) -> Failed:
    """An id that stands for another request already."""
    return Failed(
        job_id,
        ErrorCode.CONFLICT,
        Sentence("Another job has this id already."),
        Sentence("Press the button again."),
    )


def unknown(job_id: str) -> Failed:
    """A job that was never here, was let go, or was lost with an earlier server."""
    return Failed(
        job_id,
        ErrorCode.UNKNOWN_JOB,
        Sentence("The backend does not know this job any more."),
        Sentence("Press the button again."),
    )


def lost_in_the_middle(job_id: str) -> Failed:
    """A job that was begun again and again, and whose worker died each time."""
    return Failed(
        job_id,
        ErrorCode.WORKER_LOST,
        Sentence(
            "The process that paints stopped {count} times in the middle of this picture.",
            count=MAX_TRIES,
        ),
        Sentence("Make the canvas smaller or use fewer regions; the backend's log says more."),
    )


def never_started(job_id: str) -> Failed:
    """A job that waits for a worker which dies before it is ready."""
    return Failed(
        job_id,
        ErrorCode.WORKER_LOST,
        Sentence("The process that paints could not be started."),
        Sentence("Run `python3 installer doctor`; the backend's log says what is wrong."),
    )


def delivered(job_id: str) -> Failed:
    """A job whose end has been acknowledged: it is not painted twice."""
    return Failed(
        job_id,
        ErrorCode.DELIVERED,
        Sentence("This picture was delivered already."),
        Sentence("Press the button again for another one."),
    )


def no_journal(error: OSError) -> Remark:
    """What an artist reads once when the disk does not take the journal."""
    reason = error.strerror or type(error).__name__
    return Remark(
        Sentence("Tapestry cannot write down its work ({reason}).", reason=reason),
        Sentence(
            "Pictures are painted as before, but one that is under way would be lost if the "
            "backend stopped: make room on the disk, then start Krita again."
        ),
    )
