"""One client's connection: greets, decodes, answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.codec import Chunk, decode, decode_chunk, encode
from tapestry_protocol.errors import ErrorCode, ProtocolError, TapestryError
from tapestry_protocol.messages import Failed, Hello, Message, Welcome
from tapestry_protocol.sentences import Sentence, as_sentence

from ...checkpoints.catalogue import Catalogue
from ...checkpoints.left_out import sentences
from .outbox import Outbox, OutgoingMessage
from .throttle import Throttle

_SENTENCES_SINCE = 6
"""Before this version of the protocol every sentence travelled as it is read."""

_HELLO_WITHIN_S = 5.0
"""A client that has opened a connection says hello at once, or has no business here."""

_log = logging.getLogger("tapestry.server")


class Session:
    """A connection that has passed the handshake.

    receive    takes every message and chunk after the hello; may raise ProtocolError
    throttle   which all sessions pass with every message
    spoilt     takes a message whose picture cannot be read
    """

    def __init__(
        self,
        socket: ServerConnection,
        receive: Callable[[Message | Chunk], None],
        throttle: Throttle,
        spoilt: Callable[[Message], None],
    ) -> None:
        self._socket = socket
        self._receive = receive
        self._throttle = throttle
        self._spoilt = spoilt
        self._outbox = Outbox()

    def tell(self, outgoing: OutgoingMessage) -> None:
        """Send a message, after the pixels it refers to, as soon as the client takes it."""
        self._outbox.put(outgoing)

    async def greet(self, catalogue: Catalogue) -> bool:
        """Exchange hello and welcome; False when the client is not one of ours."""
        try:
            async with asyncio.timeout(_HELLO_WITHIN_S):
                check_hello(_decode(await self._socket.recv()))
        except (TimeoutError, ConnectionClosed):
            return False
        except TapestryError as error:
            await self._farewell(error)
            return False
        known = catalogue.models, catalogue.adapters.infos, sentences(catalogue.left_out)
        welcome = Welcome(PROTOCOL_VERSION, VERSION, *known, catalogue.upscalers)
        self.tell(OutgoingMessage(welcome))
        return True

    async def converse(self) -> None:
        """Receive and send until the connection ends."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, ProtocolError):
                await self._farewell(outcome)
            elif isinstance(outcome, Exception) and not isinstance(outcome, ConnectionClosed):
                raise outcome

    async def _read(self) -> None:
        while True:
            await self._outbox.wait_for_room()
            received = await self._socket.recv()
            await self._throttle.enter()
            self._receive(_decode(received))

    async def _write(self) -> None:
        while True:
            outgoing = await self._outbox.take()
            if outgoing.after is not None:
                await asyncio.wrap_future(outgoing.after)
            await self._throttle.enter()
            await self._send(outgoing)

    async def _send(self, outgoing: OutgoingMessage) -> None:
        text = outgoing.text
        if outgoing.picture is not None:
            frames = outgoing.picture.frames()
            try:
                # In a thread, because it may come from a disk.
                while (frame := await asyncio.to_thread(next, frames, None)) is not None:
                    await self._socket.send(frame)
            except OSError:
                # Damaged; or another connection has taken delivery, and it is known no more.
                self._spoilt(outgoing.message)
                return
        await self._socket.send(text)

    async def _farewell(self, error: TapestryError) -> None:
        """Say why, then close: after a protocol error nothing that follows can be trusted."""
        _log.info("a connection is closed: %s", error.code.value)
        with suppress(ConnectionClosed):
            await self._socket.send(encode(Failed("", error.code, error.message, error.advice)))
            await self._socket.close(CloseCode.POLICY_VIOLATION)


def check_hello(message: Message | Chunk) -> None:
    """Raises TapestryError when this is no hello, or that of another version of the protocol."""
    if not isinstance(message, Hello):
        raise ProtocolError("hello", "must come first")
    if message.protocol != PROTOCOL_VERSION:
        older = Sentence("plugin") if message.protocol < PROTOCOL_VERSION else Sentence("backend")
        sentences: tuple[Sentence, ...] = (
            Sentence(
                "The plugin ({plugin}) and the backend ({backend}) do not understand each other.",
                plugin=message.version,
                backend=VERSION,
            ),
            Sentence(
                "Update the {older}: install both from the same release, then restart Krita.",
                older=older,
            ),
        )
        if message.protocol < _SENTENCES_SINCE:  # it reads texts alone
            sentences = tuple(as_sentence(str(text)) for text in sentences)
        raise TapestryError(ErrorCode.VERSION, *sentences)


def _decode(frame: str | bytes) -> Message | Chunk:
    return decode(frame) if isinstance(frame, str) else decode_chunk(frame)
