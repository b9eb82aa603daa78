"""What the jobs want done by those who have a socket, workers and a disk; no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tapestry_protocol.messages import Message, Request

from ..persistence.journal_state import Record
from ..persistence.pixel_blob import PixelBlob


@dataclass(frozen=True)
class Persist:
    """Write this down; whatever is told after it in the same breath waits until that is done.

    blobs      input of a job that was accepted
    picture    of a job that has ended
    is_urgent  it must survive a power failure, too
    """

    record: Record
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    picture: PixelBlob | None = None
    is_urgent: bool = False


@dataclass(frozen=True)
class Send:
    """Send this message, and before it the pixels it refers to, to a client."""

    client: int
    message: Message
    picture: PixelBlob | None = None


@dataclass(frozen=True)
class Broadcast:
    """Send this message to every client."""

    message: Message


@dataclass(frozen=True)
class Start:
    """Have this worker run this job."""

    job_id: str
    request: Request
    blobs: Mapping[str, bytes]
    worker: int = 0


@dataclass(frozen=True)
class Stop:
    """Have this worker stop this job."""

    job_id: str
    worker: int = 0


Effect = Persist | Send | Broadcast | Start | Stop
