"""Frames over the pipes between server and worker.

On the pipe, a frame of the codec follows nine bytes: b"T" (text) or b"B" (binary), the number of
the worker that it is for or from, and its length. The process at the other end of a pipe is a
worker itself, number 0, or carries what is said to and by several.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from tapestry_protocol.assembly import Assembly
from tapestry_protocol.codec import decode, decode_chunk, encode, encode_chunks
from tapestry_protocol.errors import ProtocolError
from tapestry_protocol.limits import MAX_FRAME_BYTES
from tapestry_protocol.messages import Message

_HEADER = struct.Struct(">cII")
_TEXT, _BINARY = b"T", b"B"


@dataclass(frozen=True)
class Delivery:
    """A message with the blobs that came right before it, by their SHA-256.

    worker   which of those at one pipe it is for, or from
    """

    message: Message
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    worker: int = 0


class PipeFrame(NamedTuple):
    """A frame of the codec, and the worker at this pipe that it is for, or from."""

    worker: int
    frame: str | bytes


class Inbox:
    """Puts messages and their blobs together again."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._assembly: Assembly | None = None

    def take(self, frame: str | bytes, worker: int = 0) -> Delivery | None:
        """The message that this frame completes, if any; raises ProtocolError."""
        if isinstance(frame, str):
            delivery = Delivery(decode(frame), self._blobs, worker)
            self._blobs = {}
            return delivery
        chunk = decode_chunk(frame)
        if self._assembly is None or self._assembly.sha256 != chunk.sha256:
            self._assembly = Assembly(chunk.sha256, chunk.size_bytes)
        blob = self._assembly.add(chunk)
        if blob is not None:
            self._blobs[chunk.sha256] = blob
            self._assembly = None
        return None


def frames_of(delivery: Delivery) -> Iterator[str | bytes]:
    """The frames that carry a delivery: the chunks of its blobs, then its message.

    Raises ProtocolError before the first frame when the message is out of its limits.
    """
    text = encode(delivery.message)
    return _frames(delivery.blobs, text)


def _frames(blobs: Mapping[str, bytes], text: str) -> Iterator[str | bytes]:
    for sha256, blob in blobs.items():
        yield from encode_chunks(sha256, blob)
    yield text


def pack(frame: str | bytes, worker: int = 0) -> bytes:
    """A frame as it goes over the pipe."""
    if isinstance(frame, str):
        data = frame.encode("utf-8")
        return _HEADER.pack(_TEXT, worker, len(data)) + data
    return _HEADER.pack(_BINARY, worker, len(frame)) + frame


def read_frame(pipe: BinaryIO) -> PipeFrame | None:
    """The next frame, waiting for it; None at the end of the pipe. Raises ProtocolError."""
    header = pipe.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    kind, worker, length = _check_header(header)
    data = pipe.read(length)
    return PipeFrame(worker, _frame(kind, data)) if len(data) == length else None


async def read_frame_async(pipe: asyncio.StreamReader) -> PipeFrame | None:
    """`read_frame` for asyncio."""
    try:
        kind, worker, length = _check_header(await pipe.readexactly(_HEADER.size))
        return PipeFrame(worker, _frame(kind, await pipe.readexactly(length)))
    except asyncio.IncompleteReadError:
        return None


def _check_header(header: bytes) -> tuple[bytes, int, int]:
    kind, worker, length = _HEADER.unpack(header)
    if kind not in (_TEXT, _BINARY) or length > MAX_FRAME_BYTES:
        raise ProtocolError("pipe", "not a frame")
    return kind, worker, length


def _frame(kind: bytes, data: bytes) -> str | bytes:
    if kind == _BINARY:
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("pipe", "text that is not UTF-8") from None
