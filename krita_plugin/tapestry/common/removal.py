"""Removes large folders in short turns, also where other programs hold their files for a while."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from .task_queue import give_way, pause

PATIENCE_S = 20.0
"""A virus scanner reads a new file for seconds, and Windows does not let it be moved meanwhile."""

LEAVING = ".leaving"
"""The end of its name while a folder is removed."""

_RETRY_S = 0.05

Value = TypeVar("Value")


async def patiently(action: Callable[[], Value]) -> Value:
    """Do something with a file, again and again while another program holds it; raises OSError."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return action()
        except PermissionError:
            if time.monotonic() > end:
                raise
        await pause(_RETRY_S)


async def remove(folder: Path) -> None:
    """Take a folder away, with all that is in it; raises OSError for what cannot be removed.

    It has another name first, so that half of it is never taken for what it was.
    """
    leaving = leaving_of(folder)
    await clear(folder)
    if folder.exists():
        await patiently(lambda: folder.rename(leaving))
        await _take_away(leaving)


def leaving_of(folder: Path) -> Path:
    """What it is called while it is removed."""
    return folder.with_name(f"{folder.name}{LEAVING}")


async def clear(folder: Path) -> None:
    """Take away what was left when this folder was removed the last time; raises OSError."""
    await _take_away(leaving_of(folder))


async def _take_away(folder: Path) -> None:
    if not folder.exists():
        return
    for place, folders, files in os.walk(folder, topdown=False):
        here = Path(place)
        links = {name for name in folders if (here / name).is_symlink()}
        for name in (*files, *links):
            await patiently(partial(_unlink, here / name))
            await give_way()
        for name in set(folders) - links:
            await patiently((here / name).rmdir)
    await patiently(folder.rmdir)


def _unlink(path: Path) -> None:
    with suppress(FileNotFoundError):
        try:
            path.unlink()
        except PermissionError:
            path.chmod(stat.S_IWRITE | stat.S_IREAD)  # Windows keeps files that are read-only
            path.unlink()
