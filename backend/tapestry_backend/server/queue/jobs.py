"""The queue and the life of every job: messages in, effects out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from tapestry_protocol.codec import Chunk, encode
from tapestry_protocol.errors import ErrorCode, ProtocolError, TapestryError
from tapestry_protocol.limits import MAX_JOBS_QUEUED, MAX_WORKERS
from tapestry_protocol.messages import (
    Accepted,
    Acknowledge,
    Backend,
    Cancel,
    Cancelled,
    Failed,
    Joined,
    Lacks,
    Left,
    Message,
    Need,
    Preview,
    Progress,
    Request,
    Result,
    Resume,
    Submit,
    WorkerInfo,
)
from tapestry_protocol.sentences import Sentence

from ..persistence.journal_state import JournalState, Record, What
from ..persistence.persist import Persist
from ..persistence.pixel_blob import NO_PIXELS, PixelBlob, blob_with
from ..persistence.store import Store
from . import refusals
from .blobs import Blobs
from .completed_jobs import CompletedJobs, digest_of
from .effects import Broadcast, Effect, Send, Start, Stop
from .fair_queue import FairQueue
from .job import MAX_TRIES, Event, Job, JobState, Numbered
from .replay import revive
from .worker_slots import WorkerSlot, WorkerSlots


class Jobs:
    """All jobs of a server.

    check    raises TapestryError for a request that cannot become a picture
    first_sequence   messages about jobs are numbered from here: above those of an earlier server
    clock    seconds since the epoch
    needs    names of the models and the like that a request needs
    is_splitting   free workers of a cluster help with the job of another one
    """

    def __init__(
        self,
        check: Callable[[Request], None],
        blobs: Blobs | None = None,
        first_sequence: int = 0,
        clock: Callable[[], float] = time.time,
        needs: Callable[[Request], frozenset[str]] = lambda _: frozenset(),
        *,
        is_splitting: bool = False,
    ) -> None:
        self._check = check
        self._blobs = blobs or Blobs()
        self._first_sequence = first_sequence
        self._clock = clock
        self._needs = needs
        self._is_splitting = is_splitting
        self._jobs: dict[str, Job] = {}  # in order of submission
        self._fair_queue = FairQueue()
        self._slots = WorkerSlots()
        self._completed = CompletedJobs(clock)
        self.backend = Backend("starting")
        """The state of the workers, for a client that has just arrived."""

    def bring_back(self, journal_state: JournalState, store: Store) -> list[Effect]:
        """Take on what an earlier server left; before anything else."""
        for job_id, record in journal_state.delivered.items():
            self._completed.remember(job_id, record.text)
        effects: list[Effect] = []
        for entry in journal_state.entries.values():
            job = revive(entry, store, self._blobs, self._first_sequence)
            if job is None:
                continue
            self._jobs[job.id] = job
            if job.has_ended:
                self._completed.add(job)
            elif job.tries >= MAX_TRIES:
                effects += self._end(job, refusals.lost_in_the_middle(job.id))
            elif job.state is JobState.QUEUED:
                self._fair_queue.add(job)
        return [*effects, *self._drop_outdated()]

    # --- from a client ----------------------------------------------------------------------------

    def receive(self, client: int, message: Message) -> list[Effect]:
        """A client's message about jobs; raises ProtocolError for one that no client may send."""
        effects: list[Effect] = []
        match message:
            case Submit():
                effects.extend(self._submit(client, message))
            case Cancel():
                effects.extend(self._cancel(client, message.job_id))
            case Resume(job_ids, seen):
                seen += (0,) * len(job_ids)
                for pair in zip(job_ids, seen, strict=False):
                    effects.extend(self._resume(client, *pair))
            case Acknowledge():
                effects.extend(self._acknowledge(message.job_id))
            case _:
                raise ProtocolError(message.kind, "is not for the server, or not at this time")
        return [*effects, *self._start_next()]

    def add_chunk(self, chunk: Chunk) -> list[Effect]:
        """A piece of a blob; raises ProtocolError when it cannot be one."""
        complete = self._blobs.add(chunk)
        waiting = [job for job in self._jobs.values() if complete and job.id in complete]
        effects: list[Effect] = []
        for job in waiting:
            if job.state is JobState.WAITING and not self._blobs.missing(job.id):
                effects.extend(self._enqueue(job))
        return [*effects, *self._start_next()]

    def leave(self, client: int) -> None:
        """A client is gone: its jobs go on, and are kept for it."""
        for job in self._jobs.values():
            if job.client == client:
                job.client = None

    def _submit(self, client: int, submit: Submit) -> Iterator[Effect]:
        job_id, known = submit.job_id, self._jobs.get(submit.job_id)
        delivered = self._completed.digest(job_id)
        if known is not None and known.request == submit.request:
            yield from self._resume(client, job_id, 0)
        elif known is not None:
            yield Send(client, refusals.conflict(job_id))
        elif delivered is not None:
            is_same = delivered == digest_of(submit)
            yield Send(client, (refusals.delivered if is_same else refusals.conflict)(job_id))
        else:
            yield from self._take_on(client, submit)

    def _take_on(self, client: int, submit: Submit) -> Iterator[Effect]:
        try:
            self._check(submit.request)
            yield from self._admit(submit)
        except TapestryError as error:
            yield Send(client, refusals.refused(submit.job_id, error))
            return
        job = Job(submit.job_id, submit.request, client, client, sequence=self._first_sequence)
        self._jobs[job.id] = job
        if missing := self._blobs.missing(job.id):
            yield from self._tell(job, Need(job.id, missing))
        else:
            yield from self._enqueue(job)

    def _admit(self, submit: Submit) -> Iterator[Effect]:
        """Claim a place and memory for a job; raises TapestryError when there is none.

        Jobs whose client went away before it had sent their pixels give way, and so do those of an
        earlier server that no client has asked for.
        """
        try:
            self._claim(submit)
        except TapestryError as error:
            abandoned = [job for job in self._jobs.values() if _is_abandoned(job)]
            if error.code is not ErrorCode.BUSY or not abandoned:
                raise
            for job in abandoned:
                yield from self._drop(job)
            self._claim(submit)

    def _claim(self, submit: Submit) -> None:
        waiting = sum(
            job.state in (JobState.WAITING, JobState.QUEUED) for job in self._jobs.values()
        )
        if waiting >= MAX_JOBS_QUEUED:
            raise TapestryError(
                ErrorCode.BUSY,
                Sentence("{count} jobs are waiting already.", count=waiting),
                "Wait until one of them has ended, or cancel one.",
            )
        self._blobs.claim(submit.job_id, submit.request.blobs)

    def _cancel(self, client: int, job_id: str) -> Iterator[Effect]:
        job = self._jobs.get(job_id)
        if job is None:
            yield Send(client, self._no_such_job(job_id))
            return
        self._attach(job, client)
        before, slot = job.state, self._slots.of(job)
        job.change(Event.CANCEL)
        if before is JobState.RUNNING and slot is not None:
            yield self._record(job, "stopping")
            yield Stop(job.id, slot.worker)
        elif before in (JobState.WAITING, JobState.QUEUED):
            yield from self._end(job, Cancelled(job.id))
        elif job.has_ended:
            yield from self._tell_end_again(job)

    def _resume(self, client: int, job_id: str, seen: int) -> Iterator[Effect]:
        """Tell a client what it has missed of a job."""
        job = self._jobs.get(job_id)
        if job is None:
            yield Send(client, self._no_such_job(job_id))
            return
        self._attach(job, client)
        is_ahead_of_us = seen > job.sequence  # it saw what a journal that was lost has said
        job.sequence = max(job.sequence, seen)
        if job.state is JobState.WAITING:
            yield from self._tell(job, Need(job.id, self._blobs.missing(job.id)))
        elif job.state is JobState.QUEUED:
            yield from self._tell(job, Accepted(job.id, self._ahead(job)))
        elif job.has_ended and (is_ahead_of_us or not job.missed(seen)):
            yield from self._tell_end_again(job)
        else:
            for message, picture in job.missed(seen):
                yield Send(client, message, picture)

    def _acknowledge(self, job_id: str) -> Iterator[Effect]:
        job = self._jobs.get(job_id)
        if job is not None and job.has_ended:
            digest = digest_of(job.submit)
            self._completed.remember(job_id, digest)
            self._forget(job)
            yield self._record(job, "delivered", digest)

    def _attach(self, job: Job, client: int) -> None:
        is_in_line = job in self._fair_queue
        if is_in_line:
            self._fair_queue.remove(job)
        job.attach(client)
        if is_in_line:
            self._fair_queue.add(job)

    def _no_such_job(self, job_id: str) -> Failed:
        is_delivered = self._completed.digest(job_id) is not None
        return (refusals.delivered if is_delivered else refusals.unknown)(job_id)

    # --- the queue --------------------------------------------------------------------------------

    def _enqueue(self, job: Job) -> Iterator[Effect]:
        job.change(Event.BLOBS_COMPLETE)
        self._fair_queue.add(job)
        job.is_kept = True
        yield self._keep_submit(job)
        yield from self._tell(job, Accepted(job.id, self._ahead(job)))

    def _ahead(self, job: Job) -> int:
        return self._fair_queue.ahead_of(job) + len(self._slots.jobs)

    def _start_next(self) -> Iterator[Effect]:
        """Give free workers the next jobs; comes last, whatever a message has changed."""
        for slot in sorted(self._slots.free, key=self._comes_late):
            if not slot.is_free:  # it helps another one meanwhile
                continue
            job = self._fair_queue.take(partial(self._can_do, slot))
            if job is None:
                continue
            job.is_yielding = False
            job.change(Event.START)
            job.tries += 1
            slot.job = job
            yield self._record(job, "started")
            helpers = self._lend(slot, job)
            yield Start(job.id, job.request, self._blobs.of(job.id), slot.worker, helpers)
        yield from self._make_way()

    def _make_way(self) -> Iterator[Effect]:
        """Where painting waits and every worker is busy, one that teaches lets it go first."""
        waiting = sum(not job.is_patient and not job.is_absent for job in self._fair_queue)
        waiting -= sum(job.is_yielding for job in self._slots.jobs)
        for slot in self._slots:
            job = slot.job
            if waiting <= 0:
                return
            if job is None or job.is_yielding or job.state is not JobState.RUNNING:
                continue
            if job.is_patient:
                job.is_yielding = True
                waiting -= 1
                yield Stop(job.id, slot.worker)

    def _yield(self, job: Job) -> Iterator[Effect]:
        """It has stopped, and goes on when nothing else waits."""
        job.change(Event.YIELD)
        job.is_yielding = False
        job.tries -= 1  # nothing has failed
        self._slots.release(job)
        self._fair_queue.add(job)
        yield from self._tell(job, Progress(job.id, "queued", 0, 0))

    def _comes_late(self, slot: WorkerSlot) -> bool:
        """One that has no helpers, where there are some, gets a job after those that have."""
        return self._is_splitting and not self._slots.helpers_for(slot)

    def _can_do(self, slot: WorkerSlot, job: Job) -> bool:
        if slot.node and job.is_patient:
            return False  # what a model is taught is to lie on our computer
        return not slot.lacks or slot.lacks.isdisjoint(self._needs(job.request))

    def _lend(self, slot: WorkerSlot, job: Job) -> tuple[int, ...]:
        """Who helps with a job: all that are free, as long as none waits that they could begin."""
        if not self._is_splitting or job.is_patient:  # it must give way at once
            return ()
        helpers = [
            each
            for each in self._slots.helpers_for(slot)
            if self._can_do(each, job)
            and not any(self._can_do(each, other) for other in self._fair_queue)
        ]
        for each in helpers:
            each.helps = job
        return tuple(each.worker for each in helpers)

    def _end(self, job: Job, end: Numbered, picture: PixelBlob | None = None) -> Iterator[Effect]:
        """A job has just ended: keep it, tell it, let older ones go."""
        self._blobs.release(job.id)
        if job in self._fair_queue:
            self._fair_queue.remove(job)
        self._slots.release(job)
        end = job.finish(end, picture, self._clock())
        self._completed.add(job)
        yield self._keep_end(job, end)
        if job.client is not None:
            yield Send(job.client, end, picture)
        yield from self._drop_outdated()

    def _drop_outdated(self) -> Iterator[Effect]:
        for job in self._completed.outdated():
            yield from self._drop(job)

    def _drop(self, job: Job) -> Iterator[Effect]:
        """Its client never came back."""
        if job in self._fair_queue:
            self._fair_queue.remove(job)
        self._forget(job)
        if job.is_kept:
            yield self._record(job, "dropped")

    def is_taught(self, job_id: str) -> bool:
        """Whether this job teaches a model something."""
        job = self._jobs.get(job_id)
        return job is not None and job.is_patient

    def lose_picture(self, client: int, job_id: str) -> list[Effect]:
        """A job's picture cannot be read any more; submitted again, it is painted anew."""
        job = self._jobs.get(job_id)
        if job is None or job.picture is None:
            return []
        return [*self._drop(job), Send(client, refusals.unknown(job_id))]

    def _forget(self, job: Job) -> None:
        self._blobs.release(job.id)
        self._completed.remove(job)
        del self._jobs[job.id]

    # --- from the workers -------------------------------------------------------------------------

    def hear(
        self, message: Message, pixels: Mapping[str, bytes] = NO_PIXELS, worker: int = 0
    ) -> list[Effect]:
        """A message of a worker, or of the pool about this worker; raises ProtocolError.

        pixels    that it refers to, by their SHA-256
        """
        slot = self._slots[worker]
        if isinstance(message, Backend):
            effects = list(self._hear_state(slot, message))
        elif isinstance(message, Joined):
            slot.node, effects = message.node, []
        elif isinstance(message, Left):
            effects = list(self._take_leave(slot))
        elif isinstance(message, Failed) and not message.job_id:
            slot.problem, effects = message, []  # it ends next, and is lost
        else:
            effects = list(self._hear_about_job(slot, message, pixels))
        return [*effects, *self._start_next()]

    def _hear_about_job(
        self, slot: WorkerSlot, message: Message, pixels: Mapping[str, bytes]
    ) -> Iterator[Effect]:
        job = slot.job
        if job is None or job.id != getattr(message, "job_id", None):
            raise ProtocolError(message.kind, "is about a job that does not run")
        match message:
            case Progress():
                yield from self._tell(job, message)
            case Preview():
                yield from self._tell(job, message, blob_with(message, pixels))
            case Result():
                yield from self._conclude(job, Event.FINISH, message, blob_with(message, pixels))
            case Failed():
                yield from self._conclude(job, Event.FAIL, message)
            case Cancelled() if job.is_yielding and job.state is JobState.RUNNING:
                yield from self._yield(job)
            case Cancelled():
                yield from self._conclude(job, Event.STOP, message)
            case Lacks():
                slot.lacks.update(message.names)
                yield from self._begin_again(job)
            case _:
                raise ProtocolError(message.kind, "is not for the server")

    def _conclude(
        self, job: Job, event: Event, end: Numbered, picture: PixelBlob | None = None
    ) -> Iterator[Effect]:
        job.change(event)
        if job.state is JobState.CANCELLED:  # whatever the worker still made of it
            yield from self._end(job, Cancelled(job.id))
        else:
            yield from self._end(job, end, picture)

    def _hear_state(self, slot: WorkerSlot, backend: Backend) -> Iterator[Effect]:
        slot.backend = backend
        if self.backend != self._slots.backend:
            self.backend = self._slots.backend
            yield Broadcast(self.backend)
        if backend.state == "ready":
            slot.is_up = True
            slot.false_starts, slot.problem = 0, None
        elif backend.state == "lost":
            was_up, slot.is_up, slot.helps = slot.is_up, False, None
            slot.lacks.clear()  # what it lacks may be there when it starts again
            if slot.job is not None:
                yield from self._retry_or_fail(slot.job)
            elif not was_up:
                yield from self._count_false_start(slot)

    def _retry_or_fail(self, job: Job) -> Iterator[Effect]:
        """The worker of a job is gone: it goes first on another one, but not too often."""
        if job.state is JobState.RUNNING and job.tries < MAX_TRIES:
            yield from self._put_back(job)
        else:
            yield from self._conclude(job, Event.FAIL, refusals.lost_in_the_middle(job.id))

    def _begin_again(self, job: Job) -> Iterator[Effect]:
        """Its worker is no more, or not the right one, through no fault of the job's."""
        if job.state is JobState.RUNNING:
            job.tries -= 1
            yield from self._put_back(job)
        else:
            yield from self._conclude(job, Event.STOP, Cancelled(job.id))

    def _put_back(self, job: Job) -> Iterator[Effect]:
        job.change(Event.LOSE)
        self._slots.release(job)
        self._fair_queue.put_back(job)
        yield from self._tell(job, Progress(job.id, "queued", 0, 0))

    def _take_leave(self, slot: WorkerSlot) -> Iterator[Effect]:
        """A worker of the cluster is gone for good, with its computer as a rule."""
        self._slots.remove(slot)
        if slot.job is not None:
            yield from self._begin_again(slot.job)
        if self.backend != self._slots.backend:
            self.backend = self._slots.backend
            yield Broadcast(self.backend)

    def _count_false_start(self, slot: WorkerSlot) -> Iterator[Effect]:
        """A worker did not even start; when none ever does, the queue has failed."""
        slot.false_starts += 1
        if self._slots.give_up():
            for job in list(self._fair_queue):
                end = refusals.never_started(job.id)
                if slot.problem is not None:
                    end = replace(slot.problem, job_id=job.id)
                yield from self._conclude(job, Event.FAIL, end)

    @property
    def workers(self) -> tuple[WorkerInfo, ...]:
        """All workers, local ones first, as an artist sees them."""
        slots = sorted(self._slots, key=lambda slot: (slot.node, slot.worker))
        return tuple(slot.info for slot in slots[:MAX_WORKERS])

    # --- telling and keeping ----------------------------------------------------------------------

    def _tell(
        self, job: Job, message: Numbered, picture: PixelBlob | None = None
    ) -> Iterator[Send]:
        message = job.numbered(message, picture)
        if job.client is not None:
            yield Send(job.client, message, picture)

    def _tell_end_again(self, job: Job) -> Iterator[Send]:
        if job.end is not None:
            yield from self._tell(job, job.end, job.picture)

    def _record(self, job: Job, what: What, text: str = "") -> Persist:
        return Persist(Record(what, job.id, self._clock(), text, tries=job.tries))

    def _keep_submit(self, job: Job) -> Persist:
        blobs = self._blobs.of(job.id)
        record = Record("accepted", job.id, self._clock(), encode(job.submit), tuple(blobs))
        return Persist(record, blobs, is_urgent=True)

    def _keep_end(self, job: Job, end: Numbered) -> Persist:
        blobs = tuple(each.sha256 for each in job.picture.all) if job.picture else ()
        record = Record("ended", job.id, self._clock(), encode(end), blobs)
        return Persist(record, picture=job.picture, is_urgent=True)


def _is_abandoned(job: Job) -> bool:
    is_waiting_for_pixels = job.state is JobState.WAITING and job.client is None
    return is_waiting_for_pixels or (job.is_absent and not job.has_ended)
