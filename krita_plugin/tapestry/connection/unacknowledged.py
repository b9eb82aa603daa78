"""Jobs that were submitted and whose end has not come.

After a reconnect it knows what to ask, and what to answer when the server has lost a job.
"""

from __future__ import annotations

from dataclasses import dataclass

from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.messages import (
    Acknowledge,
    Cancel,
    Cancelled,
    Failed,
    Message,
    Result,
    Resume,
    Submit,
)

_AT_ONCE = 64
"""As many jobs as one message may ask about."""


@dataclass
class _Owed:
    """A job whose end has not been acknowledged.

    seen            the number of the last message about it
    is_abandoned    it is not wanted any more, and shall be cancelled
    is_kept         its picture is here; the server need not keep it
    is_sent_again   on this connection, because the server had lost it
    """

    submit: Submit
    seen: int = 0
    is_abandoned: bool = False
    is_kept: bool = False
    is_sent_again: bool = False


class UnacknowledgedJobs:
    """All jobs on their way, by id."""

    def __init__(self) -> None:
        self._owed: dict[str, _Owed] = {}

    def sent(self, message: Message) -> None:
        """We have told the server this."""
        if isinstance(message, Submit):
            self._owed[message.job_id] = _Owed(message)
        elif isinstance(message, Acknowledge):
            self._owed.pop(message.job_id, None)

    def abandon(self, job_id: str) -> None:
        """The job is not wanted any more: it is cancelled when there is a server again."""
        if job_id in self._owed:
            self._owed[job_id].is_abandoned = True

    def keep(self, job_id: str) -> None:
        """The picture of this job is kept: that is said when there is a server again."""
        if job_id in self._owed:
            self._owed[job_id].is_kept = True

    def abandon_all(self) -> None:
        """The message that there is no backend was shown."""
        for owed in self._owed.values():
            owed.is_abandoned = True

    def questions(self) -> list[Message]:
        """What to say on a new connection."""
        kept = [job_id for job_id, owed in self._owed.items() if owed.is_kept]
        for job_id in kept:
            del self._owed[job_id]
        cancels = [Cancel(job_id) for job_id, owed in self._owed.items() if owed.is_abandoned]
        wanted = [(job_id, owed) for job_id, owed in self._owed.items() if not owed.is_abandoned]
        resumes = []
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            ids, seen = zip(*((job_id, owed.seen) for job_id, owed in some), strict=True)
            resumes.append(Resume(ids, seen))
        for owed in self._owed.values():
            owed.is_sent_again = False
        return [*map(Acknowledge, kept), *cancels, *resumes]

    def answers(self, message: Message) -> list[Message] | None:
        """The answer to a message that is not shown to the user; None when it is."""
        owed = self._owed.get(getattr(message, "job_id", ""))
        if owed is None:
            return None
        sequence = getattr(message, "sequence", 0)
        if 0 < sequence <= owed.seen:
            return []  # heard before the connection was lost
        owed.seen = max(owed.seen, sequence)
        if owed.is_abandoned:
            if not isinstance(message, Result | Failed | Cancelled):
                return []
            del self._owed[owed.submit.job_id]
            return [Acknowledge(owed.submit.job_id)]
        is_lost = isinstance(message, Failed) and message.code is ErrorCode.UNKNOWN_JOB
        if is_lost and not owed.is_sent_again:
            owed.is_sent_again, owed.seen = True, 0
            return [owed.submit]
        return None
