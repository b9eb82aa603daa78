"""The listening sockets and the handshake: only a client with the token gets in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request as Handshake
from websockets.http11 import Response
from websockets.protocol import State

from tapestry_protocol.limits import MAX_FRAME_BYTES

from .access import find_refusal
from .handshake_limiter import GRACE_S, HOLD_S, HandshakeLimiter
from .listen_address import ListenAddress

_OPEN_TIMEOUT_S = 5.0
"""A handshake that is not finished by then is dropped."""

_PING_INTERVAL_S, _PING_TIMEOUT_S = 5.0, 15.0
"""A client that is gone without a word is noticed in 20 s; a busy Krita may be silent for 15."""

_CLOSE_TIMEOUT_S = 1.0
"""Seconds that a client may take to answer a close frame."""

_FRAMES_IN_ADVANCE = 4
"""Frames that a connection may have received and we have not read: at most 4 MiB of memory."""

_log = logging.getLogger("tapestry.server")

Converse = Callable[[ServerConnection], Awaitable[None]]


class Listener:
    """Where clients come in."""

    def __init__(self, place: ListenAddress, token: str) -> None:
        self._place = place
        self._token = token
        self._hosts: frozenset[str] = frozenset()
        self._limiter: HandshakeLimiter[ServerConnection] = HandshakeLimiter()

    @asynccontextmanager
    async def open(self, converse: Converse) -> AsyncIterator[int]:
        """Listen, and leave every client that is let in to `converse`; gives the port."""
        tls = self._place.tls()
        settings = {} if tls is None else {"ssl": tls, "ssl_handshake_timeout": _OPEN_TIMEOUT_S}
        sockets = self._place.open()
        port = sockets[0].getsockname()[1]
        self._hosts = self._place.hosts(port)
        async with AsyncExitStack() as opened:
            for socket in sockets:
                opened.callback(socket.close)
            for socket in sockets:
                await opened.enter_async_context(self._serve(converse, sock=socket, **settings))
            yield port

    def _serve(self, converse: Converse, **settings: Any) -> Any:
        return serve(
            converse,
            process_request=self._admit,
            create_connection=cast("type[ServerConnection]", partial(_Visitor, self._limiter)),
            compression=None,
            max_size=MAX_FRAME_BYTES,
            max_queue=_FRAMES_IN_ADVANCE,
            open_timeout=_OPEN_TIMEOUT_S,
            ping_interval=_PING_INTERVAL_S,
            ping_timeout=_PING_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            server_header=None,
            **settings,
        )

    async def _admit(self, visitor: ServerConnection, handshake: Handshake) -> Response | None:
        answer = await self._judge(visitor, handshake)
        if visitor.protocol.close_expected():
            # Noise came right behind the handshake, so websockets has ended the stream already and
            # would fail over any answer.
            visitor.transport.abort()
            await visitor.wait_closed()
        return answer

    async def _judge(self, visitor: ServerConnection, handshake: Handshake) -> Response | None:
        headers = handshake.headers.raw_items()
        refusal = find_refusal(handshake.path, headers, self._hosts, self._token)
        if refusal is None:
            self._limiter.leave(visitor)
            return None
        too_many = self._limiter.refuse()
        if self._limiter.should_log_overload(too_many=too_many):
            _log.warning("too many handshakes are refused; the next ones are not told one by one")
        elif not too_many:
            _log.warning("a handshake was refused: %s", refusal.reason)
        if too_many and refusal.status is HTTPStatus.UNAUTHORIZED:
            await asyncio.sleep(HOLD_S)
            return visitor.respond(HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong tokens.\n")
        return visitor.respond(refusal.status, refusal.reason + "\n")


class _Visitor(ServerConnection):
    """A connection that the handshake limiter counts until its handshake has ended."""

    def __init__(
        self, limiter: HandshakeLimiter[ServerConnection], *arguments: Any, **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self._limiter = limiter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection was opened."""
        super().connection_made(transport)
        _send_away(self._limiter.arrive(self))
        self.loop.call_later(GRACE_S, self._look_around)

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived; a client of ours waits for the answer to its handshake first."""
        if self.request is not None and self.state is State.CONNECTING:
            self.transport.abort()
            return
        super().data_received(data)

    def _look_around(self) -> None:
        _send_away(self._limiter.thin_out())

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection was closed."""
        self._limiter.leave(self)
        super().connection_lost(exc)


def _send_away(visitors: list[ServerConnection]) -> None:
    for visitor in visitors:
        visitor.transport.abort()
