"""One job: its states, and what may follow what. No queue, no messages of its own.

A job lives through these states; every end is kept until its client acknowledges it:

    WAITING --blobs complete--> QUEUED --start--> RUNNING --finish--> FINISHED
       |                          |  |               |  |----fail---> FAILED
       +---------cancel-----------+--|---------------|--------------> CANCELLED
                                     +--fail--> FAILED
                                                     +---cancel--> STOPPING --any end--> CANCELLED
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tapestry_protocol.messages import Message, Request


class State(Enum):
    """Where a job stands."""

    WAITING = auto()
    QUEUED = auto()
    RUNNING = auto()
    STOPPING = auto()
    FINISHED = auto()
    FAILED = auto()
    CANCELLED = auto()


class Event(Enum):
    """What can happen to a job."""

    BLOBS_COMPLETE = auto()
    START = auto()
    FINISH = auto()
    FAIL = auto()
    STOP = auto()
    CANCEL = auto()


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.WAITING: {Event.BLOBS_COMPLETE: State.QUEUED, Event.CANCEL: State.CANCELLED},
    State.QUEUED: {
        Event.START: State.RUNNING,
        Event.CANCEL: State.CANCELLED,
        Event.FAIL: State.FAILED,
    },
    State.RUNNING: {
        Event.FINISH: State.FINISHED,
        Event.FAIL: State.FAILED,
        Event.CANCEL: State.STOPPING,
    },
    State.STOPPING: {
        Event.FINISH: State.CANCELLED,
        Event.FAIL: State.CANCELLED,
        Event.STOP: State.CANCELLED,
        Event.CANCEL: State.STOPPING,
    },
    # A cancel that comes too late changes nothing: the client is told the end again.
    State.FINISHED: {Event.CANCEL: State.FINISHED},
    State.FAILED: {Event.CANCEL: State.FAILED},
    State.CANCELLED: {Event.CANCEL: State.CANCELLED},
}
"""What may follow what; anything else is a mistake of ours and raises KeyError."""

_ENDS = (State.FINISHED, State.FAILED, State.CANCELLED)


@dataclass
class Job:
    """A job and what its client has to know of it."""

    id: str
    request: Request
    client: int | None
    """Who hears of it: whoever submitted, resumed or cancelled it last, while connected."""
    state: State = State.WAITING
    last: Message | None = None
    """The last progress, or the end, for a client that asks again."""
    pixels: bytes | None = None
    """Of a finished job."""

    def change(self, event: Event) -> None:
        """Go on to the next state."""
        self.state = TRANSITIONS[self.state][event]

    @property
    def has_ended(self) -> bool:
        return self.state in _ENDS

    @property
    def is_active(self) -> bool:
        """The worker has it."""
        return self.state in (State.RUNNING, State.STOPPING)
