"""Whatever a client sends, the server parses it or answers with a protocol error, no more."""

import json
import random
import socket
from contextlib import suppress

from websockets.exceptions import ConnectionClosed

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
from tests.server.client import Connect, Server

CONNECTIONS = 150
HANDSHAKES = 300


def mutated(frame: bytes, luck: random.Random) -> bytes:
    """The frame with a few bytes changed, cut, doubled or inserted."""
    spoilt = bytearray(frame)
    for _ in range(luck.randint(0, 4)):
        at = luck.randrange(len(spoilt) + 1)
        spoilt[at : at + luck.randint(0, 3)] = luck.randbytes(luck.randint(0, 3))
    return bytes(spoilt)


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


def test_mutated_handshakes_do_nothing(own_server: Server, connect: Connect) -> None:
    """Bytes that are no HTTP, or HTTP that is no handshake, in any state of decay."""
    luck = random.Random(9)
    handshake = (
        f"GET /tapestry HTTP/1.1\r\nHost: 127.0.0.1:{own_server.info.port}\r\n"
        f"Authorization: Bearer {'0' * 64}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()
    for number in range(HANDSHAKES):
        spoilt = mutated(handshake, luck) if number % 2 else luck.randbytes(luck.randint(0, 500))
        with socket.create_connection(("127.0.0.1", own_server.info.port)) as connection:
            connection.sendall(spoilt)
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                answer = connection.recv(65536)
                assert b" 101 " not in answer
    client = connect(own_server)
    client.submit("good", Request("generate", 4, 4, json.dumps({})))
    assert isinstance(client.until(Result, Failed)[-1], Result)
    assert "Traceback" not in own_server.log
