"""Whatever a client sends, the server parses it or answers with a protocol error, no more."""

import json
import random
import socket
import time
from contextlib import ExitStack, closing, suppress

import pytest
from websockets.exceptions import ConnectionClosed

from tapestry_backend.server.connections.handshake_limiter import HOLD_S, MOST_FAILURES
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.codec import encode
from tapestry_protocol.messages import (
    Acknowledge,
    Cancel,
    Failed,
    Hello,
    Message,
    PixelsRef,
    Region,
    Request,
    Result,
    Resume,
    Submit,
)
from tapestry_protocol.pixels import Bounds
from tests.chaos.hostile import frame, handshake, mutated
from tests.server.client import Client, Connect, Server

CONNECTIONS = 150
HANDSHAKES = 300

FOLLOWING = (b"garbage", bytes([0xFF]) * 40, frame(b"", 8) * 2, frame(b"", 9), frame(b"hello"))
"""What no honest client sends behind a handshake: noise, two goodbyes, a ping, a message."""


def assert_paints(server: Server) -> None:
    """A good job succeeds."""
    with closing(Client(server)) as client:
        client.submit("good", Request("generate", 4, 4, json.dumps({})))
        assert isinstance(client.until_end(), Result)


def good_messages() -> list[Message]:
    """What an honest client might send, to be spoilt."""
    mask = PixelsRef(4, 5, 1, "ab" * 32)
    request = Request(
        "generate", 4, 4, '{"steps": 1}', regions=(Region("sea", Bounds(0, 0, 4, 5), mask),)
    )
    return [
        Hello(PROTOCOL_VERSION, VERSION),
        Submit("hostile", request),
        Submit("other", Request("generate", 4, 4, '{"steps": 1}')),
        Cancel("hostile"),
        Resume(("hostile", "other")),
        Acknowledge("other"),
    ]


def test_mutated_messages_do_nothing(own_server: Server, connect: Connect) -> None:
    """After hundreds of spoilt conversations the log is clean and a good job succeeds."""
    luck = random.Random(8)
    frames = [encode(message).encode() for message in good_messages()]
    for _ in range(CONNECTIONS):
        client = connect(own_server)
        with suppress(ConnectionClosed):
            for _ in range(10):
                frame = mutated(luck.choice(frames), luck)
                client.socket.send(frame, text=luck.random() < 0.8)
        with suppress(OSError):
            client.socket.socket.shutdown(socket.SHUT_RDWR)  # hostile clients say no goodbye
    client = connect(own_server)
    client.submit("good", Request("generate", 4, 4, json.dumps({})))
    end = client.until(Result, Failed)[-1]
    assert isinstance(end, Result)
    assert end.job_id in {"good", "other"}
    assert "Traceback" not in own_server.log


def test_mutated_handshakes_do_nothing(own_server: Server) -> None:
    """Bytes that are no HTTP, or HTTP that is no handshake, in any state of decay."""
    luck = random.Random(9)
    whole = handshake(own_server.info, "0" * 64)
    for number in range(HANDSHAKES):
        spoilt = mutated(whole, luck) if number % 2 else luck.randbytes(luck.randint(0, 500))
        with socket.create_connection(("127.0.0.1", own_server.info.port)) as connection:
            connection.sendall(spoilt)
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                answer = connection.recv(65536)
                assert b" 101 " not in answer
    assert_paints(own_server)
    assert "Traceback" not in own_server.log


def knock(server: Server, token: str) -> socket.socket:
    """A connection that has asked to be let in, and has not looked at the answer."""
    connection = socket.create_connection(("127.0.0.1", server.info.port))
    connection.sendall(handshake(server.info, token))
    return connection


@pytest.mark.promise("S8")
@pytest.mark.parametrize("token", ["right", "0" * 64], ids=["let in", "refused"])
def test_noise_right_behind_a_handshake_does_nothing(own_server: Server, token: str) -> None:
    """Frames and noise that come with the handshake, before it is answered."""
    token = own_server.info.token if token == "right" else token
    for follows in FOLLOWING:
        with socket.create_connection(("127.0.0.1", own_server.info.port)) as connection:
            connection.sendall(handshake(own_server.info, token) + follows)
            connection.recv(65536)
    assert "Traceback" not in own_server.log
    assert_paints(own_server)


@pytest.mark.promise("S8")
def test_nobody_talks_while_the_answer_is_held_back(own_server: Server) -> None:
    """Such a client is closed at once, unread; one that waits is answered."""
    for _ in range(MOST_FAILURES):
        with knock(own_server, "0" * 64) as connection:
            assert b" 401 " in connection.recv(65536)
    with ExitStack() as opened:
        held = [opened.enter_context(knock(own_server, "0" * 64)) for _ in FOLLOWING]
        patient = opened.enter_context(knock(own_server, "0" * 64))
        time.sleep(HOLD_S / 5)
        for connection, follows in zip(held, FOLLOWING, strict=True):
            connection.sendall(follows)
            with suppress(ConnectionResetError):
                assert connection.recv(65536) == b""
        assert b" 429 " in patient.recv(65536)
    assert "Traceback" not in own_server.log
    assert_paints(own_server)
