"""The server's side of a cluster: one process speaks with all of its workers.

Ray stays out of the server: what a lost head node does to a program that uses Ray, it does to that
process alone, which is then started again. Local workers know nothing of it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tapestry_protocol.errors import ProtocolError
from tapestry_protocol.messages import (
    Backend,
    Cancel,
    Failed,
    Joined,
    Left,
    Message,
    Remark,
    Request,
    Run,
)

from .channel import Delivery
from .supervisor import Hear, ProcessSupervisor, pixels_of

REAL_LOADER = "tapestry_backend.workers.job_runner:load_task_runner"

MOST_ROWS = 4
"""Of a batch, where workers share pictures: as few as keep a graphics card at work, so that a
picture of few windows has batches for several."""

_log = logging.getLogger("tapestry.cluster")


def cluster_command(
    address: str,
    *,
    cores: int,
    is_open: bool = False,
    loader: str = REAL_LOADER,
    models: Sequence[str] = (),
    folders: Sequence[Path] = (),
    adapters: Sequence[str] = (),
    card: Sequence[str] = (),
) -> list[str]:
    """The command that starts the process which speaks with the workers of a cluster.

    address   of the cluster's head, "host:port"; "auto": of the one that this computer is part of
    cores     of the processor, for each worker on a computer without a graphics card
    is_open   whether everyone may be let in
    loader    what loads a worker's tasks, "package.module:function"
    card      as in `real_worker_command`
    """
    command = [sys.executable, "-P", "-m", "tapestry_backend.workers.cluster.bridge"]
    command += [f"--address={address}", f"--cores={cores}", f"--loader={loader}"]
    command += ["--open-cluster"] if is_open else []
    command += [f"--card={option}" for option in card]
    return [*command, *model_arguments(models, folders, adapters)]


def model_arguments(
    models: Sequence[str], folders: Sequence[Path], adapters: Sequence[str]
) -> list[str]:
    """How a worker, or who speaks with workers, is told what there is to paint with."""
    named = [f"--model={name}" for name in models] + [f"--folder={folder}" for folder in folders]
    return [*named, *(f"--adapter={name}" for name in adapters)]


@dataclass
class ClusterWorker:
    """Carries jobs to one worker of a cluster; `number` is the cluster's own for it."""

    number: int
    send: Callable[[Delivery], None]
    number_of: Callable[[int], int]

    def start_job(
        self,
        job_id: str,
        request: Request,
        blobs: Mapping[str, bytes],
        helpers: Sequence[int] = (),
        most_rows: int = 0,
    ) -> None:
        """Have the worker run this job; what becomes of it is heard later."""
        run = Run(job_id, request, tuple(map(self.number_of, helpers)), most_rows)
        self.send(Delivery(run, blobs, self.number))

    def cancel_job(self, job_id: str) -> None:
        """Have the worker stop this job at its next step."""
        self.send(Delivery(Cancel(job_id), worker=self.number))


class ClusterSupervisor:
    """Keeps the process of a cluster alive, and tells its workers apart.

    join     takes a new worker, and gives its number in the pool and who hears it
    remark   takes what is said of the cluster as a whole, once for as long as it holds
    """

    def __init__(
        self,
        command: Sequence[str],
        join: Callable[[ClusterWorker], tuple[int, Hear]],
        remark: Callable[[Message], None],
        log_file: Path | None = None,
    ) -> None:
        self._join = join
        self._remark = remark
        self._process = ProcessSupervisor(
            command, self._take, lambda: None, self._lose_all, log_file
        )
        self._workers: dict[int, Hear] = {}
        self._numbers: dict[int, int] = {}
        """The cluster's number of a worker, by the pool's."""
        self._last_said: Message | None = None

    async def keep_running(self) -> None:
        """Start the process, and start it again when it dies; cancel this to stop it."""
        await self._process.keep_running()

    def _take(self, delivery: Delivery) -> None:
        message = delivery.message
        if delivery.worker == 0:
            self._hear_cluster(message)
            return
        if isinstance(message, Joined):
            worker = ClusterWorker(delivery.worker, self._process.send, self._numbers.__getitem__)
            number, self._workers[delivery.worker] = self._join(worker)
            self._numbers[number] = delivery.worker
        hear = self._workers.get(delivery.worker)
        if hear is None:
            raise ProtocolError(message.kind, "is from a worker that has not joined")
        if isinstance(message, Failed) and not message.job_id:
            self._complain(message)
        hear(message, pixels_of(delivery))
        if isinstance(message, Left):
            del self._workers[delivery.worker]

    def _hear_cluster(self, message: Message) -> None:
        if isinstance(message, Backend):
            self._last_said = None
            _log.info("the cluster is there")
        elif isinstance(message, Failed):
            self._complain(message)

    def _complain(self, failure: Failed) -> None:
        """Tell artists; what cannot start tries again and again, and says the same each time."""
        if failure != self._last_said:
            self._last_said = failure
            _log.error("the cluster: %s %s", failure.message, failure.advice)
            self._remark(Remark(failure.message, failure.advice))

    def _lose_all(self) -> None:
        for hear in self._workers.values():
            hear(Backend("lost"), {})
            hear(Left(), {})
        self._workers.clear()
