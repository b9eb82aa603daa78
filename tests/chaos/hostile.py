"""Hostile clients: what they send, byte by byte, and how they leave; tests nothing itself."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.codec import encode, encode_chunks
from tapestry_protocol.messages import (
    Acknowledge,
    Cancel,
    Hello,
    Message,
    PixelsRef,
    Region,
    Request,
    Resume,
    Submit,
)
from tapestry_protocol.pixels import Bounds
from tapestry_protocol.runtime import RuntimeInfo

PATIENCE_S = 0.02
"""How long a hostile client waits for an answer, if it does."""

MASK = bytes(20)
MASK_SHA256 = "de47c9b27eb8d300dbb5f2c353e632c393262cf06340c4fa7f1b40c4cbd36f90"
"""Of 20 bytes of nothing."""

HELLO = encode(Hello(PROTOCOL_VERSION, VERSION)).encode()


def mutated(data: bytes, luck: random.Random, most: int = 4) -> bytes:
    """The bytes with a few changed, cut, doubled or inserted."""
    spoilt = bytearray(data)
    for _ in range(luck.randint(0, most)):
        at = luck.randrange(len(spoilt) + 1)
        spoilt[at : at + luck.randint(0, 3)] = luck.randbytes(luck.randint(0, 3))
    return bytes(spoilt)


def honest_frames() -> list[bytes]:
    """What an honest client might send after its hello, to be spoilt; no model has this name."""
    mask = PixelsRef(4, 5, 1, MASK_SHA256)
    regions = (Region("sea", Bounds(0, 0, 4, 5), mask),)
    messages: list[Message] = [
        Submit("hostile", Request("generate", 4, 4, "sky", regions=regions, model="none")),
        Submit("waiting", Request("generate", 4, 4, '{"steps": 1}', regions=regions)),
        Cancel("waiting"),
        Resume(("hostile", "waiting")),
        Acknowledge("waiting"),
        Hello(PROTOCOL_VERSION, VERSION),
    ]
    return [encode(message).encode() for message in messages] + list(
        encode_chunks(MASK_SHA256, MASK)
    )


def handshake(info: RuntimeInfo, token: str) -> bytes:
    """A whole handshake with a token."""
    return (
        f"GET /tapestry HTTP/1.1\r\nHost: 127.0.0.1:{info.port}\r\n"
        f"Authorization: Bearer {token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A masked websocket frame."""
    length = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, len(payload))
    return length + bytes(4) + payload


def _noise(_info: RuntimeInfo, luck: random.Random) -> bytes:
    return luck.randbytes(luck.randint(0, 2_000))


def _endless_header(_info: RuntimeInfo, luck: random.Random) -> bytes:
    line = b"X-" + bytes(luck.choices(b"abcxyz: ", k=luck.randint(1, 400))) + b"\r\n"
    return b"GET /tapestry HTTP/1.1\r\n" + line * luck.randint(1, 400)


def _wrong_token(info: RuntimeInfo, luck: random.Random) -> bytes:
    return mutated(handshake(info, luck.randbytes(32).hex()), luck)


def _spoilt_handshake(info: RuntimeInfo, luck: random.Random) -> bytes:
    return mutated(handshake(info, info.token), luck)


def _noise_inside(info: RuntimeInfo, luck: random.Random) -> bytes:
    return handshake(info, info.token) + luck.randbytes(luck.randint(0, 2_000))


def _spoilt_frames(info: RuntimeInfo, luck: random.Random) -> bytes:
    frames = [HELLO, *luck.choices(honest_frames(), k=3)]
    return handshake(info, info.token) + mutated(b"".join(map(frame, frames)), luck)


def _cut_frame(info: RuntimeInfo, luck: random.Random) -> bytes:
    whole = frame(HELLO) + frame(luck.choice(honest_frames()))
    return handshake(info, info.token) + whole[: luck.randrange(len(whole))]


KINDS: tuple[Callable[[RuntimeInfo, random.Random], bytes], ...] = (
    _noise,
    _endless_header,
    _wrong_token,
    _spoilt_handshake,
    _noise_inside,
    _spoilt_frames,
    _cut_frame,
)


def connect_hostile(info: RuntimeInfo, luck: random.Random) -> bytes:
    """One hostile connection, which ends in one of several bad manners; gives what it heard."""
    heard = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", info.port)) as connection:
        connection.settimeout(PATIENCE_S)
        connection.sendall(luck.choice(KINDS)(info, luck))
        if luck.random() < 0.3:
            connection.shutdown(socket.SHUT_WR)
        if luck.random() < 0.5:
            heard = connection.recv(65536)
        if luck.random() < 0.3:  # gone without a goodbye: the other side gets a reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return heard
