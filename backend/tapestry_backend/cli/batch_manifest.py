"""`manifest.jsonl` of a batch: a line of JSON for each picture, and which of them are right."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.files import open_file, write_whole
from tapestry_protocol.sentences import quoted

from ..outputs import unwritable

NAME = "manifest.jsonl"
_BEGINNING = b'{"picture'
"""Of each line: by it the first one is known as ours, though it was cut off."""


class Made(NamedTuple):
    """What the manifest keeps of a picture.

    picture, scene    the picture's name in the folder, and the scene's place as seen from there
    made_from    SHA-256 of everything that decides the picture
    files      the picture and what lies beside it: name -> SHA-256
    place      where its line begins and how long it is, in bytes of the manifest
    """

    picture: str
    scene: str
    seed: int
    made_from: str
    files: Mapping[str, str]
    place: tuple[int, int]


class Manifest:
    """The manifest of a folder, mended where it was cut off: a killed process leaves half a line.

    Raises TapestryError when it cannot be read, or is that of another program. Notes say what was
    damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.notes: list[str] = []
        self._folder = folder
        self._path = folder / NAME
        self._made: dict[str, Made] = {}
        self._stale = 0
        try:
            self._read()
            self.tidy()
        except OSError as error:
            raise unwritable(self._path, error) from error

    @property
    def pictures(self) -> tuple[Made, ...]:
        """All pictures that it knows, there or not."""
        return tuple(self._made.values())

    def files_of(self, picture: str) -> frozenset[str]:
        """The files that it knows of a picture, there or not: they may be replaced."""
        made = self._made.get(picture)
        return frozenset() if made is None else frozenset(made.files)

    def right_files(self, picture: str, made_from: str) -> frozenset[str]:
        """The picture's files that are there, whole, and made from just this."""
        made = self._made.get(picture)
        if made is None or made.made_from != made_from:
            return frozenset()
        return frozenset(
            name for name, sha256 in made.files.items() if _hash_of(self._folder / name) == sha256
        )

    def line_of(self, picture: str) -> dict[str, Any]:
        """All that its line says."""
        with self._path.open("rb") as file:
            line = _line_at(file, self._made[picture].place)
        found: dict[str, Any] = json.loads(line)
        return found

    def add(self, line: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Write the files of a picture, and its line, which names all that it has.

        A process that is killed meanwhile leaves the picture as it was before, or whole; what it
        had begun is written over by the next. Raises OSError, and has written nothing then.
        """
        asides = {self._folder / f".{name}.part": self._folder / name for name in files}
        try:
            for aside, data in zip(asides, files.values(), strict=True):
                aside.write_bytes(data)
            made = self._append(line)
        except BaseException:
            for aside in asides:
                aside.unlink(missing_ok=True)
            raise
        for aside, path in asides.items():
            aside.replace(path)
        self._take(made)

    def tidy(self) -> None:
        """Write it anew without lines that are damaged, or that a later one has overtaken."""
        if not self._stale:
            return
        write_whole(self._path, self._kept_lines())
        self._made, self._stale = {}, 0
        self._read()

    def _kept_lines(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            for made in self._made.values():
                yield _line_at(file, made.place)

    def _read(self) -> None:
        if not self._path.exists():
            return
        damaged, is_ours = 0, True
        with open_file(self._path) as file:
            for start, line in _lines(file):
                made = _made_of(line, start)
                if made is None:
                    damaged += 1
                    is_ours &= not line.endswith(b"\n") and _BEGINNING.startswith(line[:9])
                    continue
                self._take(made)
        if not is_ours and not self._made:
            raise _foreign(self._path)
        if damaged:
            self.notes.append(
                f"{NAME} had {damaged} damaged line{'s' if damaged > 1 else ''}, as a process that "
                "was killed leaves: what is missing is painted again, once a picture that it no "
                "longer knows is moved away."
            )
        self._stale += damaged

    def _take(self, made: Made) -> None:
        """The last line of a picture holds."""
        self._stale += self._made.pop(made.picture, None) is not None
        self._made[made.picture] = made

    def _append(self, line: Mapping[str, Any]) -> Made:
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        data = text.encode("utf-8", "backslashreplace") + b"\n"
        # Unbuffered: a buffer would be written once more after the line was taken back.
        with self._path.open("ab", buffering=0) as file:
            start = file.seek(0, os.SEEK_END)
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    os.truncate(self._path, start)
                raise
        made = _made_of(data, start)
        if made is None:
            raise TypeError("a line that cannot be read again")
        return made


def _lines(file: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each line that is not empty, and where it begins."""
    start = 0
    for line in file:
        if line.strip():
            yield start, line
        start += len(line)


def _line_at(file: Any, place: tuple[int, int]) -> bytes:
    """A line with its end."""
    file.seek(place[0])
    data: bytes = file.read(place[1])
    return data.rstrip(b"\n") + b"\n"


def _made_of(line: bytes, start: int) -> Made | None:
    """What a line says; None where it is damaged, or none of ours."""
    try:
        fields = json.loads(line)
        made = Made(
            fields["picture"],
            fields["scene"],
            fields["seed"],
            fields["made_from"],
            fields["files"],
            (start, len(line)),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = (made.picture, made.scene, made.made_from)
    is_sound = all(type(text) is str for text in texts) and type(made.seed) is int
    is_sound &= type(made.files) is dict and all(
        type(sha256) is str and _is_plain(name) for name, sha256 in made.files.items()
    )
    return made if is_sound and line.endswith(b"\n") else None


def _is_plain(name: str) -> bool:
    """Whether a name leads to a file of the folder itself."""
    return bool(name) and not name.startswith(".") and not set(name) & {"/", "\\", "\0", ":"}


def _hash_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _foreign(path: Path) -> TapestryError:
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        f"{quoted(path)} is no manifest of a batch.",
        "Choose another folder, or move this file away.",
    )
