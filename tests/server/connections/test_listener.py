"""A running server's door: dawdlers and guessers are bounded, and never keep our own client out."""

import asyncio
import selectors
import socket
import time
from contextlib import ExitStack, suppress

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import InvalidMessage
from websockets.protocol import State

from tapestry.connection.link import DELAYS_S
from tapestry_backend.server.connections.handshake_limiter import (
    HOLD_S,
    MOST_FAILURES,
    MOST_PENDING,
)
from tests.server.client import Connect, Server

SILENT = 40
CROWD = 50


def knock(server: Server, token: str) -> bytes:
    """The status line that a token brings."""
    handshake = (
        f"GET /tapestry HTTP/1.1\r\nHost: 127.0.0.1:{server.info.port}\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.info.port)) as connection:
        connection.sendall(handshake.encode())
        return connection.recv(65536).partition(b"\r\n")[0]


def still_open(connections: list[socket.socket]) -> int:
    """How many of them the server has not closed."""
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        return len(connections) - len(selector.select(timeout=0))


@pytest.mark.promise("S2")
def test_wrong_tokens_are_slowed(own_server: Server, connect: Connect, measured) -> None:
    """After too many, each wrong token has to wait, the right one need not; the log is short."""
    answers = [knock(own_server, "0" * 64) for _ in range(MOST_FAILURES)]
    assert {answer.split()[1] for answer in answers} == {b"401"}
    begun = time.monotonic()
    assert knock(own_server, "0" * 64).split()[1] == b"429"
    assert time.monotonic() - begun >= HOLD_S
    for _ in range(3):
        knock(own_server, "1" * 64)
    connect(own_server).until_worker("ready")
    assert own_server.log.count("was refused") == MOST_FAILURES
    assert own_server.log.count("too many handshakes") == 1
    measured(
        f"{MOST_FAILURES} failures answered at once, each further one after {HOLD_S} s; "
        "the right token at once",
    )


@pytest.mark.promise("S2")
def test_unfinished_handshakes_are_few_and_short(
    own_server: Server, connect: Connect, measured
) -> None:
    """Ten wait at most, those that came first go soon, and after five seconds all are gone."""
    with ExitStack() as opened:
        address = ("127.0.0.1", own_server.info.port)
        connections = [
            opened.enter_context(socket.create_connection(address)) for _ in range(SILENT)
        ]
        connections[-1].sendall(b"GET /tapestry HTTP/1.1\r\nHost: ")
        begun = time.monotonic()
        connect(own_server).until_worker("ready")
        while (waiting := still_open(connections)) > MOST_PENDING:
            time.sleep(0.01)
        thinned_s = time.monotonic() - begun
        for connection in connections:
            with suppress(ConnectionResetError):
                assert connection.recv(65536) == b""
        waited_s = time.monotonic() - begun
    measured(
        f"{SILENT} unfinished handshakes: {waiting} left after {thinned_s:.1f} s, "
        f"none after {waited_s:.1f} s; the right token got in at once",
    )


@pytest.mark.promise("S2")
def test_many_honest_clients_at_once_get_in(own_server: Server, measured) -> None:
    """A crowd that comes in the same moment is let in, every one of it.

    On a machine that is so busy that a handshake takes half a second, some are sent away and come
    again, as the plugin does.
    """
    info = own_server.info
    headers = {"Authorization": f"Bearer {info.token}"}

    async def come_in() -> int:
        url = f"ws://127.0.0.1:{info.port}/tapestry"
        for tries, delay_s in enumerate(DELAYS_S, start=1):
            with suppress(InvalidMessage):
                async with connect_async(url, additional_headers=headers, proxy=None) as client:
                    assert client.state is State.OPEN
                    return tries
            await asyncio.sleep(delay_s)
        return 0

    async def come_together() -> list[int]:
        return await asyncio.gather(*(come_in() for _ in range(CROWD)))

    tries = asyncio.run(come_together())
    assert all(tries)
    at_once = "" if sum(tries) == CROWD else f", after {sum(tries) - CROWD} were sent away"
    measured(f"{CROWD} honest handshakes at once: all let in{at_once}")
