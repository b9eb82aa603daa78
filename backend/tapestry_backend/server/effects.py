"""What the jobs want done by those who have a socket and a worker; no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

from tapestry_protocol.messages import Message, Request


@dataclass(frozen=True)
class Tell:
    """Send this message, and before it the pixels it refers to, to a client."""

    client: int
    message: Message
    pixels: bytes | None = None


@dataclass(frozen=True)
class TellAll:
    """Send this message to every client."""

    message: Message


@dataclass(frozen=True)
class Start:
    """Have the worker run this job."""

    job_id: str
    request: Request
    blobs: dict[str, bytes]


@dataclass(frozen=True)
class Stop:
    """Have the worker stop this job."""

    job_id: str


Effect = Tell | TellAll | Start | Stop
