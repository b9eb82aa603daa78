"""Files that a command was asked to write: looked at before the work, and not lost after it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.files import refuse_unwritable, write_whole


def check_output(path: Path) -> None:
    """Raises TapestryError when nothing can be written there: before minutes are spent."""
    try:
        refuse_unwritable(path)
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from error


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
            sentences.append(_sentence(path, error) + _rescued(path, data))
    if sentences:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            " ".join(sentences),
            "Check that there is space on the disk and that the folder may be written.",
        )


def _rescued(path: Path, data: bytes) -> str:
    """Keep the data elsewhere; a sentence that says where, if that goes."""
    elsewhere = ""
    try:
        handle, elsewhere = tempfile.mkstemp(prefix="tapestry-", suffix=path.suffix)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError:
        if elsewhere:
            Path(elsewhere).unlink(missing_ok=True)
        return ""
    return f" What should be there is in {elsewhere!r}."


def _sentence(path: Path, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    return f"{str(path)!r} cannot be written ({reason})."
