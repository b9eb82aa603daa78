"""Effects: what the queue wants sent, kept, started and stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tapestry_protocol.messages import Message, Request

from ..persistence.persist import Persist
from ..persistence.pixel_blob import PixelBlob


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
    """Have this worker run this job, with the help of others."""

    job_id: str
    request: Request
    blobs: Mapping[str, bytes]
    worker: int = 0
    helpers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Stop:
    """Have this worker stop this job."""

    job_id: str
    worker: int = 0


Effect = Persist | Send | Broadcast | Start | Stop
