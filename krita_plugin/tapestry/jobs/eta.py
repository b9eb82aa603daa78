"""The time that pending jobs will still take, estimated from the steps so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil

from tapestry_protocol.messages import Request

from ..i18n.translation import tr
from .job import Job

_NEWEST_COUNTS_FOR = 0.3
"""A machine's speed changes with what else it does: the last steps tell more than old ones."""


_ROWS = {"comparing": 3, "inverting": 1, "denoising": 2}
"""How many rows go through the model in a step of each stage, in the order of the stages: so many
texts, or with guidance the prompt and what to avoid."""

_COMPARED = 10
"""Steps of the stage in which words are compared."""


class TimeEstimate:
    """Seconds per row and pixel of each model, as they were measured.

    clock  seconds that only grow
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rates: dict[str, float] = {}
        self._last: dict[str, tuple[str, int, float]] = {}  # by job: stage, step, when it was done
        self._last_s = 0.0  # of any job

    def note(self, job: Job) -> None:
        """A step of a job is done."""
        if job.order is None or job.stage not in _ROWS:
            return
        now_s = self._last_s = self._clock()
        last_stage, last_step, last_s = self._last.get(job.id, (job.stage, job.step, now_s))
        self._last[job.id] = job.stage, job.step, now_s
        if last_stage != job.stage or last_step >= job.step:
            return
        request = job.order.request
        rows = (job.step - last_step) * _ROWS[job.stage]
        rate = (now_s - last_s) / rows / _pixels(request)
        known = self._rates.get(request.model, rate)
        self._rates[request.model] = known + _NEWEST_COUNTS_FOR * (rate - known)

    def seconds_left(self, jobs: Iterable[Job]) -> float | None:
        """Until all of them are done; None while nothing is known about one of them.

        A backend with several cards paints several at once.
        """
        jobs = list(jobs)
        self._last = {job.id: self._last[job.id] for job in jobs if job.id in self._last}
        total_s = 0.0
        for job in jobs:
            if job.order is None or job.order.request.model not in self._rates:
                return None
            request = job.order.request
            total_s += _rows_left(job, request) * _pixels(request) * self._rates[request.model]
        at_once = max(1, len(self._last))
        waited_s = self._clock() - self._last_s
        return max(0.0, total_s / at_once - waited_s)


def _rows_left(job: Job, request: Request) -> float:
    """Rows that still go through the model for a job; nothing counts once it is decoded."""
    if job.stage == "decoding":
        return 0
    steps = _steps(request)
    if job.is_counted and job.stage in _ROWS:
        order = list(_ROWS)
        steps = {stage: steps[stage] for stage in order[order.index(job.stage) :] if stage in steps}
        steps[job.stage] = job.steps - job.step
    return sum(count * _ROWS[stage] for stage, count in steps.items())


def _steps(request: Request) -> dict[str, int]:
    """How many steps each stage of a request has."""
    steps, edit = request.num_inference_steps, request.edit
    if request.task == "recognise":
        return {"comparing": _COMPARED * len(request.regions)}
    share = round(steps * request.strength)
    if edit is None or edit.method == "instruct":
        return {"denoising": share if request.task == "upscale" else steps}
    steps = max(1, share)
    finds = edit.map_only or (edit.method != "ddib" and edit.threshold > 0)
    compared = {"comparing": _COMPARED} if finds else {}
    return compared if edit.map_only else {**compared, "inverting": steps, "denoising": steps}


def time_left(seconds: float) -> str:
    """The time as an artist would say it: rounded up, so that it is over sooner than it says."""
    if seconds < 90:
        return tr("about {count} s left").format(count=5 * max(1, ceil(seconds / 5)))
    return tr("about {count} min left").format(count=ceil(seconds / 60))


def _pixels(request: Request) -> float:
    """How many are painted."""
    if request.task == "upscale":
        return request.height * request.width * request.factor**2
    margins = request.margins
    height = request.height + margins.top + margins.bottom
    return height * (request.width + margins.left + margins.right)
