"""The pixels of waiting jobs: budgets, sharing, order, verification."""

import hashlib

import pytest

from tapestry_backend.server.queue.blobs import Blobs
from tapestry_protocol.codec import Chunk
from tapestry_protocol.errors import ErrorCode, ProtocolError, TapestryError
from tapestry_protocol.limits import MAX_BLOB_BYTES
from tapestry_protocol.messages import PixelsRef
from tests.server.client import reference

DATA = b"0123456789"


def chunk(data: bytes, offset: int = 0, size: int | None = None) -> Chunk:
    """A piece of DATA that claims these bytes at this offset."""
    sha256 = hashlib.sha256(DATA).hexdigest()
    return Chunk(sha256, offset, len(DATA) if size is None else size, data)


def ref(data: bytes) -> PixelsRef:
    """A reference to a row of grey pixels."""
    return reference(1, len(data), 1, data)


def test_a_blob_arrives_in_pieces() -> None:
    """Missing until its last byte is here, then whole."""
    blobs = Blobs()
    blobs.claim("a", [ref(DATA)])
    assert blobs.missing("a") == (ref(DATA).sha256,)
    assert blobs.add(chunk(DATA[:4])) == frozenset()
    assert blobs.missing("a")
    assert blobs.add(chunk(DATA[4:], 4)) == {"a"}
    assert blobs.missing("a") == ()
    assert blobs.of("a") == {ref(DATA).sha256: DATA}


def test_a_sender_may_begin_again() -> None:
    """After a reconnect the same bytes come once more from the start."""
    blobs = Blobs()
    blobs.claim("a", [ref(DATA)])
    blobs.add(chunk(DATA[:4]))
    blobs.add(chunk(DATA[:4]))
    assert blobs.add(chunk(DATA[4:], 4)) == {"a"}


def test_bytes_that_are_left_out_are_a_protocol_error() -> None:
    """Chunks come in order."""
    blobs = Blobs()
    blobs.claim("a", [ref(DATA)])
    with pytest.raises(ProtocolError):
        blobs.add(chunk(DATA[4:], 4))


def test_wrong_bytes_are_a_protocol_error_and_can_come_again() -> None:
    """A blob is verified; after a damaged one, the right one is still taken."""
    blobs = Blobs()
    blobs.claim("a", [ref(DATA)])
    with pytest.raises(ProtocolError):
        blobs.add(chunk(DATA[::-1]))
    assert blobs.missing("a")
    assert blobs.add(chunk(DATA)) == {"a"}


def test_what_nobody_asked_for_is_not_kept() -> None:
    """Chunks of a job that was cancelled meanwhile are ignored, whatever they are."""
    blobs = Blobs()
    assert blobs.add(chunk(DATA)) == frozenset()
    blobs.claim("a", [ref(DATA)])
    blobs.release("a")
    assert blobs.add(chunk(DATA[4:], 4)) == frozenset()
    assert blobs.claimed_bytes == 0


def test_jobs_share_a_blob() -> None:
    """It counts once, completes both, and stays until the last of them has ended."""
    blobs = Blobs(budget_bytes=len(DATA))
    blobs.claim("a", [ref(DATA)])
    blobs.claim("b", [ref(DATA)])
    assert blobs.add(chunk(DATA)) == {"a", "b"}
    blobs.release("a")
    blobs.claim("c", [ref(DATA)])
    assert blobs.missing("c") == ()
    blobs.release("b")
    blobs.release("c")
    assert blobs.claimed_bytes == 0


def test_a_lie_about_the_size_spoils_nothing() -> None:
    """A job that claims another size for the same SHA-256 waits alone."""
    blobs = Blobs()
    blobs.claim("liar", [PixelsRef(1, 3, 1, ref(DATA).sha256)])
    blobs.claim("a", [ref(DATA)])
    assert blobs.add(chunk(DATA)) == {"a"}
    assert blobs.missing("liar")
    with pytest.raises(ProtocolError):
        blobs.add(chunk(DATA[:3], size=3))


def test_one_request_cannot_give_a_picture_two_sizes() -> None:
    """It could never be complete."""
    with pytest.raises(TapestryError) as raised:
        Blobs().claim("a", [ref(DATA), PixelsRef(1, 3, 1, ref(DATA).sha256)])
    assert raised.value.code is ErrorCode.BAD_REQUEST


def test_the_budget_at_its_edge() -> None:
    """Exactly the budget fits; one byte more does not, and nothing of it is kept."""
    blobs = Blobs(budget_bytes=len(DATA))
    blobs.claim("a", [ref(DATA)])
    with pytest.raises(TapestryError) as raised:
        blobs.claim("b", [ref(b"x")])
    assert raised.value.code is ErrorCode.BUSY
    assert blobs.claimed_bytes == len(DATA)
    with pytest.raises(TapestryError) as raised:
        blobs.claim("b", [ref(DATA + b"x")])
    assert raised.value.code is ErrorCode.TOO_LARGE


def test_no_single_blob_is_larger_than_the_largest_picture() -> None:
    """The codec's limit for chunks holds for claims too."""
    largest = PixelsRef(65_536, MAX_BLOB_BYTES // 65_536, 1, "0" * 64)
    Blobs().claim("a", [largest])
    larger = PixelsRef(65_536, MAX_BLOB_BYTES // 65_536 + 1, 1, "0" * 64)
    with pytest.raises(TapestryError) as raised:
        Blobs().claim("b", [larger])
    assert raised.value.code is ErrorCode.TOO_LARGE
