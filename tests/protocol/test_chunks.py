"""Pixels in chunks: round trips, strictness, limits, and putting them together again."""

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapestry_protocol.assembly import Assembly
from tapestry_protocol.codec import Chunk, decode_chunk, encode_chunks
from tapestry_protocol.errors import ProtocolError
from tapestry_protocol.limits import MAX_BLOB_BYTES, MAX_CHUNK_BYTES, MAX_FRAME_BYTES

HEADER = struct.Struct(">32sQQ")
SHA256 = bytes(range(32))


def sha256_of(data: bytes) -> str:
    """The name of a blob."""
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("size", "count"),
    [
        (1, 1),
        (MAX_CHUNK_BYTES - 1, 1),
        (MAX_CHUNK_BYTES, 1),
        (MAX_CHUNK_BYTES + 1, 2),
        (3 * MAX_CHUNK_BYTES, 3),
    ],
)
def test_a_blob_goes_through_its_chunks(size: int, count: int) -> None:
    """At every edge of the chunk size: as many chunks as needed, and the same bytes again."""
    data = bytes(size - 1) + b"!"
    frames = list(encode_chunks(sha256_of(data), data))
    assert len(frames) == count
    assert max(map(len, frames)) <= MAX_FRAME_BYTES
    assembly = Assembly(sha256_of(data), size)
    blobs = [assembly.add(decode_chunk(frame)) for frame in frames]
    assert blobs == [None] * (count - 1) + [data]


@given(st.binary(max_size=200) | st.binary(min_size=48, max_size=60))
def test_any_bytes_are_a_chunk_or_a_protocol_error(frame: bytes) -> None:
    """Whatever comes in, it parses or raises ProtocolError and nothing else."""
    try:
        chunk = decode_chunk(frame)
    except ProtocolError:
        return
    header = HEADER.pack(bytes.fromhex(chunk.sha256), chunk.offset, chunk.size_bytes)
    assert header + chunk.data == frame


@pytest.mark.parametrize(
    ("offset", "size", "data"),
    [
        (0, 1, b""),
        (0, 0, b""),
        (0, 0, b"x"),
        (1, 1, b"x"),
        (0, 2, b"xyz"),
        (2**63, 1, b"x"),
        (0, MAX_BLOB_BYTES + 1, b"x"),
        (0, 2**64 - 1, b"x"),
        (0, MAX_BLOB_BYTES, bytes(MAX_CHUNK_BYTES + 1)),
    ],
)
def test_numbers_that_do_not_fit_are_refused(offset: int, size: int, data: bytes) -> None:
    """Empty, beyond its blob, or beyond the limits."""
    with pytest.raises(ProtocolError):
        decode_chunk(HEADER.pack(SHA256, offset, size) + data)


def test_limits_at_their_edges() -> None:
    """The largest chunk at the end of the largest blob is one."""
    data = bytes(MAX_CHUNK_BYTES)
    offset = MAX_BLOB_BYTES - MAX_CHUNK_BYTES
    frame = HEADER.pack(SHA256, offset, MAX_BLOB_BYTES) + data
    assert len(frame) <= MAX_FRAME_BYTES
    assert decode_chunk(frame) == Chunk(SHA256.hex(), offset, MAX_BLOB_BYTES, data)


@given(st.data())
def test_chunks_in_any_order_give_the_blob_or_a_protocol_error(data: st.DataObject) -> None:
    """Whole blobs come out right or not at all."""
    blob = b"0123456789"
    assembly = Assembly(sha256_of(blob), len(blob))
    for _ in range(data.draw(st.integers(0, 12))):
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(blob))] * 2)))
        piece = data.draw(st.sampled_from([blob[start:end], bytes(end - start)]))
        try:
            whole = assembly.add(Chunk(assembly.sha256, start, len(blob), piece))
        except ProtocolError:
            continue
        assert whole in (None, blob)


def test_a_chunk_of_a_blob_of_another_size_does_not_belong() -> None:
    """Even if it would come next."""
    with pytest.raises(ProtocolError):
        Assembly("ab" * 32, 10).add(Chunk("ab" * 32, 0, 11, b"x"))
