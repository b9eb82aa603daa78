"""Installs the backend that the plugin carries, in turns of Krita's event loop; no widgets.

uv comes first, then the environment, then everything in it; a stamp says at last that all of it is
there. Whatever ends it in between, the next one goes on with what was fetched.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from tapestry_protocol.errors import ErrorCode, TapestryError

from .backend_process import clean_environment
from .own_backend import NEEDED_BYTES, OwnBackend
from .translation import tr
from .turns import Loop
from .uv_program import unpack_uv, uv_wheel

_EVERY_S = 0.2
_GIB, _MIB = 2**30, 2**20

_DOWNLOADING = re.compile(r"^Downloading (\S+) \(([\d.]+)(KiB|MiB|GiB)\)")
_DOWNLOADED = re.compile(r"^ *Downloaded (\S+)")
_UNITS = {"KiB": 2**10, "MiB": _MIB, "GiB": _GIB}

_NETWORK = ("dns error", "error sending request", "timed out", "Connection refused", "tunnel")
_DISK = ("No space left on device", "not enough space", "os error 28", "os error 112")


class Download(Protocol):
    """A file on its way."""

    received_bytes: int
    total_bytes: int
    is_done: bool
    error: str

    def cancel(self) -> None: ...


Fetch = Callable[[str, Path], Download]
"""Begins to fetch an address into a file, and goes on where it ended."""


class BackendInstaller:
    """At most one installation at a time, in all Kritas of this user.

    changed  is called whenever there is something else to show
    """

    def __init__(
        self,
        own: OwnBackend,
        loop: Loop,
        fetch: Fetch,
        changed: Callable[[], None],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.own = own
        self.doing = ""
        """What is done right now, in words; empty while nothing is."""
        self.share = 0.0
        self.trouble: TapestryError | None = None
        self._loop = loop
        self._fetch = fetch
        self._changed = changed
        self._environment = {**clean_environment(environment), **own.variables(environment)}
        self._work: Generator[None, None, None] | None = None

    @property
    def is_running(self) -> bool:
        return self._work is not None

    def start(self) -> None:
        """Install, or go on with it."""
        if self._work is None:
            self.trouble, self.share = None, 0.0
            self._work = self._install()
            self._turn()

    def cancel(self) -> None:
        """Stop; what was fetched stays for the next time."""
        work, self._work = self._work, None
        if work is not None:
            work.close()
            self.doing = ""
            self._changed()

    def _turn(self) -> None:
        if self._work is None:
            return
        try:
            next(self._work)
        except StopIteration:
            self._end(None)
        except TapestryError as error:
            self._end(error)
        except OSError as error:
            self._end(_of_the_disk(str(error), self.own))
        else:
            self._changed()
            self._loop.call_later(_EVERY_S, self._turn)

    def _end(self, error: TapestryError | None) -> None:
        self._work, self.doing, self.trouble = None, "", error
        self._changed()

    def _install(self) -> Generator[None, None, None]:
        own = self.own
        yield from self._wait_for_others()
        with _locked(own):
            if own.is_installed:  # by another Krita meanwhile
                return
            _check_space(own)
            own.begin()
            yield from self._get_uv()
            self._say(tr("Making a Python environment\u2026"), 0.05)
            yield from self._run(own.make_environment())
            self._say(tr("Asking which packages are needed\u2026"), 0.08)
            try:
                yield from self._run(own.install(choose_torch=True))
            except _PyTorchAwayError:
                yield from self._run(own.install(choose_torch=False))
            self._say(tr("Looking whether the backend starts\u2026"), 0.97)
            yield from self._run([str(own.program), "doctor"])
            own.finish()

    def _wait_for_others(self) -> Generator[None, None, None]:
        while _holder(self.own.lock):
            self._say(tr("Another Krita is installing it\u2026"), 0.0)
            yield

    def _get_uv(self) -> Generator[None, None, None]:
        wheel, program = uv_wheel(), self.own.uv
        if program.exists():
            return
        archive = self._local(wheel.name)
        if archive is None:
            archive = self.own.folder / wheel.name
            download = self._fetch(wheel.url, archive)
            try:
                while not download.is_done:
                    part = f"{download.received_bytes / _MIB:.0f}"
                    self._say(tr("Fetching uv\u2026 {part} MB").format(part=part), 0.01)
                    yield
            finally:
                download.cancel()
            if download.error:
                raise _of_the_network(download.error)
        unpack_uv(archive, wheel, program)
        if archive.parent == self.own.folder:
            archive.unlink()

    def _local(self, name: str) -> Path | None:
        """In a folder of wheels that the artist's pip or uv knows."""
        folders = self._environment.get("UV_FIND_LINKS", "").split()
        found = (Path(folder) / name for folder in folders)
        return next((path for path in found if path.exists()), None)

    def _run(self, command: Sequence[str]) -> Generator[None, None, None]:
        """Run one command to its end; what it says goes to the log, and is followed there."""
        with self.own.log.open("ab") as log:
            log.write(f"$ {' '.join(command)}\n".encode())
            log.flush()
            start = log.tell()
            process = _begin(command, log, self._environment)
        try:
            while process.poll() is None:
                self._follow(_said(self.own.log, start))
                yield
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode:
            raise _what_it_means(_said(self.own.log, start), self.own)

    def _follow(self, said: str) -> None:
        """What uv fetches at present, and how much of it is here."""
        sizes, here = {}, set()
        for line in said.splitlines():
            if found := _DOWNLOADING.match(line):
                sizes[found[1]] = float(found[2]) * _UNITS[found[3]]
            elif found := _DOWNLOADED.match(line):
                here.add(found[1])
        if sizes:
            whole, done = sum(sizes.values()), sum(sizes[n] for n in here & set(sizes))
            words = tr("Fetching packages\u2026 {done} of {whole} MB").format(
                done=round(done / _MIB), whole=round(whole / _MIB)
            )
            self._say(words, 0.1 + 0.8 * done / whole)

    def _say(self, words: str, share: float) -> None:
        self.doing, self.share = words, share


