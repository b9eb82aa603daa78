"""Installs the backend that the plugin carries, in turns of Krita's event loop.

uv comes first, then the environment, then everything in it; a stamp says at last that all of it is
there. Whatever ends it in between, the next one goes on with what was fetched.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from tapestry_protocol import VERSION
from tapestry_protocol.accelerators import Accelerator, package_index_accelerator
from tapestry_protocol.errors import TapestryError

from ..common.ownership import lock_on
from ..common.removal import clear, leaving_of, remove
from ..common.task_queue import Loop, Task, Work, pause
from ..i18n.translation import decimal, tr
from .bundled import BundledBackend, packages_in
from .install_errors import (
    LOCKED_SIGNS,
    PyTorchAwayError,
    of_pytorchs_index,
    of_the_disk,
    of_the_system,
    what_it_means,
)
from .install_progress import read_progress
from .process import clean_environment
from .program import POLL_S, Program, end_left_over, open_log
from .uv_download import Fetch, UvDownload
from .uv_settings import without_userinfo

_GB = 10**9
_LOCKED_TRIES, _LOCKED_WAIT_S = 3, 3.0
_SHARE_OF_THE_REST = 0.5
"""Share of the room on the disk that suffices where an installation goes on."""


class BackendInstaller:
    """At most one installation, or removal, at a time in all Kritas of this user.

    changed  is called whenever there is something else to show
    """

    def __init__(
        self,
        own: BundledBackend,
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
        self.is_paused = False
        self.is_removing = False
        self.is_broken = False
        """What is installed does not start."""
        self.is_new = False
        """Another backend is there than the one that may be running."""
        self._loop = loop
        self._changed = changed
        self._environment = own.variables(clean_environment(environment))
        self._uv = UvDownload(own, fetch, self._environment)
        self._task: Task | None = None
        self._is_agreed = False

    @property
    def is_running(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        """Install, or go on with it."""
        self._begin(self._install)

    def check(self) -> None:
        """Look whether what is installed still starts."""
        if self.own.is_installed:
            self._begin(self._check)

    def sweep(self) -> None:
        """Take away what a Krita that ended in the middle of a removal has left."""
        if leaving_of(self.own.folder).exists():
            self._begin(self._sweep)

    def tidy(self) -> None:
        """Take away earlier releases; none of them may be running."""
        if self.own.is_installed and self.own.others():
            self._begin(self._tidy)

    def uninstall(self) -> None:
        """Take back all of it."""
        self._begin(self._uninstall)

    def pause(self) -> None:
        """Stand still, or go on."""
        if self.is_running:
            self.is_paused = not self.is_paused
            self._changed()

    def cancel(self) -> None:
        """Stop; what was fetched stays for the next time."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            self.doing, self.is_paused, self.is_removing = "", False, False
            self._changed()

    def _begin(self, work: Callable[[], Work[None]]) -> None:
        if self._task is None:
            self.trouble, self.share, self.is_paused = None, 0.0, False
            self.is_removing = work in (self._uninstall, self._sweep, self._tidy)
            self._task = Task(self._loop, work(), lambda _: self._end(None), self._failed)
            self._changed()

    def _failed(self, error: Exception) -> None:
        if isinstance(error, OSError):
            error = of_the_system(error, self.own)
        if not isinstance(error, TapestryError):
            self._end(None)
            raise error
        self._end(error)

    def _end(self, error: TapestryError | None) -> None:
        self._task, self.doing, self.trouble, self.is_paused = None, "", error, False
        self.is_removing = False
        if error is not None:
            _note(self.own.log, f"{error.message} {error.advice}")
        self._changed()

    async def _install(self) -> None:
        own = self.own
        with await self._alone():
            await end_left_over(own.folder)
            if own.is_installed and not self.is_broken:  # by another Krita meanwhile
                self.is_new = True
                return
            _check_space(own, own.accelerator)
            _note(own.log, f"Tapestry {VERSION}, {platform.platform()}, into {own.folder}")
            own.begin()
            await self._uv.get(self._say, lambda: self.is_paused)
            self._say(tr("Making a Python environment\u2026"), 0.05)
            await self._run(own.make_environment())
            self._say(tr("Asking which packages are needed\u2026"), 0.08)
            await self._install_packages()
            self._say(tr("Looking whether the backend starts\u2026"), 0.97)
            await self._run([str(own.next_program), "doctor"])
            own.finish()
            self.is_broken, self.is_new = False, True
            _note(own.log, "Installed.")

    async def _tidy(self) -> None:
        """With what the earlier releases alone had in uv's cache.

        What cannot go now goes with a later Krita: Windows keeps what still runs.
        """
        with await self._alone():
            self._say(tr("Removing the earlier backend\u2026"), 0.0)
            others = self.own.others()
            gone = {name for other in others for name in packages_in(other)}
            outdated = {
                name.rpartition("-")[0] for name in gone - packages_in(self.own.environment)
            }
            for other in others:
                with suppress(OSError):
                    await remove(other)
            if outdated:
                with suppress(TapestryError, OSError):
                    await self._run(self.own.forget(sorted(outdated)))

    async def _install_packages(self) -> None:
        """With the PyTorch that was offered; where that is away, with another one."""
        try:
            await self._run(self.own.install(choose_torch=True))
        except PyTorchAwayError as error:
            is_own = self._uv.local(self.own.torch_wheels()) is not None
            command = self.own.install(choose_torch=False, is_known=not is_own)
            if not is_own:
                await self._agree_on_another(error, command)
            await self._run(command)

    async def _agree_on_another(self, error: PyTorchAwayError, command: Sequence[str]) -> None:
        """The package index may have another build alone, ten times as large: ask once.

        It is not offered before that index has answered: perhaps there is no network at all.
        """
        theirs = package_index_accelerator()
        if theirs != self.own.accelerator and not self._is_agreed:
            await self._run([*command, "--dry-run"])
            self._is_agreed = True
            raise of_pytorchs_index(error, theirs)
        _check_space(self.own, theirs)

    async def _check(self) -> None:
        with await self._alone():
            self._say(tr("Looking whether the backend starts\u2026"), 0.0)
            command = [str(self.own.next_program), "doctor"]
            program = Program(command, self.own.log, self._environment, self.own.folder)
            try:
                await program.run(lambda: False, lambda *_: None)
            except OSError:
                program.is_done = False
            self.is_broken = not program.is_done

    async def _uninstall(self) -> None:
        with await self._alone():
            await end_left_over(self.own.folder)
            self._say(tr("Removing the backend\u2026"), 0.0)
            await remove(self.own.folder)
            _note(self.own.log, "Removed.")

    async def _sweep(self) -> None:
        with await self._alone():
            self._say(tr("Removing the backend\u2026"), 0.0)
            await clear(self.own.folder)

    async def _alone(self) -> AbstractContextManager[None]:
        """Wait for other Kritas, which wait for this one while the context is open."""
        while (handle := lock_on(self.own.lock)) is None:
            self._say(tr("Another Krita is installing it\u2026"), 0.0)
            await pause(POLL_S)
        return _holding(handle)

    async def _run(self, command: Sequence[str]) -> None:
        """Run one command to its end, more than once where another program holds its files."""
        for tries_left in reversed(range(_LOCKED_TRIES)):
            program = Program(command, self.own.log, self._environment, self.own.folder)
            await program.run(lambda: self.is_paused, self._follow)
            if program.is_done:
                return
            is_locked = any(sign in program.said for sign in LOCKED_SIGNS)
            if not (is_locked and tries_left):
                raise what_it_means(program.said, self.own)
            await pause(_LOCKED_WAIT_S)

    def _follow(self, said: str, seconds: float) -> None:
        fetched = read_progress(said)
        if fetched is not None:
            self._say(fetched.words(seconds), fetched.share())

    def _say(self, words: str, share: float) -> None:
        if (words, share) != (self.doing, self.share):
            self.doing, self.share = words, share
            self._changed()


def _check_space(own: BundledBackend, accelerator: Accelerator) -> None:
    own.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    needed_gb: float = accelerator.disk_gb
    if own.environment.exists():
        needed_gb *= _SHARE_OF_THE_REST
    free_gb = shutil.disk_usage(own.folder).free / _GB
    if free_gb < needed_gb:
        raise of_the_disk(tr("{free} GB are free").format(free=decimal(round(free_gb, 1))), own)


def _note(log: Path, line: str) -> None:
    """For who reads the log to help; a disk that is full does without."""
    said = f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] {without_userinfo(line)}\n"
    with suppress(OSError), open_log(log) as file:
        file.write(said.encode("utf-8", "backslashreplace"))


@contextmanager
def _holding(handle: int) -> Iterator[None]:
    try:
        yield
    finally:
        if handle:
            os.close(handle)
