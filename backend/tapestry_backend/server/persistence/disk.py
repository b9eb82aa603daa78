"""All disk operations in one place, so that tests can let each one fail."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from tapestry_protocol.files import found_behind


class Disk:
    """Every method may raise OSError: full, read-only, taken away."""

    def make_folder(self, folder: Path) -> None:
        """Make a folder that only its owner can look into, unless it is there."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def open_end(self, path: Path) -> BinaryIO:
        """A file to write behind what it holds."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(path, flags, 0o600), "ab", 0)

    def append(self, file: BinaryIO, data: bytes) -> None:
        """Write all of the data at the end; it is safe when it is synced."""
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]

    def sync(self, file: BinaryIO) -> None:
        """Come back when what was written would survive a power failure."""
        os.fsync(file.fileno())

    def write(self, path: Path, pieces: Iterable[bytes]) -> None:
        """Write a whole file so that it appears at once, and is safe when it does.

        A link stays one, and a file that was there keeps its rights.
        """
        path, status = found_behind(path)
        aside = path.with_name(f".aside-{secrets.token_hex(8)}")
        try:
            with self.open_end(aside) as file:
                for piece in pieces:
                    self.append(file, piece)
                self.sync(file)
            if status is not None:
                aside.chmod(stat.S_IMODE(status.st_mode))
            self.rename(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise

    def rename(self, path: Path, to: Path) -> None:
        """Put a file in the place of another, and have the folder remember it."""
        path.replace(to)
        if os.name == "posix":
            folder = os.open(to.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def remove(self, path: Path) -> None:
        """Take a file away, if it is there."""
        path.unlink(missing_ok=True)
