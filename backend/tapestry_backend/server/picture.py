"""Raw pixels on their way to a client: in memory until a file holds them; no jobs, no sockets."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from pathlib import Path

from tapestry_protocol.codec import Chunk, encode_chunk, encode_chunks
from tapestry_protocol.limits import MAX_CHUNK_BYTES
from tapestry_protocol.messages import PixelsRef


class Picture:
    """The bytes that a message refers to. Give either the data, or the file that holds them."""

    def __init__(
        self, reference: PixelsRef, data: bytes | None = None, path: Path | None = None
    ) -> None:
        self.sha256 = reference.sha256
        self.size_bytes = reference.size_bytes
        self._data = data
        self._path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"Picture({self.sha256[:8]}, {self.size_bytes} bytes)"

    @property
    def data(self) -> bytes | None:
        """The bytes, while they are in memory."""
        return self._data

    def settle(self, path: Path) -> None:
        """A file holds the bytes from now on; may be called from another thread."""
        self._path = path
        self._data = None

    def frames(self) -> Iterator[bytes]:
        """The binary frames that carry it; raises OSError when its file is gone or damaged."""
        data = self._data
        if data is not None:
            yield from encode_chunks(self.sha256, data)
            return
        with self._path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                raise OSError(errno.EIO, "the file of a picture is damaged", str(self._path))
            file.seek(0)
            for offset in range(0, self.size_bytes, MAX_CHUNK_BYTES):
                piece = file.read(MAX_CHUNK_BYTES)
                yield encode_chunk(Chunk(self.sha256, offset, self.size_bytes, piece))
