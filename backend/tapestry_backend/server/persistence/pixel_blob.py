"""Raw pixels on their way to a client: in memory until a file holds them."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tapestry_protocol.codec import Chunk, encode_chunk, encode_chunks
from tapestry_protocol.limits import MAX_CHUNK_BYTES
from tapestry_protocol.messages import Message, PixelsRef
from tapestry_protocol.references import pixels_with

from .store import Store

NO_PIXELS: Mapping[str, bytes] = MappingProxyType({})
"""What a message that refers to none came with."""


class PixelBlob:
    """The bytes that a message refers to. Give either the data, or the file that holds them.

    beside    other pictures of the same message, such as the layers of a result
    """

    def __init__(
        self,
        reference: PixelsRef,
        data: bytes | None = None,
        path: Path | None = None,
        beside: Sequence[PixelBlob] = (),
    ) -> None:
        self.sha256 = reference.sha256
        self.size_bytes = reference.size_bytes
        self._data = data
        self._path = path
        self._beside = tuple(beside)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PixelBlob) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"Picture({self.sha256[:8]}, {self.size_bytes} bytes)"

    @property
    def all(self) -> tuple[PixelBlob, ...]:
        """Itself and those beside it."""
        return self, *self._beside

    @property
    def total_bytes(self) -> int:
        """Size of this picture and of those beside it."""
        return sum(picture.size_bytes for picture in self.all)

    @property
    def bytes_in_memory(self) -> int:
        """Their bytes that are held in memory and not in a file."""
        return sum(len(picture.data or b"") for picture in self.all)

    @property
    def data(self) -> bytes | None:
        """The bytes, while they are in memory."""
        return self._data

    def settle(self, path: Path) -> None:
        """A file holds the bytes from now on; may be called from another thread."""
        self._path = path
        self._data = None

    def frames(self) -> Iterator[bytes]:
        """The binary frames of all of them; raises OSError when a file is gone or damaged."""
        for picture in self.all:
            yield from picture.own_frames()

    def own_frames(self) -> Iterator[bytes]:
        """Those that carry itself alone."""
        data = self._data
        if data is not None:
            yield from encode_chunks(self.sha256, data)
            return
        if self._path is None:
            raise OSError(errno.ENOENT, "no file holds the picture")
        with self._path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                raise OSError(errno.EIO, "the file of a picture is damaged", str(self._path))
            file.seek(0)
            for offset in range(0, self.size_bytes, MAX_CHUNK_BYTES):
                piece = file.read(MAX_CHUNK_BYTES)
                yield encode_chunk(Chunk(self.sha256, offset, self.size_bytes, piece))


def blob_with(message: Message, pixels: Mapping[str, bytes]) -> PixelBlob:
    """What a message refers to, out of the bytes that came with it."""
    own, *others = pixels_with(message)
    beside = [PixelBlob(ref, pixels[ref.sha256]) for ref in others]
    return PixelBlob(own, pixels[own.sha256], beside=beside)


def blob_in(store: Store, message: Message) -> PixelBlob:
    """What a message refers to, as files of a store."""
    own, *others = pixels_with(message)
    beside = [PixelBlob(ref, path=store.path_of(ref.sha256)) for ref in others]
    return PixelBlob(own, path=store.path_of(own.sha256), beside=beside)
