"""Workers of both kinds, and what they make of a request, how fast."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, NamedTuple

from tapestry_protocol.messages import Backend, Failed, Message, Request, Result

from ...workers.cluster_supervisor import MOST_ROWS, cluster_command
from ...workers.pool import Pool, real_worker_command

LOCAL = 0
"""The number of the one worker on the other end of a pipe."""


_LOADER = "tapestry_backend.bench.studio.loader:load_alone"


class Painted(NamedTuple):
    """Pixels of a picture, the seconds from the order to the picture, and its report."""

    pixels: bytes
    seconds: float
    report: Mapping[str, Any]


class Workshop:
    """A local worker, numbered 0, and those of a cluster; no server."""

    def __init__(self, address: str) -> None:
        command = cluster_command(address, cores=1, loader=_LOADER)
        self._pool = Pool(
            real_worker_command([]),
            self._hear,
            devices=["cpu"],
            cluster_command=command,
            remark=self._fail,
            most_rows=MOST_ROWS,
        )
        self.ready: set[int] = set()
        """Workers that have nothing to do."""
        self._ends: dict[int, asyncio.Future[Painted]] = {}
        self._began: dict[int, float] = {}
        self._changed = asyncio.Event()
        self._failure: RuntimeError | None = None
        self._ids = count()

    async def keep_running(self) -> None:
        """Until this is cancelled."""
        await self._pool.keep_running()

    async def until_ready(self, workers: int) -> None:
        """Until so many are ready, the local one included."""
        while len(self.ready) < workers:
            await self._change()

    async def paint(self, worker: int, request: Request, helpers: Sequence[int] = ()) -> Painted:
        """Have one worker, with others' help, paint a picture; raises RuntimeError if it fails."""
        end = self._ends[worker] = asyncio.get_running_loop().create_future()
        self._began[worker] = time.perf_counter()
        self.ready.discard(worker)
        self._pool.start_job(worker, f"bench-{next(self._ids)}", request, {}, helpers)
        painted = await end
        while worker not in self.ready:
            await self._change()
        return painted

    async def paint_all(self, workers: Sequence[int], requests: Sequence[Request]) -> float:
        """Seconds in which these workers paint these pictures, each as fast as it is."""
        waiting, began = deque(requests), time.perf_counter()

        async def work(worker: int) -> None:
            while waiting:
                await self.paint(worker, waiting.popleft())

        await asyncio.gather(*map(work, workers))
        return time.perf_counter() - began

    def _hear(self, worker: int, message: Message, pixels: Mapping[str, bytes]) -> None:
        if isinstance(message, Backend) and message.state == "ready":
            self.ready.add(worker)
        elif isinstance(message, Result):
            seconds = time.perf_counter() - self._began[worker]
            painted = Painted(pixels[message.pixels.sha256], seconds, json.loads(message.report))
            self._ends[worker].set_result(painted)
        elif isinstance(message, Failed) or (
            isinstance(message, Backend) and message.state == "lost" and worker in self._began
        ):
            self._fail(message)
        self._changed.set()

    async def _change(self) -> None:
        """Until a worker has said something; raises RuntimeError when that is a failure."""
        self._changed.clear()
        await self._changed.wait()
        if self._failure is not None:
            raise self._failure

    def _fail(self, message: Message) -> None:
        self._failure = RuntimeError(str(getattr(message, "message", message)))
        for end in self._ends.values():
            if not end.done():
                end.set_exception(self._failure)
        self._changed.set()


@asynccontextmanager
async def workshop(address: str) -> AsyncIterator[Workshop]:
    """A workshop at a cluster's address; its workers end with it."""
    made = Workshop(address)
    running = asyncio.create_task(made.keep_running())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
