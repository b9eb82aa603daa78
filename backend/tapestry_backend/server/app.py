"""The running server: joins socket, sessions, jobs and workers."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import os
import secrets
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from websockets.asyncio.server import ServerConnection

from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.codec import Chunk
from tapestry_protocol.messages import (
    Backend,
    Joined,
    Learned,
    Message,
    Preview,
    Progress,
    Remark,
    Request,
    Result,
    Workers,
)
from tapestry_protocol.request_checks import check_request
from tapestry_protocol.runtime import RuntimeInfo, read_runtime_file, write_runtime_file

from ..checkpoints.catalogue import Catalogue
from ..workers.cluster_supervisor import MOST_ROWS
from ..workers.pool import Pool
from .connections.listen_address import LOOPBACK, ListenAddress
from .connections.listener import Listener
from .connections.outbox import OutgoingMessage
from .connections.sessions import Session
from .connections.throttle import Throttle
from .persistence.journal_writer import JournalWriter
from .persistence.lock import Lock
from .persistence.persist import Persist
from .queue.effects import Broadcast, Effect, Send, Start, Stop
from .queue.jobs import Jobs
from .queue.refusals import no_journal

_PARENT_CHECK_S = 1.0

_STATE_INTERVAL_S = 0.05
"""Clients receive the busy state of the worker this often at most."""

_log = logging.getLogger("tapestry.server")


@dataclass(frozen=True)
class ServerSettings:
    """What a server is started with.

    parent      the process whose end is ours too, once no client is connected
    worker_command    starts a worker
    devices     that workers paint on, one on each; without any, as `Pool` finds best
    cluster_command   starts the process that speaks with the workers of a cluster; empty: none
    is_splitting   a cluster's workers share one picture
    journal     the folder for what must survive the server
    place       where it listens
    """

    runtime_file: Path
    journal: Path
    worker_command: Sequence[str]
    devices: Sequence[str] = ()
    cluster_command: Sequence[str] = ()
    is_splitting: bool = False
    parent: int | None = None
    log_file: Path | None = None
    place: ListenAddress = LOOPBACK


class App:
    """A running server. It is ready when its runtime file appears."""

    def __init__(self, catalogue: Catalogue, settings: ServerSettings) -> None:
        self._catalogue = catalogue
        self._settings = settings
        # Numbers that grow from one server to the next, as fast as time does.
        self._jobs = Jobs(
            self._check,
            first_sequence=time.time_ns() // 1_000_000,
            needs=catalogue.names_needed,
            is_splitting=settings.is_splitting,
        )
        self._writer = JournalWriter(settings.journal, self._report_journal_failure_soon)
        self._journal_lock = Lock(settings.journal / "lock")
        self._unsaid: Remark | None = None
        self._state_timer: asyncio.TimerHandle | None = None
        self._pool = Pool(
            settings.worker_command,
            self._hear,
            settings.log_file,
            settings.devices,
            cluster_command=settings.cluster_command,
            most_rows=MOST_ROWS if settings.is_splitting else 0,
            remark=lambda remark: self._perform([Broadcast(remark)]),
        )
        self._dashboard = ""
        self._told_workers = Workers(())
        self._sessions: dict[int, Session] = {}
        self._throttle = Throttle()
        self._client_numbers = itertools.count(1)
        self._token = secrets.token_hex(32)
        self._port = 0
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve until a signal comes or the parent is gone."""
        self._loop = asyncio.get_running_loop()
        self._stop_on_signals()
        self._read_journal()
        try:
            await self._serve()
        finally:
            self._writer.close()
            self._journal_lock.release()

    def _read_journal(self) -> None:
        try:
            if not self._journal_lock.acquire():
                raise BlockingIOError(errno.EAGAIN, "another backend uses its folder")
        except OSError as error:
            self._writer.give_up(error)
        self._perform(self._jobs.bring_back(self._writer.open(), self._writer.store))

    async def _serve(self) -> None:
        listener = Listener(self._settings.place, self._token)
        async with listener.open(self._converse) as self._port:
            await self._live()

    async def _live(self) -> None:
        """Be known to clients, with workers, until it is time to stop."""
        tasks = [asyncio.create_task(self._pool.keep_running()), *self._watch_parent()]
        for task in tasks:
            task.add_done_callback(lambda _: self._stopping.set())
        try:
            self._announce()
            await self._stopping.wait()
        finally:
            self._withdraw()
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    # --- joints -----------------------------------------------------------------------------------

    async def _converse(self, socket: ServerConnection) -> None:
        client = next(self._client_numbers)
        receive = partial(self._receive, client)
        session = Session(socket, receive, self._throttle, partial(self._lose_picture, client))
        if not await session.greet(self._catalogue):
            return
        _log.info("client %d is here", client)
        self._sessions[client] = session
        session.tell(
            OutgoingMessage(self._jobs.backend)
        )  # later states are broadcast to all sessions
        if self._settings.cluster_command:
            session.tell(OutgoingMessage(self._workers))
        if self._unsaid is not None:
            session.tell(OutgoingMessage(self._unsaid))
            self._unsaid = None
        try:
            await session.converse()
        finally:
            del self._sessions[client]
            self._jobs.leave(client)
            _log.info("client %d is gone", client)

    def _receive(self, client: int, received: Message | Chunk) -> None:
        if isinstance(received, Chunk):
            self._perform(self._jobs.add_chunk(received))
        else:
            self._perform(self._jobs.receive(client, received))

    def _lose_picture(self, client: int, message: Message) -> None:
        if isinstance(message, Result):
            self._perform(self._jobs.lose_picture(client, message.job_id))

    def _hear(self, worker: int, message: Message, pixels: Mapping[str, bytes]) -> None:
        if isinstance(message, Joined):
            self._dashboard = message.dashboard
        self._perform(self._jobs.hear(message, pixels, worker))
        if self._settings.cluster_command and not isinstance(message, Progress | Preview):
            self._tell_state_soon()
        if isinstance(message, Result) and self._jobs.is_taught(message.job_id):
            self._offer_taught()

    def _offer_taught(self) -> None:
        """What a model was taught can be chosen at once."""
        if new := self._catalogue.adapters.look_for_taught():
            self._tell_all(Learned(new))

    def _perform(self, effects: Iterable[Effect]) -> None:
        kept = None
        for effect in effects:
            match effect:
                case Persist(record):
                    if record.what != "started":
                        _log.info("job %s %s", record.job_id, record.what)
                    kept = self._writer.keep(effect)
                case Send(client, message, picture):
                    self._sessions[client].tell(OutgoingMessage(message, picture, kept))
                case Broadcast(Backend(state="busy" | "ready")):
                    self._tell_state_soon()
                case Broadcast(message):
                    self._tell_all(message)
                case Start(job_id, request, blobs, worker, helpers):
                    _log.info("job %s starts", job_id)
                    self._pool.start_job(worker, job_id, request, blobs, helpers)
                case Stop(job_id, worker):
                    self._pool.cancel_job(worker, job_id)

    def _tell_all(self, message: Message) -> None:
        outgoing = OutgoingMessage(message)
        for session in self._sessions.values():
            session.tell(outgoing)

    def _tell_state_soon(self) -> None:
        """A crowd of quick jobs changes the state faster than an eye can see."""
        if self._state_timer is None:
            self._state_timer = self._loop.call_later(_STATE_INTERVAL_S, self._tell_state)

    def _tell_state(self) -> None:
        self._state_timer = None
        self._tell_all(self._jobs.backend)
        workers = self._workers
        if workers != self._told_workers:
            self._told_workers = workers
            self._tell_all(workers)

    @property
    def _workers(self) -> Workers:
        """What artists are told of the workers, where there is a cluster."""
        has_some = self._settings.cluster_command
        return Workers(self._jobs.workers, self._dashboard) if has_some else Workers(())

    def _report_journal_failure_soon(self, error: OSError) -> None:
        """From the journal writer's thread."""
        self._loop.call_soon_threadsafe(self._report_journal_failure, error)

    def _report_journal_failure(self, error: OSError) -> None:
        """Tell the artists once that there is no journal."""
        remark = no_journal(error)
        self._unsaid = None if self._sessions else remark
        self._perform([Broadcast(remark)])

    def _check(self, request: Request) -> None:
        self._catalogue.check(request)
        check_request(request)

    # --- beginning and end ------------------------------------------------------------------------

    def _announce(self) -> None:
        info = RuntimeInfo(self._port, self._token, os.getpid(), PROTOCOL_VERSION, VERSION)
        write_runtime_file(info, self._settings.runtime_file)
        _log.info("listening on port %d", self._port)

    def _withdraw(self) -> None:
        known = read_runtime_file(self._settings.runtime_file)
        if known is not None and known.token == self._token:
            self._settings.runtime_file.unlink(missing_ok=True)
        _log.info("stopping")

    def _stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, self._stopping.set)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._stopping.set))

    def _watch_parent(self) -> list[asyncio.Task[None]]:
        if self._settings.parent is None:
            return []
        return [asyncio.create_task(self._wait_for_parent(self._settings.parent))]

    async def _wait_for_parent(self, parent: int) -> None:
        """Ends when the parent is gone and no client is connected."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(parent)
            while self._sessions or (  # noqa: ASYNC110  nothing tells of another process' end
                process.is_running() and process.status() != psutil.STATUS_ZOMBIE
            ):
                await asyncio.sleep(_PARENT_CHECK_S)
        _log.info("the parent is gone")
