"""All jobs that are on their way: sent in order, heard of, cancelled.

The server keeps its own queue, and paints as many at once as it has cards; this one is the artist's
view of it. What a lost connection has missed is the link's business.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import (
    Accepted,
    Acknowledge,
    Cancel,
    Cancelled,
    Failed,
    Message,
    Need,
    Preview,
    Progress,
    Result,
    Submit,
)
from tapestry_protocol.pixels import Pixels

from ..common.task_queue import Loop, Task, Work
from ..connection.link import Link, LinkState
from ..document.canvas import Canvas
from ..document.order import NOTHING, Beside, DocumentState, Order
from ..i18n.notices import Notice, notice_of
from ..i18n.translation import tr
from .eta import TimeEstimate
from .job import Job, JobResult, Phase
from .pending import PendingJobs


class JobQueue:
    """Jobs in the order of their buttons.

    changed       is called when something about a job is new
    previewed     takes a job whose preview is new
    finished      takes a job with its picture and its layers; it stays in the queue until `end`
    said          shows a notice to the artist; None removes the last one
    pending_jobs  where jobs outlive Krita; those that an earlier one has left go on
    """

    def __init__(
        self,
        link: Link,
        loop: Loop,
        changed: Callable[[], None],
        previewed: Callable[[Job], None],
        finished: Callable[[Job, JobResult], None],
        said: Callable[[Notice | None], None],
        pending_jobs: PendingJobs,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs: list[Job] = pending_jobs.read()
        self._pending_jobs = pending_jobs
        self._link = link
        self._loop = loop
        self._changed = changed
        self._previewed = previewed
        self._finished = finished
        self._said = said
        self._pace = TimeEstimate(clock)
        self._readings: dict[str, Task] = {}
        for job in self.jobs:
            if job.order is not None:
                link.owe(Submit(job.id, job.order.request))

    @property
    def front(self) -> Job | None:
        """The job that is painted, or the next one."""
        return self.jobs[0] if self.jobs else None

    @property
    def seconds_left(self) -> float | None:
        """Until all are done; None while that is not known."""
        return self._pace.seconds_left(self.jobs)

    # --- from the artist --------------------------------------------------------------------------

    def begin(
        self,
        canvas: Canvas,
        reading: Work[Order],
        sources: Sequence[str] = (),
        copies: int = 1,
        history_id: str = "",
    ) -> Job:
        """Read a document in the turns to come, and paint what it asks for so many times."""
        job = Job(uuid.uuid4().hex, canvas, DocumentState.of(canvas), history_id, canvas.name)
        job.sources, job.copies = tuple(sources), copies
        self.jobs.append(job)

        def read(order: Order) -> None:
            self._readings.pop(job.id)
            self._ordered(job, order)

        def failed(error: Exception) -> None:
            self._readings.pop(job.id, None)
            self.end(job, notice_of(error))

        self._readings[job.id] = Task(self._loop, reading, read, failed)
        self._changed()
        return job

    def cancel(self, job: Job) -> None:
        """Stop a job, wherever it is."""
        if job not in self.jobs or not job.can_be_cancelled:
            return
        if job.phase is Phase.SUBMITTED and self._link.is_ready:
            job.phase = Phase.CANCELLING
            self._link.send(Cancel(job.id))
            self._changed()
        else:
            self._link.abandon(job.id)
            self._stop_reading(job)
            self.end(job, _cancelled())

    def cancel_all(self) -> None:
        """Stop every job; those behind first, so that none of them begins meanwhile."""
        for job in reversed(list(self.jobs)):
            self.cancel(job)

    def end(self, job: Job, notice: Notice | None) -> None:
        """A job is over: its picture is kept, or there is none."""
        if job in self.jobs:
            self.jobs.remove(job)
            self._pending_jobs.drop(job.id)
            if job.phase is Phase.INSERTING:
                self._link.acknowledge(job.id)
            self._send_waiting()
            self._changed()
        self._said(notice)

    def close(self) -> None:
        """Stop reading."""
        for job in self.jobs:
            self._stop_reading(job)

    # --- on the way -------------------------------------------------------------------------------

    def _ordered(self, job: Job, order: Order) -> None:
        """One job becomes as many as pictures are wanted, with seeds in sequence."""
        place = self.jobs.index(job)
        first = order.request.seed
        job.order, job.phase = order, Phase.WAITING
        others = [
            replace(job, id=uuid.uuid4().hex, order=order.with_seed((first + n) % 2**32))
            for n in range(1, job.copies)
        ]
        self.jobs[place + 1 : place + 1] = others
        self._changed()
        if self._link.is_ready:
            self._send_waiting()
        else:
            self._link.ensure()

    def _send_waiting(self) -> None:
        if not self._link.is_ready:
            return
        for job in list(self.jobs):
            if job.phase is Phase.READING:
                return  # those behind it were asked for later
            if job.phase is Phase.WAITING and job.order is not None:
                self._submit(job, job.order)

    def _submit(self, job: Job, order: Order) -> None:
        try:
            self._link.send(Submit(job.id, order.request))
        except TapestryError as error:
            self.end(job, notice_of(error))
        else:
            job.phase = Phase.SUBMITTED
            self._pending_jobs.keep(job, order)
            self._changed()

    def _stop_reading(self, job: Job) -> None:
        reading = self._readings.pop(job.id, None)
        if reading is not None:
            reading.cancel()

    # --- from the link ----------------------------------------------------------------------------

    def link_changed(self) -> None:
        """Jobs that were sent go on by themselves, waiting ones are sent."""
        is_sent = any(job.phase is Phase.SUBMITTED for job in self.jobs)
        if self._link.state is LinkState.LOST:
            for job in [job for job in self.jobs if job.phase is Phase.CANCELLING]:
                self._link.abandon(job.id)
                self.end(job, _cancelled())
            if is_sent:
                self._said(_lost())
        elif self._link.is_ready:
            if is_sent:
                self._said(None)
            self._send_waiting()

    def link_failed(self, error: TapestryError) -> None:
        """No backend can be reached: no job gets anywhere."""
        for job in list(self.jobs):
            if job.phase is not Phase.INSERTING:
                self._stop_reading(job)
                self.end(job, None)
        self._said(notice_of(error))

    def hear(self, message: Message, pixels: Pixels | None, beside: Beside = NOTHING) -> None:
        """A message of the server."""
        job_id = getattr(message, "job_id", None)
        job = next((job for job in self.jobs if job.id == job_id), None)
        if job is None or job.order is None:
            if isinstance(message, Failed) and not message.job_id:
                self._said(Notice(message.message, message.advice))
        elif job.phase is not Phase.INSERTING:  # else its picture is here already
            if isinstance(message, Result) and pixels and job.phase is Phase.SUBMITTED:
                self._hear_the_picture(job, JobResult(message, pixels, beside))
            else:
                self._hear_about(job, job.order, message, pixels)
            self._changed()

    def _hear_about(self, job: Job, order: Order, message: Message, pixels: Pixels | None) -> None:
        if isinstance(message, Need):
            self._give(job, order, message)
        elif isinstance(message, Accepted):
            job.ahead = message.ahead
        elif isinstance(message, Progress):
            job.stage, job.step, job.steps = message.stage, message.step, message.steps
            self._pace.note(job)
        elif isinstance(message, Preview):
            job.preview = pixels
            self._previewed(job)
        else:
            self._hear_the_end(job, message)

    def _give(self, job: Job, order: Order, need: Need) -> None:
        if any(sha256 not in order.blobs for sha256 in need.sha256s):
            self._link.send(Cancel(job.id))
            self._link.abandon(job.id)
            self.end(job, _has_no_layers())
            return
        for sha256 in need.sha256s:
            self._link.send_blob(sha256, order.blobs[sha256])

    def _hear_the_picture(self, job: Job, made: JobResult) -> None:
        job.phase = Phase.INSERTING  # it is acknowledged when it is kept
        self._said(None)
        self._finished(job, made)

    def _hear_the_end(self, job: Job, message: Message) -> None:
        self._link.send(Acknowledge(job.id))
        if isinstance(message, Failed) and self._waits_for_room(job, message):
            job.phase = Phase.WAITING
        elif job.phase is Phase.CANCELLING or isinstance(message, Cancelled):
            self.end(job, _cancelled())
        elif isinstance(message, Failed):
            self.end(job, Notice(message.message, message.advice))

    def _waits_for_room(self, job: Job, failed: Failed) -> bool:
        """A backend that is crowded by our own jobs gets this one later."""
        others = (other for other in self.jobs if other is not job)
        is_crowded = failed.code is ErrorCode.BUSY and job.phase is Phase.SUBMITTED
        return is_crowded and any(other.phase is Phase.SUBMITTED for other in others)


def _cancelled() -> Notice:
    return Notice(tr("Cancelled."), is_error=False)


def _has_no_layers() -> Notice:
    return Notice(
        tr("A picture of an earlier time cannot be painted any more: its layers are not known."),
        tr("Open its document and press Generate again."),
    )


def _lost() -> Notice:
    return Notice(
        tr("The connection to the backend was lost."),
        tr("It is being made again; the picture then goes on by itself."),
        is_error=False,
    )
