"""Framing over the pipes between server and worker."""

import asyncio
import hashlib
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapestry_backend.workers.channel import (
    Delivery,
    Inbox,
    frames_of,
    pack,
    read_frame,
    read_frame_async,
)
from tapestry_protocol.errors import ProtocolError
from tapestry_protocol.limits import MAX_CHUNK_BYTES, MAX_FRAME_BYTES
from tapestry_protocol.messages import Backend, Cancel, PixelsRef, Preview
from tapestry_protocol.pixels import Pixels

FRAMES = st.text(st.characters(codec="utf-8")) | st.binary()


def read_all(data: bytes) -> list[tuple[int, str | bytes]]:
    """Every frame in these bytes, by the worker's reader."""
    pipe = io.BytesIO(data)
    return list(iter(lambda: read_frame(pipe), None))


def read_all_async(data: bytes) -> list[tuple[int, str | bytes]]:
    """Every frame in these bytes, by the server's reader."""

    async def read() -> list[tuple[int, str | bytes]]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        frames = []
        while (frame := await read_frame_async(reader)) is not None:
            frames.append(frame)
        return frames

    return asyncio.run(read())


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), FRAMES), max_size=5))
def test_frames_come_out_as_they_went_in(frames: list[tuple[int, str | bytes]]) -> None:
    """Any texts and bytes, for any worker, in order, by both readers."""
    data = b"".join(pack(frame, worker) for worker, frame in frames)
    assert read_all(data) == frames
    assert read_all_async(data) == frames


@given(st.binary(max_size=60))
def test_any_bytes_are_frames_or_a_protocol_error(data: bytes) -> None:
    """Whatever bytes come in, a reader gives frames or raises ProtocolError and nothing else."""
    for reader in (read_all, read_all_async):
        with suppress(ProtocolError):
            reader(data)


def test_a_frame_that_is_cut_off_is_the_end() -> None:
    """A process that dies in the middle of a frame leaves an end, not half a message."""
    data = pack("whole") + pack(b"cut off")[:-1]
    assert read_all(data) == [(0, "whole")]
    assert read_all_async(data) == [(0, "whole")]


def test_a_length_beyond_the_limit_is_refused_before_it_is_read() -> None:
    """Memory is not taken on a mere promise."""
    header = b"B" + bytes(4) + (MAX_FRAME_BYTES + 1).to_bytes(4, "big")
    with pytest.raises(ProtocolError):
        read_all(header)


def test_blobs_come_with_the_message_behind_them() -> None:
    """Pixels larger than a chunk arrive whole, with their own message and no other."""
    pixels = Pixels(17, 65_536, 1, b"x" * (17 * 65_536))
    assert len(pixels.data) > MAX_CHUNK_BYTES
    preview = Delivery(Preview("a", PixelsRef.of(pixels)), {pixels.sha256: pixels.data})
    cancel = Delivery(Cancel("a"))
    frames = [*frames_of(preview), *frames_of(cancel)]
    assert [type(frame) for frame in frames] == [bytes, bytes, str, str]
    inbox = Inbox()
    assert [inbox.take(frame) for frame in frames] == [None, None, preview, cancel]


def test_several_workers_share_a_pipe() -> None:
    """Whose message it is stands in every frame; blobs come with their own message all the same."""
    inbox = Inbox()
    pixels = Pixels(1, 1, 4, b"pixl")
    said = [
        Delivery(Preview("a", PixelsRef.of(pixels)), {pixels.sha256: pixels.data}, worker=3),
        Delivery(Cancel("a"), worker=70_000),
    ]
    pipe = b"".join(pack(frame, each.worker) for each in said for frame in frames_of(each))
    heard = [inbox.take(frame, worker) for worker, frame in read_all(pipe)]
    assert [each for each in heard if each is not None] == said


def test_a_damaged_blob_is_a_protocol_error() -> None:
    """A blob is what its SHA-256 says."""
    sha256 = hashlib.sha256(b"good").hexdigest()
    (chunk, _) = frames_of(Delivery(Backend("ready"), {sha256: b"good"}))
    with pytest.raises(ProtocolError):
        Inbox().take(chunk[:-1] + b"!")
