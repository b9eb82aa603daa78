"""What an artist reads when the server itself has bad news about a job."""

from __future__ import annotations

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Failed


def refused(job_id: str, error: TapestryError) -> Failed:
    """A job that was not taken on."""
    return Failed(job_id, error.code, error.message, error.advice)


def conflict(job_id: str) -> Failed:
    """An id that stands for another request already."""
    return Failed(
        job_id,
        ErrorCode.CONFLICT,
        "Another job has this id already.",
        "Press the button again.",
    )


def unknown(job_id: str) -> Failed:
    """A job that was never here, was let go, or was lost with an earlier server."""
    return Failed(
        job_id,
        ErrorCode.UNKNOWN_JOB,
        "The backend does not know this job any more.",
        "Press the button again.",
    )


def lost_in_the_middle(job_id: str) -> Failed:
    """A job whose worker died while it ran."""
    return Failed(
        job_id,
        ErrorCode.WORKER_LOST,
        "The process that paints stopped in the middle of this picture.",
        "It is being started again: press the button once more. If it stops again, make the "
        "canvas smaller; the backend's log says more.",
    )


def never_started(job_id: str) -> Failed:
    """A job that waits for a worker which dies before it is ready."""
    return Failed(
        job_id,
        ErrorCode.WORKER_LOST,
        "The process that paints could not be started.",
        "Run `python3 installer doctor`; the backend's log says what is wrong.",
    )
