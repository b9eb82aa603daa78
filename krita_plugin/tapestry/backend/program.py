"""Runs another program without waiting for it: what it says goes to a log, and it can be paused."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from ..common.removal import patiently
from ..common.task_queue import pause

POLL_S = 0.2
"""How often it is asked what has become of a program, a download, another Krita."""

_CAN_STAND_STILL = os.name == "posix"
"""Elsewhere a program that is paused is ended, and begun anew: uv goes on with what it has."""


class Program:
    """One run of a command.

    said     what it has said, of both kinds
    is_done  whether it has succeeded
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.said = ""
        self.is_done = False
        self._command, self._log, self._environment = list(command), log, environment
        self._seconds = 0.0

    async def run(
        self, is_paused: Callable[[], bool], follow: Callable[[str, float], None]
    ) -> None:
        """To its end; raises OSError where it cannot be started.

        follow  is told now and then what it has said, and for how many seconds it has run
        """
        with self._log.open("ab") as log:
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
        self._read(start)
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
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(self._environment),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    def _read(self, start: int) -> str:
        with self._log.open("rb") as file:
            file.seek(start)
            self.said = file.read().decode("utf-8", "replace")
        return self.said
