"""Puts the chunks of a blob together again and verifies it."""

from __future__ import annotations

import hashlib

from .codec import Chunk
from .errors import ProtocolError


class Assembly:
    """One blob on its way. Memory is taken only for bytes that have arrived."""

    def __init__(self, sha256: str, size_bytes: int) -> None:
        self.sha256 = sha256
        self.size_bytes = size_bytes
        self._start_over()

    def add(self, chunk: Chunk) -> bytes | None:
        """Take the next chunk in order; gives the whole blob with the last one, else None.

        What came before is ignored, so a sender may begin again. Raises ProtocolError when bytes
        are left out, and when the blob is not what its name says: then it has to come again.
        """
        if chunk.offset < self._received:
            return None
        if chunk.offset > self._received or chunk.size_bytes != self.size_bytes:
            raise ProtocolError("chunk", "does not follow the one before")
        self._parts.append(chunk.data)
        self._hash.update(chunk.data)
        self._received += len(chunk.data)
        if self._received < self.size_bytes:
            return None
        blob, digest = b"".join(self._parts), self._hash.hexdigest()
        self._start_over()
        if digest != self.sha256:
            raise ProtocolError("chunk", "the blob's bytes do not match its SHA-256")
        return blob

    def _start_over(self) -> None:
        self._parts: list[bytes] = []
        self._hash = hashlib.sha256()
        self._received = 0
