"""Many clients at once in one event loop, each with a connection of its own."""

import asyncio
import time
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect

from tapestry_backend.workers.channel import Delivery, Inbox
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.codec import encode
from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.limits import MAX_FRAME_BYTES
from tapestry_protocol.messages import (
    Acknowledge,
    Cancelled,
    Failed,
    Hello,
    Message,
    Request,
    Result,
    Submit,
)
from tests.server.client import Server


@dataclass
class Member:
    """One client of the crowd.

    results    job id -> how many pictures came for it
    ended_at   when each of them came
    refusals   how often the server was busy
    """

    socket: ClientConnection
    inbox: Inbox = field(default_factory=Inbox)
    results: dict[str, int] = field(default_factory=dict)
    ended_at: list[float] = field(default_factory=list)
    refusals: int = 0

    async def send(self, message: Message) -> None:
        await self.socket.send(encode(message))

    async def receive(self) -> Delivery:
        while True:
            delivery = self.inbox.take(await self.socket.recv())
            if delivery is not None:
                return delivery

    async def play(self, requests: dict[str, Request], at_once: int) -> None:
        """Have all of these painted, a few at once; try again when the server is busy."""
        waiting, open_ids = list(requests), set()
        while waiting or open_ids:
            while waiting and len(open_ids) < at_once:
                job_id = waiting.pop(0)
                open_ids.add(job_id)
                await self.send(Submit(job_id, requests[job_id]))
            message = (await self.receive()).message
            if isinstance(message, Failed) and message.code is ErrorCode.BUSY:
                self.refusals += 1
                open_ids.discard(message.job_id)
                waiting.append(message.job_id)
                await asyncio.sleep(0.05)
            elif isinstance(message, Result | Failed | Cancelled):
                assert isinstance(message, Result), message
                self.results[message.job_id] = self.results.get(message.job_id, 0) + 1
                self.ended_at.append(time.monotonic())
                open_ids.discard(message.job_id)
                await self.send(Acknowledge(message.job_id))


async def join(server: Server) -> Member:
    """Connect, and say hello."""
    info = server.info
    socket = await connect(
        f"ws://127.0.0.1:{info.port}/tapestry",
        additional_headers={"Authorization": f"Bearer {info.token}"},
        max_size=MAX_FRAME_BYTES,
        proxy=None,
        compression=None,
        ping_interval=None,
        close_timeout=0.1,
    )
    member = Member(socket)
    await member.send(Hello(PROTOCOL_VERSION, VERSION))
    return member
