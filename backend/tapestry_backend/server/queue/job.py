"""One job: its states, what may follow what, and what its client was sent. No queue.

A job lives through these states; every end is kept until its client acknowledges it:

    WAITING --blobs complete--> QUEUED --start--> RUNNING --finish--> FINISHED
       |                        |  |  ^            |  | |----fail---> FAILED
       |                        |  |  +-lose, yield +  |
       +---------cancel---------+--|------------------|-------------> CANCELLED
                                   +--fail--> FAILED  |
                                                      +-cancel-> STOPPING --any end--> CANCELLED
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import Enum, auto

from tapestry_protocol.messages import (
    Accepted,
    Cancelled,
    Failed,
    Message,
    Need,
    Preview,
    Progress,
    Request,
    Result,
    Submit,
)

from ..persistence.pixel_blob import PixelBlob

MAX_TRIES = 3
"""How often a job is begun: one that takes its worker with it three times will do so again."""


class JobState(Enum):
    """Where a job stands."""

    WAITING = auto()
    QUEUED = auto()
    RUNNING = auto()
    STOPPING = auto()
    FINISHED = auto()
    FAILED = auto()
    CANCELLED = auto()


class Event(Enum):
    """What can happen to a job; LOSE: its worker is gone; YIELD: another one goes first."""

    BLOBS_COMPLETE = auto()
    START = auto()
    LOSE = auto()
    YIELD = auto()
    FINISH = auto()
    FAIL = auto()
    STOP = auto()
    CANCEL = auto()


TRANSITIONS: dict[JobState, dict[Event, JobState]] = {
    JobState.WAITING: {Event.BLOBS_COMPLETE: JobState.QUEUED, Event.CANCEL: JobState.CANCELLED},
    JobState.QUEUED: {
        Event.START: JobState.RUNNING,
        Event.CANCEL: JobState.CANCELLED,
        Event.FAIL: JobState.FAILED,
    },
    JobState.RUNNING: {
        Event.LOSE: JobState.QUEUED,
        Event.YIELD: JobState.QUEUED,
        Event.FINISH: JobState.FINISHED,
        Event.FAIL: JobState.FAILED,
        Event.CANCEL: JobState.STOPPING,
    },
    JobState.STOPPING: {
        Event.FINISH: JobState.CANCELLED,
        Event.FAIL: JobState.CANCELLED,
        Event.STOP: JobState.CANCELLED,
        Event.CANCEL: JobState.STOPPING,
    },
    # A cancel that comes too late changes nothing: the client is sent the end again.
    JobState.FINISHED: {Event.CANCEL: JobState.FINISHED},
    JobState.FAILED: {Event.CANCEL: JobState.FAILED},
    JobState.CANCELLED: {Event.CANCEL: JobState.CANCELLED},
}
"""What may follow what; anything else is a bug and raises KeyError."""

_ENDS = (JobState.FINISHED, JobState.FAILED, JobState.CANCELLED)

_END_OF: dict[type[Message], JobState] = {
    Result: JobState.FINISHED,
    Failed: JobState.FAILED,
    Cancelled: JobState.CANCELLED,
}


Numbered = Need | Accepted | Progress | Preview | Result | Failed | Cancelled
"""The messages to a client about a job, each with a number of its own."""


@dataclass(eq=False)
class Job:
    """A job, and the state that its client needs.

    client     that receives its messages: the last to submit, resume or cancel it, while connected
    owner      the last client, also after it has left
    sequence   of the last message about it
    tries      how often it was begun
    is_kept    it is in the journal
    is_yielding    it was asked to give way, and goes on from where it is afterwards
    is_absent  it was brought back by the journal, and no client has asked for it since
    """

    id: str
    request: Request
    client: int | None
    owner: int = 0
    state: JobState = JobState.WAITING
    sequence: int = 0
    tries: int = 0
    is_kept: bool = False
    is_yielding: bool = False
    is_absent: bool = False
    ended_at_s: float = 0.0
    end: Numbered | None = None
    picture: PixelBlob | None = None
    _said: dict[bool, tuple[Numbered, PixelBlob | None]] = field(default_factory=dict)

    def change(self, event: Event) -> None:
        """Go on to the next state."""
        self.state = TRANSITIONS[self.state][event]

    @property
    def submit(self) -> Submit:
        """As its client sent it."""
        return Submit(self.id, self.request)

    @property
    def is_patient(self) -> bool:
        """Whether it lets painting go first, whenever that comes: it keeps what it has learned."""
        return self.request.task == "teach"

    @property
    def has_ended(self) -> bool:
        return self.state in _ENDS

    def attach(self, client: int) -> None:
        """Send its messages to this client from now on."""
        self.client = self.owner = client
        self.is_absent = False

    def numbered(self, message: Numbered, picture: PixelBlob | None = None) -> Numbered:
        """The message with the next number; it is remembered for a client that asks again.

        Of previews only the last one, of everything else only the last one as well.
        """
        self.sequence += 1
        message = dataclasses.replace(message, sequence=self.sequence)
        self._said[isinstance(message, Preview)] = message, picture
        return message

    def missed(self, seen: int) -> list[tuple[Numbered, PixelBlob | None]]:
        """What was said after the message that a client saw last, as far as it still matters."""
        said = [entry for entry in self._said.values() if entry[0].sequence > seen]
        return sorted(said, key=lambda entry: entry[0].sequence)

    def finish(self, end: Numbered, picture: PixelBlob | None, now_s: float) -> Numbered:
        """Take its end, which may be one that the journal kept; gives it with its number."""
        self._said.clear()
        self.end, self.picture, self.ended_at_s = end, picture, now_s
        self.state = _END_OF[type(end)]
        return self.numbered(end, picture)
