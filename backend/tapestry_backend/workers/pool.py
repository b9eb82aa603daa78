"""Runs jobs on workers: a process for each local device, and those of a cluster."""

from __future__ import annotations

import asyncio
import sys
from asyncio import TaskGroup
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from tapestry_protocol.messages import Message, Request, SiblingDevices

from .cluster_supervisor import ClusterSupervisor, model_arguments
from .supervisor import Hear, WorkerSupervisor

HearWorker = Callable[[int, Message, Mapping[str, bytes]], None]
"""Takes the number of a worker, what it says, and the pixels which that refers to, by SHA-256."""


class Carrier(Protocol):
    """Carries jobs to a worker; what the worker says of them is heard by its pool."""

    def start_job(
        self,
        job_id: str,
        request: Request,
        blobs: Mapping[str, bytes],
        helpers: Sequence[int] = (),
        most_rows: int = 0,
    ) -> None:
        """Have the worker run this job, with the help of others of its kind, as `Run` says."""

    def cancel_job(self, job_id: str) -> None:
        """Have the worker stop this job at its next step."""


def real_worker_command(
    models: Sequence[str],
    *,
    folders: Sequence[Path] = (),
    adapters: Sequence[str] = (),
    card: Sequence[str] = (),
) -> list[str]:
    """The command that starts a worker with these models and adapters, and what folders hold.

    card: further options, about how models are held on their device
    """
    command = [sys.executable, "-P", "-m", "tapestry_backend.workers.worker"]
    return [*command, *model_arguments(models, folders, adapters), *card]


class Pool:
    """The workers of a server, numbered from 0; each is started again whenever it dies.

    Calls `hear` with every message of a worker or its supervisor. A job may be started only with a
    worker that is ready.

    devices  that are painted on, by a worker each. Without any, one worker takes the best device,
             and one more comes for each device like it that the first one finds.
    cluster_command   starts the process that carries what is said to and by a cluster's workers;
             they come and go
    remark   takes what that process says about the cluster as a whole
    most_rows   as in `Run`
    """

    def __init__(
        self,
        command: Sequence[str],
        hear: HearWorker,
        log_file: Path | None = None,
        devices: Sequence[str] = (),
        *,
        cluster_command: Sequence[str] = (),
        remark: Callable[[Message], None] = lambda _: None,
        most_rows: int = 0,
    ) -> None:
        self._most_rows = most_rows
        self._command = command
        self._hear = hear
        self._log_file = log_file
        self._devices = list(devices or [""])
        self._cluster_command = cluster_command
        self._remark = remark
        self._carriers: list[Carrier] = []

    def start_job(
        self,
        worker: int,
        job_id: str,
        request: Request,
        blobs: Mapping[str, bytes],
        helpers: Sequence[int] = (),
    ) -> None:
        """Have a worker run this job; what becomes of it is heard later."""
        self._carriers[worker].start_job(job_id, request, blobs, helpers, self._most_rows)

    def cancel_job(self, worker: int, job_id: str) -> None:
        """Have a worker stop this job at its next step."""
        self._carriers[worker].cancel_job(job_id)

    async def keep_running(self) -> None:
        """Start the workers, and start them again when they die; cancel this to stop them all."""
        async with asyncio.TaskGroup() as running:
            for device in list(self._devices):
                self._take_on(device, running)
            if self._cluster_command:
                cluster = ClusterSupervisor(
                    self._cluster_command, self._join, self._remark, self._log_file
                )
                running.create_task(cluster.keep_running())

    def _take_on(self, device: str, running: TaskGroup) -> None:
        hear = partial(self._listen, running, len(self._carriers))
        supervisor = WorkerSupervisor(self._command, hear, self._log_file, device)
        self._carriers.append(supervisor)
        running.create_task(supervisor.keep_running())

    def _join(self, carrier: Carrier) -> tuple[int, Hear]:
        """A worker of the cluster is new: its number, and who hears it."""
        self._carriers.append(carrier)
        number = len(self._carriers) - 1
        return number, partial(self._hear, number)

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
