"""Runs another program without waiting for it: what it says goes to a log, and it can be paused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..common.atomic_write import write_atomically
from ..common.removal import patiently
from ..common.task_queue import pause
from .uv_settings import without_userinfo

POLL_S = 0.2
"""How often a program, a download, another Krita is polled."""

_CAN_STAND_STILL = os.name == "posix"
"""Elsewhere a program that is paused is ended, and begun anew: uv goes on with what it has."""

_NICENESS = 10
"""Behind Krita, where both want the processor."""

_RUNNING = "running"
"""File in a program's folder: which process it is, and when that began."""

_GONE_WITHIN_S = 10.0


class Program:
    """One run of a command.

    folder   where it runs, and no other program at the same time
    said     what it has said, of both kinds, without secrets
    is_done  whether it has succeeded
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str], folder: Path
    ) -> None:
        self.said = ""
        self.is_done = False
        self._command, self._log, self._environment = list(command), log, environment
        self._folder = folder
        self._seconds = 0.0

    async def run(
        self, is_paused: Callable[[], bool], follow: Callable[[str, float], None]
    ) -> None:
        """To its end; raises OSError where it cannot be started.

        follow  is called now and then with its output, and for how many seconds it has run
        """
        with open_log(self._log) as log:
            log.write(f"$ {' '.join(self._command)}\n".encode("utf-8", "backslashreplace"))
            log.flush()
            start = log.tell()
            process = await patiently(lambda: self._begin(log))
            try:
                while process.poll() is None:
                    if is_paused():
                        process = await self._stand_still(process, log, is_paused)
                    follow(self._read(start), self._seconds)
                    before = time.monotonic()
                    await pause(POLL_S)
                    self._seconds += time.monotonic() - before
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                (self._folder / _RUNNING).unlink(missing_ok=True)
                self._tidy(log, start)
        self.is_done = process.returncode == 0

    async def _stand_still(
        self, process: subprocess.Popen[bytes], log: IO[bytes], is_paused: Callable[[], bool]
    ) -> subprocess.Popen[bytes]:
        """Gives the process that goes on; closing this coroutine leaves the other to its caller."""
        if _CAN_STAND_STILL:
            process.send_signal(signal.SIGSTOP)
        else:
            process.kill()
            process.wait()
        while is_paused():
            await pause(POLL_S)
        if not _CAN_STAND_STILL:
            return await patiently(lambda: self._begin(log))
        process.send_signal(signal.SIGCONT)
        return process

    def _begin(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        behind = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
        process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(self._environment),
            creationflags=hidden | behind,
        )
        with suppress(OSError):
            if sys.platform != "win32":
                os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
            write_atomically(self._folder / _RUNNING, f"{process.pid} {_birth(process.pid)}")
        return process

    def _read(self, start: int) -> str:
        with self._log.open("rb") as file:
            file.seek(start)
            self.said = without_userinfo(file.read().decode("utf-8", "replace"))
        return self.said

    def _tidy(self, log: IO[bytes], start: int) -> None:
        """What was said stands in the log without secrets."""
        with suppress(OSError):
            said = self._read(start).encode()
            log.truncate(start)
            log.write(said)
            log.flush()


def open_log(path: Path) -> IO[bytes]:
    """A log to be written on, which its owner alone can read; raises OSError."""
    log = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")
    with suppress(OSError):
        path.chmod(0o600)  # of an earlier version
    return log


async def end_left_over(folder: Path) -> None:
    """End the program that a Krita which is gone has left in this folder, perhaps standing still.

    Its number may be another program's by now, so it has to have begun at the same time.
    """
    file = folder / _RUNNING
    try:
        number, _, birth = file.read_text(encoding="utf-8").partition(" ")
        pid = int(number)
    except (OSError, ValueError):
        return
    if birth and _birth(pid) == birth:
        with suppress(OSError):
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        end = time.monotonic() + _GONE_WITHIN_S
        while _birth(pid) == birth and time.monotonic() < end:
            await pause(POLL_S)
    with suppress(OSError):
        file.unlink()


def _birth(pid: int) -> str:
    """When a process began; "" where there is none, or that cannot be known.

    On Windows no program stands still, so that the one that was left ends by itself.
    """
    if sys.platform == "linux":
        with suppress(OSError, IndexError):
            said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            state, *others = said.rpartition(")")[2].split()
            return "" if state == "Z" else others[18]
    elif sys.platform != "win32":
        with suppress(OSError):
            asked = ["ps", "-o", "lstart=", "-p", str(pid)]
            finished = subprocess.run(asked, capture_output=True, text=True, check=False)
            return finished.stdout.strip()
    return ""
