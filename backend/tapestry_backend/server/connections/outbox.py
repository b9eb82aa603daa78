"""What a client has yet to be sent: in order, but a slow client is spared what is out of date."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property

from tapestry_protocol.codec import encode
from tapestry_protocol.messages import Backend, Message, Preview, Progress

from ..persistence.pixel_blob import PixelBlob

COALESCE_BEYOND = 64
"""A client that is this many messages behind gets only the latest progress of a job."""

MOST_WAITING = 256
"""A client that is this many messages behind is not listened to until it has read some."""


@dataclass(frozen=True)
class OutgoingMessage:
    """A message, the picture that goes before it, and what must be written down before both."""

    message: Message
    picture: PixelBlob | None = None
    after: Future[None] | None = None

    @cached_property
    def text(self) -> str:
        """The text frame, made once for all clients; raises ProtocolError out of its limits."""
        return encode(self.message)


class Outbox:
    """A queue of messages. Of a job's previews and the worker's states, only the latest waits."""

    def __init__(self) -> None:
        self._waiting: deque[OutgoingMessage] = deque()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, outgoing: OutgoingMessage) -> None:
        """Add a message."""
        message = outgoing.message
        if isinstance(message, Preview | Backend) or (
            isinstance(message, Progress) and len(self._waiting) >= COALESCE_BEYOND
        ):
            self._drop_outdated(message)
        self._waiting.append(outgoing)
        self._changed.set()

    async def take(self) -> OutgoingMessage:
        """The next message; waits for it."""
        while not self._waiting:
            await self._change()
        outgoing = self._waiting.popleft()
        self._changed.set()
        return outgoing

    async def wait_for_room(self) -> None:
        """Wait while too much is waiting."""
        while len(self._waiting) >= MOST_WAITING:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _drop_outdated(self, newer: Message) -> None:
        """Forget what says the same as the newer message, about the same job."""
        subject = type(newer), getattr(newer, "job_id", "")
        for older in self._waiting:
            if (type(older.message), getattr(older.message, "job_id", "")) == subject:
                self._waiting.remove(older)
                return
