"""An append-only file of records, each checked by a CRC.

    a line that names the format, then for each record:
    4 bytes length | 4 bytes CRC-32 of the length and the payload | the payload

Numbers are big-endian. Reading ends at the first byte that is not right: whatever was written
before it is as it was, whatever follows is lost.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from .disk import Disk

_HEADER = struct.Struct(">II")
_BEGINNING = b"tapestry journal 1\n"


def pack(payload: bytes) -> bytes:
    """A record as it stands in the file."""
    length = len(payload).to_bytes(4, "big")
    return _HEADER.pack(len(payload), zlib.crc32(payload, zlib.crc32(length))) + payload


def unpack(data: bytes) -> tuple[list[bytes], bool]:
    """The payloads of a file, and whether all of it was right; a new file is empty, and right."""
    if not data.startswith(_BEGINNING):
        return [], not data
    payloads: list[bytes] = []
    at = len(_BEGINNING)
    while at < len(data):
        if at + _HEADER.size > len(data):
            return payloads, False
        length, checksum = _HEADER.unpack_from(data, at)
        payload = data[at + _HEADER.size : at + _HEADER.size + length]
        if len(payload) < length or zlib.crc32(payload, zlib.crc32(data[at : at + 4])) != checksum:
            return payloads, False
        payloads.append(payload)
        at += _HEADER.size + length
    return payloads, True


class Journal:
    """The file itself. Every method may raise OSError."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._file: BinaryIO | None = None
        self.size_bytes = 0

    def read(self) -> tuple[list[bytes], bool]:
        """What `unpack` finds in the file."""
        try:
            return unpack(self._path.read_bytes())
        except FileNotFoundError:
            return [], True

    def rewrite(self, payloads: Iterable[bytes]) -> None:
        """Have the file hold these and nothing else; append behind them from now on."""
        self.close()
        pieces = [_BEGINNING, *map(pack, payloads)]
        self._disk.write(self._path, pieces)
        self._file = self._disk.open_end(self._path)
        self.size_bytes = sum(map(len, pieces))

    def append(self, payload: bytes) -> None:
        """Write a record; it is safe after the next `sync`."""
        record = pack(payload)
        self._disk.append(self._open, record)
        self.size_bytes += len(record)

    def sync(self) -> None:
        """Come back when every record would survive a power failure."""
        self._disk.sync(self._open)

    @property
    def _open(self) -> BinaryIO:
        """Raises ValueError before `rewrite` has opened it."""
        if self._file is None:
            raise ValueError("the journal is not open")
        return self._file

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()
            self._file = None
