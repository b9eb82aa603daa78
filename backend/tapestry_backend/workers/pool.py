"""Runs jobs on workers: one process for each device."""

from __future__ import annotations

import asyncio
import sys
from asyncio import TaskGroup
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from tapestry_protocol.messages import Message, Request, SiblingDevices

from .supervisor import WorkerSupervisor

Hear = Callable[[int, Message, Mapping[str, bytes]], None]
"""Takes the number of a worker, what it says, and the pixels which that refers to, by SHA-256."""


def real_worker_command(
    models: Sequence[str], *, folders: Sequence[Path] = (), adapters: Sequence[str] = ()
) -> list[str]:
    """The command that starts a worker with these models and adapters, and what folders hold."""
    named = [f"--model={name}" for name in models] + [f"--folder={folder}" for folder in folders]
    named += [f"--adapter={name}" for name in adapters]
    return [sys.executable, "-P", "-m", "tapestry_backend.workers.worker", *named]


class Pool:
    """The workers of a server, numbered from 0; each is started again whenever it dies.

    Calls `hear` with every message of a worker or its supervisor. A job may be started only with a
    worker that is ready.

    devices  that are painted on, by a worker each. Without any, one worker takes the best device,
             and one more comes for each device like it that the first one finds.
    """

    def __init__(
        self,
        command: Sequence[str],
        hear: Hear,
        log_file: Path | None = None,
        devices: Sequence[str] = (),
    ) -> None:
        self._command = command
        self._hear = hear
        self._log_file = log_file
        self._devices = list(devices or [""])
        self._supervisors: list[WorkerSupervisor] = []

    def start_job(
        self, worker: int, job_id: str, request: Request, blobs: Mapping[str, bytes]
    ) -> None:
        """Have a worker run this job; what becomes of it is heard later."""
        self._supervisors[worker].start_job(job_id, request, blobs)

    def cancel_job(self, worker: int, job_id: str) -> None:
        """Have a worker stop this job at its next step."""
        self._supervisors[worker].cancel_job(job_id)

    async def keep_running(self) -> None:
        """Start the workers, and start them again when they die; cancel this to stop them all."""
        async with asyncio.TaskGroup() as running:
            for device in list(self._devices):
                self._take_on(device, running)

    def _take_on(self, device: str, running: TaskGroup) -> None:
        hear = partial(self._listen, running, len(self._supervisors))
        supervisor = WorkerSupervisor(self._command, hear, self._log_file, device)
        self._supervisors.append(supervisor)
        running.create_task(supervisor.keep_running())

    def _listen(
        self, running: TaskGroup, worker: int, message: Message, pixels: Mapping[str, bytes]
    ) -> None:
        if isinstance(message, SiblingDevices):
            # A worker that was started again says it again.
            for device in message.devices:
                if device not in self._devices:
                    self._devices.append(device)
                    self._take_on(device, running)
        else:
            self._hear(worker, message, pixels)
