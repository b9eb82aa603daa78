"""Removes large folders in short pieces, also where other programs hold their files for a while."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

PATIENCE_S = 20.0
"""A virus scanner looks at a new file for seconds; Windows lets nobody else move it meanwhile."""

LEAVING = ".leaving"
"""The end of its name while a folder is removed."""

_PIECE_S = 0.02

Value = TypeVar("Value")


def patiently(action: Callable[[], Value]) -> Generator[str | None, None, Value]:
    """Do something with a file, again and again while another program holds it; raises OSError."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return action()
        except PermissionError:
            if time.monotonic() > end:
                raise
        yield None


def remove(folder: Path) -> Generator[str | None, None, None]:
    """Take a folder away, with all that is in it; raises OSError for what cannot be removed.

    It has another name first, so that half of it is never taken for what it was.
    """
    leaving = folder.with_name(f"{folder.name}{LEAVING}")
    yield from _take_away(leaving)  # what was left the last time
    if folder.exists():
        yield from patiently(lambda: folder.rename(leaving))
        yield from _take_away(leaving)


def _take_away(folder: Path) -> Generator[str | None, None, None]:
    if not folder.exists():
        return
    end = time.monotonic() + _PIECE_S
    for place, folders, files in os.walk(folder, topdown=False):
        here = Path(place)
        links = {name for name in folders if (here / name).is_symlink()}
        for name in (*files, *links):
            yield from patiently(partial(_unlink, here / name))
            if time.monotonic() > end:
                yield None
                end = time.monotonic() + _PIECE_S
        for name in set(folders) - links:
            yield from patiently((here / name).rmdir)
    yield from patiently(folder.rmdir)


def _unlink(path: Path) -> None:
    with suppress(FileNotFoundError):
        try:
            path.unlink()
        except PermissionError:
            path.chmod(stat.S_IWRITE | stat.S_IREAD)  # Windows keeps files that are read-only
            path.unlink()
