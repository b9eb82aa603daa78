"""Pictures on disk, compressed, named by their SHA-256, within a size.

Written aside and renamed, so that a file is whole or not there. Reading and writing give way every
10 ms or so.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import zlib
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from tapestry_protocol.limits import MAX_CANVAS_PX, MAX_SIDE_PX
from tapestry_protocol.pixels import Pixels, PixelsRef

from ..common.ownership import lock_on, lock_open
from ..common.task_queue import give_way

_HEADER = struct.Struct("<4sIIB")
_MAGIC = b"TPX1"
_ASIDE = ".aside-"
"""How the name of a file begins that is being written; it is locked until it is whole."""

_PIECE_BYTES = 2**19
"""What is compressed at once: some 5 to 10 ms of work."""

_SPEED = 1
"""zlib's fastest: pictures of brush and noise get little smaller by more patience."""

_RECENT_BYTES = 256 * 2**20
"""Pictures that stay in memory: what was just made is looked at and applied first."""


class PictureStore:
    """A folder of pictures.

    folder  made when the first picture is kept
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._recent: OrderedDict[str, Pixels] = OrderedDict()

    async def keep(self, sha256: str, pixels: Pixels) -> None:
        """Write a picture; raises OSError when the disk takes it not. In memory it is at once."""
        self.remember(sha256, pixels)
        path = self._path(sha256)
        if path.exists() and await self._whole(sha256) is not None:
            path.touch()
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=self._folder, prefix=_ASIDE)
        with suppress(OSError):  # a disk may have no locks
            lock_open(handle)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_HEADER.pack(_MAGIC, pixels.height, pixels.width, pixels.channels))
                packer = zlib.compressobj(_SPEED)
                for start in range(0, len(pixels.data), _PIECE_BYTES):
                    file.write(packer.compress(pixels.data[start : start + _PIECE_BYTES]))
                    await give_way()
                file.write(packer.flush())
            Path(aside).replace(path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise

    async def read(self, reference: PixelsRef) -> Pixels | None:
        """A picture; None where it was let go, or is damaged.

        Its height and width are the reference's: pictures of one colour can have the same bytes.
        """
        sha256 = reference.sha256
        if sha256 in self._recent:
            self._recent.move_to_end(sha256)
            pixels: Pixels | None = self._recent[sha256]
        else:
            pixels = await self._whole(sha256)
            if pixels is not None:
                self.remember(sha256, pixels)
        if pixels is None or len(pixels.data) != reference.size_bytes:
            return None
        return reference.with_data(pixels.data)

    def forget(self, sha256: str) -> None:
        """Take a picture out."""
        self._recent.pop(sha256, None)
        self._path(sha256).unlink(missing_ok=True)
        self._mark(sha256).unlink(missing_ok=True)

    def release(self, sha256: str) -> None:
        """Have a picture be the first to go when there is no room; until then it can be read."""
        self._mark(sha256).unlink(missing_ok=True)
        with suppress(OSError):
            os.utime(self._path(sha256), (0, 0))

    def hold(self, sha256: str, *, on: bool) -> None:
        """Let a picture stay whatever the size, or not."""
        if on and self._path(sha256).exists():
            self._mark(sha256).touch()
        else:
            self._mark(sha256).unlink(missing_ok=True)

    def shrink(self, most_bytes: int) -> None:
        """Let the oldest go until the folder is not larger than this; what is held stays.

        What a Krita that was killed had begun to write goes in any case.
        """
        if not self._folder.is_dir():
            return
        for path in self._folder.glob(f"{_ASIDE}*"):
            handle = lock_on(path)
            if handle:
                os.close(handle)
                path.unlink(missing_ok=True)
        found = [(path.stat(), path) for path in self._folder.glob("*.picture")]
        excess = sum(status.st_size for status, _ in found) - most_bytes
        for status, path in sorted(found, key=lambda entry: entry[0].st_mtime_ns):
            if excess <= 0:
                return
            if not self._mark(path.stem).exists():
                path.unlink(missing_ok=True)
                excess -= status.st_size

    async def _whole(self, sha256: str) -> Pixels | None:
        """A picture as its file has it; None where there is none, or not this one any more."""
        try:
            pixels = await self._read(self._path(sha256))
        except (OSError, ValueError, struct.error, zlib.error):
            return None
        digest = hashlib.sha256()
        for start in range(0, len(pixels.data), 8 * _PIECE_BYTES):
            digest.update(pixels.data[start : start + 8 * _PIECE_BYTES])
            await give_way()
        return pixels if digest.hexdigest() == sha256 else None

    async def _read(self, path: Path) -> Pixels:
        with path.open("rb") as file:
            magic, height, width, channels = _HEADER.unpack(file.read(_HEADER.size))
            if magic != _MAGIC or max(height, width) > 2 * MAX_SIDE_PX or channels not in (1, 4):
                raise ValueError("not a picture of ours")
            if not 0 < height * width <= MAX_CANVAS_PX:
                raise ValueError("larger than any picture of ours")
            size = height * width * channels
            unpacker, data = zlib.decompressobj(), bytearray()
            while len(data) < size and (packed := unpacker.unconsumed_tail or file.read(2**16)):
                data += unpacker.decompress(packed, _PIECE_BYTES)
                await give_way()
            data += unpacker.flush()
        return Pixels(height, width, channels, bytes(data))

    def remember(self, sha256: str, pixels: Pixels) -> None:
        """Have a picture in memory, for as long as there is room."""
        self._recent[sha256] = pixels
        self._recent.move_to_end(sha256)
        while sum(len(kept.data) for kept in self._recent.values()) > _RECENT_BYTES:
            if len(self._recent) == 1:
                return
            self._recent.popitem(last=False)

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.picture"

    def _mark(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.held"
