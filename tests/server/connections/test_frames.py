"""Frames on a real socket: bounded before they are read, plain, and whole."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.limits import MAX_CHUNK_BYTES, MAX_FRAME_BYTES
from tapestry_protocol.messages import Failed, PixelsRef, Request, Result
from tapestry_protocol.pixels import Margins
from tests.server.client import Client, Connect, Server

GIB = 2**30


def frame(
    payload: bytes,
    *,
    opcode: int = 2,
    fin: bool = True,
    rsv1: bool = False,
    says: int | None = None,
) -> bytes:
    """A masked websocket frame, written by hand; `says` is the length that its header tells."""
    first = opcode | 0x80 * fin | 0x40 * rsv1
    length = len(payload) if says is None else says
    return struct.pack(">BBQ", first, 0x80 | 127, length) + bytes(4) + payload


def ending(client: Client, *frames: bytes | Iterator[bytes]) -> int:
    """The code with which the server closes the connection after these bytes."""
    for sent in frames:
        client.socket.socket.sendall(sent)
    with pytest.raises(ConnectionClosed) as raised:
        client.until(Result)  # which never comes
    received = raised.value.rcvd
    assert received is not None
    return received.code


@pytest.mark.promise("S7")
def test_a_frame_at_its_limit_is_read(own_server: Server, connect: Connect, measured) -> None:
    """At the limit it is read and understood as what it is; a byte more is not even read."""
    client = connect(own_server)
    client.socket.send(bytes(MAX_FRAME_BYTES - 1))
    said = client.until(Failed)[-1]
    assert said.code is ErrorCode.PROTOCOL
    client = connect(own_server)
    client.socket.send(bytes(MAX_FRAME_BYTES))
    assert client.until(Failed)[-1].code is ErrorCode.PROTOCOL
    over = connect(own_server)
    assert ending(over, frame(bytes(MAX_FRAME_BYTES + 1))) == CloseCode.MESSAGE_TOO_BIG
    measured(f"frames of {MAX_FRAME_BYTES} bytes are read, one more is not")


@pytest.mark.promise("S7")
def test_the_largest_honest_chunk_passes(own_server: Server, connect: Connect) -> None:
    """A picture of exactly one chunk, to a job and back."""
    picture = bytes(MAX_CHUNK_BYTES)
    client = connect(own_server)
    side = 512
    sha256 = hashlib.sha256(picture).hexdigest()
    image = PixelsRef(side, side, 4, sha256)
    request = Request("extend", side, side, "{}", image=image, margins=Margins(left=8))
    client.submit("chunk", request, picture)
    assert isinstance(client.until_end(), Result)


@pytest.mark.promise("S7")
@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(b"", says=2**62)], CloseCode.MESSAGE_TOO_BIG),
        ([frame(b"", says=4 * GIB)], CloseCode.MESSAGE_TOO_BIG),
        (
            [frame(bytes(600_000), fin=False), frame(bytes(600_000), opcode=0)],
            CloseCode.MESSAGE_TOO_BIG,
        ),
        ([frame(b"x", rsv1=True)], CloseCode.PROTOCOL_ERROR),
        ([frame(b"x", opcode=3)], CloseCode.PROTOCOL_ERROR),
        ([frame(b"x", opcode=0)], CloseCode.PROTOCOL_ERROR),
        ([frame(b"x" * 126, opcode=9)], CloseCode.PROTOCOL_ERROR),
        ([b"\x82\x01x"], CloseCode.PROTOCOL_ERROR),
        ([frame(b"\xff\xfe", opcode=1)], CloseCode.INVALID_DATA),
    ],
    ids=[
        "says 4 exbibytes",
        "says 4 gibibytes",
        "fragments too large together",
        "compressed",
        "unknown kind",
        "a continuation of nothing",
        "ping too long",
        "not masked",
        "text that is none",
    ],
)
def test_frames_that_break_the_rules_end_the_connection(
    own_server: Server, connect: Connect, frames: list[bytes], code: int, measured
) -> None:
    """At once, with no memory taken for what they announce, and for no other client."""
    bystander, process = connect(own_server), psutil.Process(own_server.process.pid)
    bystander.until_worker("ready")
    before = process.memory_info().rss
    assert ending(connect(own_server), *frames) == code
    growth = process.memory_info().rss - before
    assert growth < 16 * 2**20
    bystander.submit("after", Request("generate", 4, 4, "{}"))
    assert isinstance(bystander.until_end(), Result)
    assert "Traceback" not in own_server.log
    measured(f"closed with {int(code)}, {growth // 1024} KiB")
