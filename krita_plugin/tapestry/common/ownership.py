"""Which running Krita owns which files in a folder that several share.

Each Krita holds a lock on a file and writes that file's name into what it keeps. The lock ends with
the process. So what belongs to a lock that can be taken has no owner any more, and the Krita that
takes the lock becomes the new one.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import time
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = re.compile(r"[0-9a-f]{32}")
_NO_OWNER = "nobody"
"""The name of the lock for files of an earlier version of Tapestry, which name no owner."""

_OUTDATED_S = 30 * 24 * 3600
_WAIT_S, _PATIENCE_S = 0.01, 0.5

_known: weakref.WeakValueDictionary[str, Ownership] = weakref.WeakValueDictionary()


class Ownership:
    """The locks of this Krita in a folder; made by `ownership_in`, once for each folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = ""
        self._handles: dict[str, int] = {}
        weakref.finalize(self, _let_go, self._handles)

    @property
    def name(self) -> str:
        """The name to write into files that belong to this Krita; "" where it has no lock."""
        if not self._name:
            name = uuid.uuid4().hex
            with suppress(OSError):
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._sweep()
                self._handles[name] = _locked(self._folder / f"{name}.lock")
                self._name = name
        return self._name

    def is_free(self, owner: object) -> bool:
        """Take over what belongs to this owner if it has ended; whether it is this Krita's now."""
        name = owner if isinstance(owner, str) and _NAME.fullmatch(owner) else _NO_OWNER
        if name in self._handles:
            return True
        path = self._folder / f"{name}.lock"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handles[name] = _locked(path)
        except OSError as error:
            return not _is_taken(error)
        return True

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """Keep other Kritas from doing the same meanwhile.

        After _PATIENCE_S it goes on without the lock: a Krita that hangs must not stop others.
        """
        end = time.monotonic() + _PATIENCE_S
        while (handle := self._try(what)) is None and time.monotonic() < end:
            time.sleep(_WAIT_S)
        try:
            yield
        finally:
            if handle:
                os.close(handle)

    def _try(self, what: str) -> int | None:
        """The handle of a lock; None where another Krita holds it, 0 where no lock can be had."""
        return lock_on(self._folder / f"{what}.lock")

    def _sweep(self) -> None:
        """Take away the lock files of Kritas that ended long ago."""
        for path in self._folder.glob("*.lock"):
            if _NAME.fullmatch(path.stem) and path.stem not in self._handles:
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > _OUTDATED_S:
                        os.close(_locked(path))
                        path.unlink()


def ownership_in(folder: Path) -> Ownership:
    """The locks of this Krita in a folder: one object for each folder."""
    key = str(folder)
    found = _known.get(key)
    if found is None:
        found = _known[key] = Ownership(folder)
    return found


def lock_on(path: Path) -> int | None:
    """The handle of a lock; None where another process holds it, 0 where no lock can be had."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _locked(path)
    except OSError as error:
        return None if _is_taken(error) else 0


def _is_taken(error: OSError) -> bool:
    """Whether another process holds the lock, and not: this disk has no locks."""
    return error.errno in {errno.EACCES, errno.EAGAIN, errno.EDEADLK}


def _let_go(handles: dict[str, int]) -> None:
    for handle in handles.values():
        with suppress(OSError):
            os.close(handle)
    handles.clear()


def _locked(path: Path) -> int:
    """A lock on a file, until its handle is closed; raises OSError where another has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        lock_open(handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


if sys.platform == "win32":
    import msvcrt

    def lock_open(handle: int) -> None:
        """Lock an open file until it is closed; raises OSError where another has the lock."""
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def lock_open(handle: int) -> None:
        """Lock an open file until it is closed; raises OSError where another has the lock."""
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
