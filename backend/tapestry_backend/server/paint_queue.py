"""The queue and the workers of a server for a program of this computer: no socket, no journal."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, Self

from tapestry_protocol.codec import Chunk
from tapestry_protocol.messages import (
    Acknowledge,
    Failed,
    Joined,
    Message,
    Progress,
    Remark,
    Request,
    Result,
    Submit,
)
from tapestry_protocol.request_checks import check_request

from ..checkpoints.catalogue import Catalogue
from ..workers.pool import Pool
from .persistence.pixel_blob import NO_PIXELS, PixelBlob
from .queue.effects import Effect, Send, Start
from .queue.jobs import Jobs

_log = logging.getLogger("tapestry.server")

_CLIENT = 1
"""The number of the only client that this queue has."""


class Heard(NamedTuple):
    """What is said of a picture, or, as a remark, of the cluster.

    pixels   that the message refers to, by their SHA-256
    node     the computer of the cluster that paints it; empty: ours
    """

    message: Progress | Result | Failed | Remark
    pixels: Mapping[str, bytes] = NO_PIXELS
    node: str = ""


class PaintQueue:
    """Paints requests on local workers and those of a cluster, as a server does for its clients.

    A context manager: its workers start and end with it. `put` and `hear` are for one thread, and
    workers are spoken with in another, so that none of them waits for what is done between. Each
    request has exactly one end: a `Result` or a `Failed`.

    worker_command, cluster_command, log_file    as of a `Pool`
    """

    def __init__(
        self,
        catalogue: Catalogue,
        worker_command: Sequence[str],
        cluster_command: Sequence[str],
        log_file: Path | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._jobs = Jobs(self._check, needs=catalogue.names_needed)
        self._pool = Pool(
            worker_command,
            self._hear,
            log_file,
            cluster_command=cluster_command,
            remark=self._remark,
        )
        self._nodes: dict[int, str] = {}
        self._painted_by: dict[str, int] = {}
        self._said: SimpleQueue[Heard | BaseException] = SimpleQueue()
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="workers")

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_up.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def put(self, job_id: str, request: Request, blobs: Mapping[str, bytes]) -> None:
        """Have this painted when a worker is free; what becomes of it is heard later."""
        self._loop.call_soon_threadsafe(self._submit, Submit(job_id, request), blobs)

    def hear(self) -> Heard:
        """The next that is said, waiting for it; raises what has ended the workers."""
        said = self._said.get()
        if isinstance(said, BaseException):
            raise said
        return said

    # --- in the other thread ----------------------------------------------------------------------

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._is_up.set()
        tasks = [
            asyncio.create_task(self._pool.keep_running()),
            asyncio.create_task(self._stopping.wait()),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                self._said.put(outcome)
        await self._stopping.wait()

    def _check(self, request: Request) -> None:
        self._catalogue.check(request)
        check_request(request)

    def _submit(self, submit: Submit, blobs: Mapping[str, bytes]) -> None:
        self._perform(self._jobs.receive(_CLIENT, submit))
        for sha256, data in blobs.items():
            self._perform(self._jobs.add_chunk(Chunk(sha256, 0, len(data), data)))

    def _hear(self, worker: int, message: Message, pixels: Mapping[str, bytes]) -> None:
        if isinstance(message, Joined):
            self._nodes[worker] = message.node
        self._perform(self._jobs.hear(message, pixels, worker))

    def _remark(self, message: Message) -> None:
        if isinstance(message, Remark):
            self._said.put(Heard(message))

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Start(job_id, request, blobs, worker):
                    _log.info("job %s starts on worker %d", job_id, worker)
                    self._painted_by[job_id] = worker
                    self._pool.start_job(worker, job_id, request, blobs)
                case Send(_, Progress() as message):
                    self._said.put(Heard(message))
                case Send(_, Result() | Failed() as message, picture):
                    self._tell_end(message, picture)

    def _tell_end(self, end: Result | Failed, picture: PixelBlob | None) -> None:
        worker = self._painted_by.pop(end.job_id, None)
        node = "" if worker is None else self._nodes.get(worker, "")
        parts = () if picture is None else picture.all
        self._said.put(Heard(end, {each.sha256: each.data or b"" for each in parts}, node))
        self._perform(self._jobs.receive(_CLIENT, Acknowledge(end.job_id)))
