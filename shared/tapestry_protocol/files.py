"""Files that exist already: written through links, with their rights, whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_ANY_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def open_file(path: Path) -> BinaryIO:
    """A file to be read; raises OSError.

    A named pipe is none: reading from it waits for a writer, perhaps for ever.
    """
    if _is_named_pipe(path):
        raise _refused(path, "it is a named pipe, and no file")
    return path.open("rb")


def refuse_unwritable(path: Path) -> None:
    """Raises OSError where `write_whole` would, as far as that can be known beforehand.

    A file without write permission is protected, also from an administrator who could.
    """
    target, status = found_behind(path)
    folder = target.parent
    if status is None and not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "its folder does not exist", str(path))
    if not os.access(folder if status is None else target, os.W_OK):
        raise _refused(path, "it may not be written")
    if status is None or _may_be_replaced(target, status):
        _try_beside(target, path)


def write_whole(path: Path, pieces: Iterable[bytes], mode: int = 0o666) -> None:
    """Write a file at once: a reader finds what was there, or all of the new.

    A link stays one, and what it leads to is written; a file keeps its rights, its owner, and its
    other names. mode: of a new file, before the user's umask. Raises OSError.
    """
    target, status = found_behind(path)
    if status is not None and not _may_be_replaced(target, status):
        _write_over(target, list(pieces))  # all of it is made before anything is lost
        return
    aside = _aside(target)
    handle = os.open(aside, _NEW_FILE, mode if status is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
        if status is not None and not _take_rights(aside, status):
            _write_over(target, [aside.read_bytes()])
            aside.unlink()
            return
        aside.replace(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def found_behind(path: Path) -> tuple[Path, os.stat_result | None]:
    """The file that a path means in the end, and what is known of it; None where there is none.

    Raises OSError where it must not be written. A named pipe keeps nothing, and who writes into one
    waits for a reader.
    """
    target = Path(os.path.realpath(path))
    with suppress(FileNotFoundError):
        status = path.stat()
        if _is_named_pipe(path):
            raise _refused(path, "it is a pipe, which keeps nothing")
        if not stat.S_ISREG(status.st_mode) and not target.exists():
            return path, status
    try:
        status = target.stat()
    except FileNotFoundError:
        return target, None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not status.st_mode & _ANY_WRITE:
        raise _refused(path, "it is protected from writing")
    return target, status


def _aside(target: Path) -> Path:
    """A free name beside a file, for what is to come in its place."""
    return target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}")


def _try_beside(target: Path, path: Path) -> None:
    """Make a file there and take it away: rights promise an administrator too much (/proc)."""
    aside = _aside(target)
    try:
        os.close(os.open(aside, _NEW_FILE, 0o600))
        aside.unlink()
    except OSError as error:
        raise _refused(path, "no file can be made in its folder") from error


def _is_named_pipe(path: Path) -> bool:
    """Whether its other end may never be opened; a shell's (/dev/stdin, "<(...)") have theirs."""
    try:
        is_pipe = stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False
    return is_pipe and os.path.exists(os.path.realpath(path))  # noqa: PTH110  a shell's has no path


def _refused(path: Path, reason: str) -> PermissionError:
    return PermissionError(errno.EACCES, reason, str(path))


def _may_be_replaced(target: Path, status: os.stat_result) -> bool:
    """Whether another file in its place is the same to everyone: no device, no second name."""
    is_alone = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    return is_alone and os.access(target.parent, os.W_OK)


def _take_rights(aside: Path, status: os.stat_result) -> bool:
    """Give a new file the rights and the owner of the one in whose place it comes."""
    now = aside.stat()
    if (now.st_uid, now.st_gid) != (status.st_uid, status.st_gid):
        with suppress(OSError):
            os.chown(aside, status.st_uid, status.st_gid)
        now = aside.stat()
    aside.chmod(stat.S_IMODE(status.st_mode))
    return (now.st_uid, now.st_gid) == (status.st_uid, status.st_gid)


def _write_over(target: Path, data: Iterable[bytes]) -> None:
    """Write into the file itself."""
    with target.open("r+b" if target.is_file() else "wb") as file:
        file.writelines(data)
        if target.is_file():
            file.truncate()
