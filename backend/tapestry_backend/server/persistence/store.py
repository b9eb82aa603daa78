"""Pictures and masks as files, each named by the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Set as AbstractSet
from pathlib import Path

from .disk import Disk


class Store:
    """A folder of blobs. What is written twice is there once."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk

    def path_of(self, sha256: str) -> Path:
        """Where a blob lies, or would lie."""
        return self._folder / sha256

    def put(self, sha256: str, data: bytes) -> Path:
        """Keep a blob; it is safe when this returns. Raises OSError."""
        path = self.path_of(sha256)
        if not self.holds(sha256):
            self._disk.make_folder(self._folder)
            self._disk.write(path, [data])
        return path

    def get(self, sha256: str) -> bytes | None:
        """A blob, or None when it is not there or damaged."""
        try:
            data = self.path_of(sha256).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def holds(self, sha256: str) -> bool:
        """Whether a blob is there, whole."""
        try:
            with self.path_of(sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def remove(self, sha256: str) -> None:
        """Let a blob go. Raises OSError."""
        self._disk.remove(self.path_of(sha256))

    def sweep(self, kept: AbstractSet[str]) -> None:
        """Let all go but these: what was half written, what is not needed. Raises OSError."""
        if self._folder.exists():
            for path in self._folder.iterdir():
                if path.name not in kept:
                    self._disk.remove(path)
