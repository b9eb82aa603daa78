"""The queue and the life of every job: messages in, effects out; no sockets, no awaits."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tapestry_protocol.codec import Chunk
from tapestry_protocol.errors import ErrorCode, ProtocolError, TapestryError
from tapestry_protocol.limits import MAX_JOBS_QUEUED, MAX_RESULTS_BYTES, MAX_RESULTS_KEPT
from tapestry_protocol.messages import (
    Accepted,
    Acknowledge,
    Backend,
    Cancel,
    Cancelled,
    Failed,
    Message,
    Need,
    Preview,
    Progress,
    Request,
    Result,
    Resume,
    Submit,
)

from . import refusals
from .blobs import Blobs
from .effects import Effect, Start, Stop, Tell, TellAll
from .job import Event, Job, State


class Jobs:
    """All jobs of a server.

    check    raises TapestryError for a request that cannot become a picture
    """

    def __init__(self, check: Callable[[Request], None], blobs: Blobs | None = None) -> None:
        self._check = check
        self._blobs = blobs or Blobs()
        self._jobs: dict[str, Job] = {}  # in order of submission; an end moves to the back
        self._queue: list[Job] = []  # whose blobs are complete, next one first
        self._worker_is_up = False
        self.backend = Backend("starting")
        """The state of the worker, for a client that has just arrived."""

    # --- from a client ----------------------------------------------------------------------------

    def receive(self, client: int, message: Message) -> list[Effect]:
        """A client's message about jobs; raises ProtocolError for one that no client may send."""
        match message:
            case Submit():
                return list(self._submit(client, message))
            case Cancel():
                return list(self._cancel(client, message.job_id))
            case Resume():
                return [self._resume(client, job_id) for job_id in message.job_ids]
            case Acknowledge():
                self._acknowledge(message.job_id)
                return []
        raise ProtocolError(message.kind, "is not for the server, or not at this time")

    def add_chunk(self, chunk: Chunk) -> list[Effect]:
        """A piece of a blob; raises ProtocolError when it cannot be one."""
        effects: list[Effect] = []
        complete = self._blobs.add(chunk)
        for job in list(self._jobs.values()):
            if job.id in complete and not self._blobs.missing(job.id):
                effects += self._enqueue(job)
        return effects

    def leave(self, client: int) -> None:
        """A client is gone: its jobs go on, and are kept for it."""
        for job in self._jobs.values():
            if job.client == client:
                job.client = None

    def _submit(self, client: int, submit: Submit) -> Iterator[Effect]:
        known = self._jobs.get(submit.job_id)
        if known is not None:
            if known.request == submit.request:
                yield self._resume(client, submit.job_id)
            else:
                yield Tell(client, refusals.conflict(submit.job_id))
            return
        try:
            self._check(submit.request)
            self._admit(submit)
        except TapestryError as error:
            yield Tell(client, refusals.refused(submit.job_id, error))
            return
        job = self._jobs[submit.job_id] = Job(submit.job_id, submit.request, client)
        if missing := self._blobs.missing(job.id):
            yield Tell(client, Need(job.id, missing))
        else:
            yield from self._enqueue(job)

    def _admit(self, submit: Submit) -> None:
        """Claim a place and memory for a job; raises TapestryError when there is none.

        Jobs whose client went away before it had sent their pixels give way.
        """
        try:
            self._claim(submit)
        except TapestryError as error:
            abandoned = [
                job
                for job in self._jobs.values()
                if job.state is State.WAITING and job.client is None
            ]
            if error.code is not ErrorCode.BUSY or not abandoned:
                raise
            for job in abandoned:
                self._forget(job)
            self._claim(submit)

    def _claim(self, submit: Submit) -> None:
        waiting = sum(job.state in (State.WAITING, State.QUEUED) for job in self._jobs.values())
        if waiting >= MAX_JOBS_QUEUED:
            raise TapestryError(
                ErrorCode.BUSY,
                f"{waiting} jobs are waiting already.",
                "Wait until one of them has ended, or cancel one.",
            )
        self._blobs.claim(submit.job_id, submit.request.blobs)

    def _cancel(self, client: int, job_id: str) -> Iterator[Effect]:
        job = self._jobs.get(job_id)
        if job is None:
            yield Tell(client, refusals.unknown(job_id))
            return
        job.client = client
        before = job.state
        job.change(Event.CANCEL)
        if before is State.RUNNING:
            yield Stop(job.id)
        elif before in (State.WAITING, State.QUEUED):
            yield from self._end(job, Cancelled(job.id))
        elif job.has_ended:
            yield self._describe(job, client)

    def _resume(self, client: int, job_id: str) -> Effect:
        job = self._jobs.get(job_id)
        if job is None:
            return Tell(client, refusals.unknown(job_id))
        job.client = client
        return self._describe(job, client)

    def _acknowledge(self, job_id: str) -> None:
        job = self._jobs.get(job_id)
        if job is not None and job.has_ended:
            self._forget(job)

    def _describe(self, job: Job, client: int) -> Tell:
        """Everything a client has to know about a job that it asks about."""
        if job.state is State.WAITING:
            return Tell(client, Need(job.id, self._blobs.missing(job.id)))
        if job.last is None:
            return Tell(client, Accepted(job.id, self._ahead(job)))
        return Tell(client, job.last, job.pixels)

    # --- the queue --------------------------------------------------------------------------------

    def _enqueue(self, job: Job) -> Iterator[Effect]:
        job.change(Event.BLOBS_COMPLETE)
        self._queue.append(job)
        yield from _tell(job, Accepted(job.id, self._ahead(job)))
        yield from self._start_next()

    def _ahead(self, job: Job) -> int:
        if job.state is not State.QUEUED:
            return 0
        return self._queue.index(job) + (self._running() is not None)

    def _running(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.is_active), None)

    def _start_next(self) -> Iterator[Effect]:
        if self._worker_is_up and self._queue and self._running() is None:
            job = self._queue.pop(0)
            job.change(Event.START)
            yield Start(job.id, job.request, self._blobs.of(job.id))

    def _end(self, job: Job, end: Message, pixels: bytes | None = None) -> Iterator[Effect]:
        """A job has just ended: tell it, keep it, let older ones go, start the next."""
        job.last, job.pixels = end, pixels
        self._blobs.release(job.id)
        if job in self._queue:
            self._queue.remove(job)
        self._jobs[job.id] = self._jobs.pop(job.id)
        self._drop_oldest_ends()
        yield from _tell(job, end, pixels)
        yield from self._start_next()

    def _drop_oldest_ends(self) -> None:
        ends = [job for job in self._jobs.values() if job.has_ended]
        total_bytes = sum(len(job.pixels or b"") for job in ends)
        for count, job in zip(range(len(ends), 1, -1), ends, strict=False):
            if count <= MAX_RESULTS_KEPT and total_bytes <= MAX_RESULTS_BYTES:
                return
            total_bytes -= len(job.pixels or b"")
            self._forget(job)

    def _forget(self, job: Job) -> None:
        self._blobs.release(job.id)
        del self._jobs[job.id]

    # --- from the worker --------------------------------------------------------------------------

    def hear(self, message: Message, pixels: bytes | None = None) -> list[Effect]:
        """A message of the worker, or of the pool about the worker; raises ProtocolError."""
        if isinstance(message, Backend):
            return list(self._hear_state(message))
        job = self._running()
        if job is None or job.id != getattr(message, "job_id", None):
            raise ProtocolError(message.kind, "is about a job that does not run")
        match message:
            case Progress():
                job.last = message
                return list(_tell(job, message))
            case Preview():
                return list(_tell(job, message, pixels))
            case Result():
                return list(self._conclude(job, Event.FINISH, message, pixels))
            case Failed():
                return list(self._conclude(job, Event.FAIL, message))
            case Cancelled():
                return list(self._conclude(job, Event.STOP, message))
        raise ProtocolError(message.kind, "is not for the server")

    def _conclude(
        self, job: Job, event: Event, end: Message, pixels: bytes | None = None
    ) -> Iterator[Effect]:
        job.change(event)
        if job.state is State.CANCELLED:  # whatever the worker still made of it
            yield from self._end(job, Cancelled(job.id))
        else:
            yield from self._end(job, end, pixels)

    def _hear_state(self, backend: Backend) -> Iterator[Effect]:
        self.backend = backend
        yield TellAll(backend)
        if backend.state == "ready":
            self._worker_is_up = True
            yield from self._start_next()
        elif backend.state == "lost":
            yield from self._lose_worker()

    def _lose_worker(self) -> Iterator[Effect]:
        was_up, self._worker_is_up = self._worker_is_up, False
        running = self._running()
        if running is not None:
            failure = refusals.lost_in_the_middle(running.id)
            yield from self._conclude(running, Event.FAIL, failure)
        elif not was_up:
            for job in list(self._queue):
                yield from self._conclude(job, Event.FAIL, refusals.never_started(job.id))


def _tell(job: Job, message: Message, pixels: bytes | None = None) -> Iterator[Tell]:
    if job.client is not None:
        yield Tell(job.client, message, pixels)
