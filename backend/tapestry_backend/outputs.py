"""A command's output files: checked before the work, and not lost after it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from itertools import combinations, count
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.files import refuse_unwritable, write_whole
from tapestry_protocol.sentences import quoted

_KINDS = {".ora", ".png", ".json"}


def check_output(path: Path) -> None:
    """Raises TapestryError when nothing can be written there: before minutes are spent."""
    try:
        refuse_unwritable(path)
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from error


def check_apart(paths: Iterable[Path], *, alike: bool = False) -> None:
    """Raises TapestryError when two files of different kinds are one: the last would remain.

    alike: also when both are of one kind.
    """
    of_known_kind = [path for path in paths if path.suffix.lower() in _KINDS]
    for one, other in combinations(of_known_kind, 2):
        of_two_kinds = one.suffix.lower() != other.suffix.lower()
        if (alike or of_two_kinds) and is_same(one, other):
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                f"{quoted(one)} and {quoted(other)} are one file.",
                "Give each a name of its own: one would overwrite the other.",
            )


def check_not_source(source: Path, outputs: Iterable[Path], what: str) -> None:
    """Raises TapestryError where a result would be written over what it is made of.

    what: becomes of the source, as in "is what is enlarged". What it was cannot be had back.
    """
    for path in outputs:
        if is_same(source, path):
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                f"{quoted(path)} {what}: as it is now, it would be lost.",
                "Give the result a name of its own.",
            )


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths mean one file, also behind links."""
    try:
        return one.samefile(other)
    except OSError:  # at least one of them is to come
        return os.path.realpath(one) == os.path.realpath(other)


def unwritable(path: Path, error: Exception) -> TapestryError:
    """What is wrong with a file that cannot be written."""
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        _sentence(path, error),
        "Choose a file in a folder that exists, and that may be written.",
    )


def write_outputs(files: Iterable[tuple[Path, bytes]]) -> None:
    """Write each file; raises TapestryError after the last one when some could not be written.

    What cannot be written where it should be is put into the folder for temporary files.
    """
    sentences = []
    for path, data in files:
        try:
            write_whole(path, [data])
        except OSError as error:
            elsewhere = _rescued(path, data)
            kept = f" What should be there is in {quoted(elsewhere)}." if elsewhere else ""
            sentences.append(_sentence(path, error) + kept)
    if sentences:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            " ".join(sentences),
            "Check that there is space on the disk and that the folder may be written.",
        )


def keep_beside(path: Path, ending: str, data: bytes) -> str:
    """Write beside a file, under a free name; the path, or "".

    ending: of the name, behind the file's own. What cannot be kept there goes into the folder for
    temporary files.
    """
    endings = (ending if number == 1 else f"{ending}-{number}" for number in count(1))
    names = (path.with_name(f"{path.stem}{each}{path.suffix}") for each in endings)
    free = next(name for name in names if not os.path.lexists(name))
    try:
        write_whole(free, [data])
    except OSError:
        return _rescued(path, data)
    return str(free)


def _rescued(path: Path, data: bytes) -> str:
    """Keep the data in the folder for temporary files; where, or "" if that does not go."""
    elsewhere = ""
    try:
        handle, elsewhere = tempfile.mkstemp(prefix="tapestry-", suffix=path.suffix)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError:
        if elsewhere:
            Path(elsewhere).unlink(missing_ok=True)
        return ""
    return elsewhere


def _sentence(path: Path, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return f"{quoted(path)} cannot be written ({reason})."