class _PyTorchAwayError(TapestryError):
    """PyTorch's own index cannot be reached; the package index may have it as well."""


def _what_it_means(said: str, own: OwnBackend) -> TapestryError:
    errors = [line for line in said.splitlines() if line.lower().startswith("error")]
    last = errors[-1] if errors else (said.strip().splitlines() or ["?"])[-1]
    if any(sign in said for sign in _DISK):
        return _of_the_disk(last, own)
    if any(sign in said for sign in _NETWORK):
        error = _of_the_network(last)
        if "download.pytorch.org" in said:
            return _PyTorchAwayError(error.code, error.message, error.advice)
        return error
    return TapestryError(
        ErrorCode.INTERNAL,
        tr("The backend could not be installed: {why}").format(why=last[:300]),
        tr("The file {log} says more.").format(log=own.log),
    )


def _of_the_network(why: str) -> TapestryError:
    return TapestryError(
        ErrorCode.INTERNAL,
        tr("The package index cannot be reached: {why}").format(why=why[:300]),
        tr("Check the network (or the proxy), then press Install once more: it goes on."),
    )


def _of_the_disk(why: str, own: OwnBackend) -> TapestryError:
    return TapestryError(
        ErrorCode.INTERNAL,
        tr("The backend cannot be written to {folder}: {why}").format(folder=own.folder, why=why),
        tr("Make room on the disk (4 GB), then press Install once more: it goes on."),
    )


def _check_space(own: OwnBackend) -> None:
    own.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    free, goes_on = shutil.disk_usage(own.folder).free, own.environment.exists()
    if free < (NEEDED_BYTES // 4 if goes_on else NEEDED_BYTES):
        raise _of_the_disk(tr("{free} GB are free").format(free=f"{free / _GIB:.1f}"), own)


def _begin(
    command: Sequence[str], log: IO[bytes], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _said(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode("utf-8", "replace")


@contextmanager
def _locked(own: OwnBackend) -> Generator[None, None, None]:
    own.lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    own.lock.write_text(str(os.getpid()), encoding="utf-8")
    try:
        yield
    finally:
        own.lock.unlink(missing_ok=True)


def _holder(lock: Path) -> int:
    """The process of another Krita that installs right now; 0: none does."""
    with suppress(OSError, ValueError):
        holder = int(lock.read_text(encoding="utf-8"))
        if holder != os.getpid() and _is_alive(holder):
            return holder
    return 0


def _is_alive(process_id: int) -> bool:
    if os.name != "posix":
        return False  # a signal would end it there; uv has locks of its own
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
