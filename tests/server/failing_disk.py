"""A disk that takes a number of writes and then is full, or read-only, for ever."""

import errno
import os
from pathlib import Path
from typing import BinaryIO

from tapestry_backend.server.persistence.disk import Disk


class FailingDisk(Disk):
    """Counts everything that changes the disk, and lets what comes `after` so many fail."""

    def __init__(self, after: int, code: int = errno.ENOSPC) -> None:
        self.left = after
        self.code = code
        self.asked = 0

    def _ask(self) -> None:
        self.asked += 1
        self.left -= 1
        if self.left < 0:
            raise OSError(self.code, os.strerror(self.code))

    def make_folder(self, folder: Path) -> None:
        self._ask()
        super().make_folder(folder)

    def open_end(self, path: Path) -> BinaryIO:
        self._ask()
        return super().open_end(path)

    def append(self, file: BinaryIO, data: bytes) -> None:
        self._ask()
        super().append(file, data)

    def sync(self, file: BinaryIO) -> None:
        self._ask()
        super().sync(file)

    def rename(self, path: Path, to: Path) -> None:
        self._ask()
        super().rename(path, to)

    def remove(self, path: Path) -> None:
        self._ask()
        super().remove(path)
