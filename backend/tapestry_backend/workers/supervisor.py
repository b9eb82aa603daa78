"""Keeps a process alive, a worker as a rule, and exchanges messages with it."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import time
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tapestry_protocol.errors import ProtocolError
from tapestry_protocol.limits import MAX_FRAME_BYTES
from tapestry_protocol.messages import (
    Backend,
    Cancel,
    Heartbeat,
    Message,
    Request,
    Run,
)
from tapestry_protocol.references import pixels_with

from .channel import Delivery, Inbox, frames_of, pack, read_frame_async
from .heartbeat import BEAT_S
from .watchdog import SILENCE_S, Watchdog

_LONGEST_PAUSE_S = 30.0
"""Between attempts to start a worker that dies before it is ready."""

_EXIT_TIMEOUT_S = 1.0
"""Seconds that a worker may take to end when its pipe is closed; then it is killed."""

_log = logging.getLogger("tapestry.supervisor")

Hear = Callable[[Message, Mapping[str, bytes]], None]
"""Takes a message of the worker, and the pixels it refers to, by their SHA-256."""


class ProcessSupervisor:
    """One process at the other end of two pipes, started at once and again whenever it dies.

    hear       takes everything that it says but heartbeats; may raise ProtocolError, which ends it
    began      called before each of its lives
    ended      called after each of them
    log_file   takes what it prints
    """

    def __init__(
        self,
        command: Sequence[str],
        hear: Callable[[Delivery], None],
        began: Callable[[], None],
        ended: Callable[[], None],
        log_file: Path | None = None,
    ) -> None:
        self._command = command
        self._hear = hear
        self._began = began
        self._ended = ended
        self._log_file = log_file
        self._orders: asyncio.Queue[Delivery] = asyncio.Queue()

    def send(self, delivery: Delivery) -> None:
        """Say something to the process; what was meant for one that has died is dropped."""
        self._orders.put_nowait(delivery)

    async def keep_running(self) -> None:
        """Start the process, and start it again when it dies; cancel this to stop it."""
        pause_s = 0.0
        while True:
            self._began()
            was_ready = await self._run_once()
            self._ended()
            pause_s = 0.0 if was_ready else min(_LONGEST_PAUSE_S, 2 * pause_s or 1.0)
            await asyncio.sleep(pause_s)

    async def _run_once(self) -> bool:
        """One life of the process; tells whether it was ever ready."""
        self._orders = asyncio.Queue()  # what was meant for the last one is dropped
        try:
            worker = await self._spawn()
        except OSError as error:
            _log.error("no worker can be started: %s", error)
            return False
        _log.info("worker %d started", worker.pid)
        watchdog = Watchdog(time.monotonic())
        orders, said = _pipes(worker)
        tasks = [
            asyncio.create_task(_write_orders(orders, self._orders)),
            asyncio.create_task(_watch(worker, watchdog)),
            asyncio.create_task(self._beat()),
        ]
        try:
            return await self._listen(said, worker.pid, watchdog)
        finally:
            for task in tasks:
                task.cancel()
            await _stop_process(worker)

    async def _beat(self) -> None:
        """Tell the process that we are alive."""
        while True:
            await asyncio.sleep(BEAT_S)
            if self._orders.empty():
                self._orders.put_nowait(Delivery(Heartbeat()))

    async def _spawn(self) -> Process:
        environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        log = self._log_file.open("ab") if self._log_file else None
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                env=environment,
                limit=2 * MAX_FRAME_BYTES,
                start_new_session=True,  # a Ctrl-C is for the server, which then stops the worker
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        finally:
            if log:
                log.close()

    async def _listen(self, pipe: StreamReader, pid: int, watchdog: Watchdog) -> bool:
        """Take what it says until its pipe ends; tells whether it was ever ready."""
        inbox, was_ready = Inbox(), False
        try:
            while (frame := await read_frame_async(pipe)) is not None:
                delivery = inbox.take(frame.frame, frame.worker)
                if delivery is None:
                    continue
                message = delivery.message
                if delivery.worker == 0:
                    watchdog.hear(message, time.monotonic())
                if isinstance(message, Heartbeat):
                    continue
                was_ready = was_ready or (isinstance(message, Backend) and message.state == "ready")
                self._hear(delivery)
        except ProtocolError as error:
            _log.error("worker %d is out of step: %s", pid, error.message)
        return was_ready


class WorkerSupervisor:
    """One worker process, started at once and again whenever it dies.

    Calls `hear` with every message of the worker, and its own `Backend("starting")` and
    `Backend("lost")`. A job may be started only while the worker is ready.

    device  what it is to paint on; empty: whatever it finds best
    """

    def __init__(
        self,
        command: Sequence[str],
        hear: Hear,
        log_file: Path | None = None,
        device: str = "",
    ) -> None:
        self._process = ProcessSupervisor(
            [*command, *([f"--device={device}"] if device else [])],
            lambda delivery: hear(delivery.message, pixels_of(delivery)),
            lambda: hear(Backend("starting"), {}),
            lambda: hear(Backend("lost"), {}),
            log_file,
        )

    def start_job(
        self,
        job_id: str,
        request: Request,
        blobs: Mapping[str, bytes],
        _helpers: Sequence[int] = (),
        most_rows: int = 0,
    ) -> None:
        """Have the worker run this job, alone; what becomes of it is heard later."""
        self._process.send(Delivery(Run(job_id, request, most_rows=most_rows), blobs))

    def cancel_job(self, job_id: str) -> None:
        """Have the worker stop this job at its next step."""
        self._process.send(Delivery(Cancel(job_id)))

    async def keep_running(self) -> None:
        """Start the worker, and start it again when it dies; cancel this to stop the worker."""
        await self._process.keep_running()


def pixels_of(delivery: Delivery) -> Mapping[str, bytes]:
    """The pixels that a message refers to; raises ProtocolError when they did not come."""
    wanted = pixels_with(delivery.message)
    if any(len(delivery.blobs.get(ref.sha256, b"")) != ref.size_bytes for ref in wanted):
        raise ProtocolError(delivery.message.kind, "came without its pixels")
    return {ref.sha256: delivery.blobs[ref.sha256] for ref in wanted}


async def _write_orders(pipe: StreamWriter, orders: asyncio.Queue[Delivery]) -> None:
    # A worker that died is noticed where its pipe is read.
    with suppress(BrokenPipeError, ConnectionResetError):
        while True:
            delivery = await orders.get()
            for frame in frames_of(delivery):
                pipe.write(pack(frame, delivery.worker))
                await pipe.drain()


async def _watch(worker: Process, watchdog: Watchdog) -> None:
    """Kill a worker that hangs; its pipe then ends."""
    now_s = time.monotonic()
    while not (reason := watchdog.why_exhausted(now_s)):
        await asyncio.sleep(BEAT_S / 2)
        before_s, now_s = now_s, time.monotonic()
        if now_s - before_s > SILENCE_S / 2:
            watchdog.begin_again(now_s)
    _log.error("worker %d %s, and is replaced", worker.pid, reason)
    worker.kill()


def _pipes(worker: Process) -> tuple[StreamWriter, StreamReader]:
    """Where its orders go, and where it answers."""
    if worker.stdin is None or worker.stdout is None:
        raise ValueError("a worker is started with two pipes")
    return worker.stdin, worker.stdout


async def _stop_process(worker: Process) -> None:
    """Close the worker's pipe, which ends it; kill it when it does not go."""
    orders, _ = _pipes(worker)
    orders.close()
    try:
        async with asyncio.timeout(_EXIT_TIMEOUT_S):
            status = await worker.wait()
    except TimeoutError:
        worker.kill()
        status = await worker.wait()
    _log.info("worker %d ended with status %d", worker.pid, status)
