"""The ZIP around a layered picture: bounded reading, and copying with changes."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from tapestry_protocol.files import open_file
from tapestry_protocol.limits import MIB
from tapestry_protocol.sentences import quoted

from .errors import damaged, too_large
from .limits import MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_FILE_BYTES, MAX_UNPACKED_BYTES

MIMETYPE = b"image/openraster"
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    UnicodeError,
    ValueError,
)
"""Everything that zipfile raises for bytes that are not a sound archive."""

_KNOWN_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_PIECE_BYTES = 1 * MIB
_SMALL_PIECE_BYTES = 4096
"""Bytes unpacked at once; of a damaged file, the piece with the damage is lost."""


class Archive:
    """The files inside an OpenRaster file; nothing is ever unpacked to the disk.

    Raises TapestryError when the bytes are not such a file, or unpack to more than the limits.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_FILE_BYTES:
            raise too_large(f"{len(data) // 2**20} MiB")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _ZIP_ERRORS as error:
            raise damaged("it is no ZIP archive, or it was cut off") from error
        self._entries = self._zip.infolist()
        _check_entries(self._entries)
        # Damage is found now, not when the result is to be saved: much of it is never needed.
        self._broken = {entry.filename for entry in self._entries if not self._is_sound(entry)}
        if "mimetype" not in self or self.read("mimetype", 64).strip() != MIMETYPE:
            raise damaged("it does not say image/openraster")

    @classmethod
    def open(cls, path: Path) -> Archive:
        """Read a file once and for all; raises OSError when it cannot be read."""
        with open_file(path) as file:
            return cls(file.read(MAX_FILE_BYTES + 1))

    @property
    def names(self) -> frozenset[str]:
        """Of all files inside."""
        return frozenset(self._zip.NameToInfo)

    def __contains__(self, name: str) -> bool:
        return self._listed(name) in self._zip.NameToInfo

    def _listed(self, name: str) -> str:
        """A file's name as it is listed: some programs write it as in a web address, with %20."""
        return name if name in self._zip.NameToInfo else unquote(name)

    def read(self, name: str, limit: int = MAX_ENTRY_BYTES) -> bytes:
        """One file, unpacked; raises TapestryError when missing, damaged or over the limit."""
        if name not in self:
            raise damaged(f"{quoted(name[:80])} is missing")
        name = self._listed(name)
        if self._zip.getinfo(name).file_size > limit:
            raise too_large(f"{quoted(name[:80])} unpacks to more than {limit} bytes")
        if name in self._broken:
            raise damaged(f"{quoted(name[:80])} cannot be unpacked")
        return self._zip.read(name)

    def start(self, name: str, size: int) -> bytes:
        """The first bytes of a file, with no more unpacked; nothing of a missing or damaged one."""
        name = self._listed(name)
        if name not in self or name in self._broken:
            return b""
        with self._zip.open(name) as file:
            return file.read(size)

    def _is_sound(self, entry: zipfile.ZipInfo) -> bool:
        """Unpack a file piece by piece."""
        try:
            with self._zip.open(entry) as file:
                while file.read(_PIECE_BYTES):
                    pass
        except _ZIP_ERRORS:
            return False
        return True

    def _rest_of(self, entry: zipfile.ZipInfo) -> bytes:
        """The part of a damaged file that can be unpacked: another program may repair more."""
        pieces = []
        with suppress(*_ZIP_ERRORS), self._zip.open(entry) as file:
            while piece := file.read(_SMALL_PIECE_BYTES):
                pieces.append(piece)
        return b"".join(pieces)

    def copy(self, changed: Mapping[str, bytes]) -> bytes:
        """The same archive with some files replaced or added, every other one byte for byte.

        Of one that is damaged what can be read of it. The mimetype comes first and is stored, as
        the format wants; new files come last.
        """
        output = io.BytesIO()
        with zipfile.ZipFile(output, "w") as copied:
            copied.writestr(_entry("mimetype", zipfile.ZIP_STORED), MIMETYPE)
            for entry in self._entries:
                if entry.filename == "mimetype":
                    continue
                info = _entry(entry.filename, entry.compress_type)
                info.date_time, info.external_attr = entry.date_time, entry.external_attr
                data = changed.get(entry.filename)
                if data is None:
                    broken = entry.filename in self._broken
                    data = self._rest_of(entry) if broken else self.read(entry.filename)
                copied.writestr(info, data)
            for name, data in changed.items():
                if name not in self:
                    copied.writestr(_entry(name, zipfile.ZIP_STORED), data)
        return output.getvalue()


def _entry(name: str, compression: int) -> zipfile.ZipInfo:
    """An entry without the time of day, so that the same picture gives the same bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type = compression
    info.external_attr = 0o644 << 16
    return info


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse what no saving program writes, before anything is unpacked."""
    if len(entries) > MAX_ENTRIES:
        raise too_large(f"{len(entries)} files inside")
    names = {entry.filename for entry in entries}
    if len(names) != len(entries):
        raise damaged("two files inside have the same name")
    for entry in entries:
        parts = entry.filename.replace("\\", "/").split("/")
        if ".." in parts or entry.filename.startswith(("/", "\\")) or ":" in parts[0]:
            raise damaged(f"{quoted(entry.filename[:80])} points out of it")
        if entry.flag_bits & _ENCRYPTED:
            raise damaged("it is encrypted")
        if entry.compress_type not in _KNOWN_COMPRESSION:
            raise damaged(f"{quoted(entry.filename[:80])} is packed in an unusual way")
    if any(entry.file_size > MAX_ENTRY_BYTES for entry in entries):
        raise too_large(f"a file inside unpacks to more than {MAX_ENTRY_BYTES // 2**20} MiB")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise too_large(f"it unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MiB")
