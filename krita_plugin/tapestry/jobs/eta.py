"""The time that pending jobs will still take, estimated from the steps so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil

from tapestry_protocol.messages import Request

from ..i18n.translation import tr
from .job import Job

_NEWEST_COUNTS_FOR = 0.3
"""A machine's speed changes with what else it does: the last steps tell more than old ones."""


_ROWS = {"learning": 0, "comparing": 3, "inverting": 1, "denoising": 2}
"""How many rows go through the model in a step of each stage, in the order of the stages: so many
texts, or with guidance the prompt and what to avoid. Learning has steps of its own, which are as
long for a picture of any size."""

_COMPARED = 10
"""Steps of the stage in which words are compared."""


class TimeEstimate:
    """Seconds per row and pixel of each model, and per step of learning, as they were measured.

    clock  seconds that only grow
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rates: dict[str, float] = {}
        self._learning_rates: dict[str, float] = {}
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
        request, steps = job.order.request, job.step - last_step
        learns = job.stage == "learning"
        rates = self._learning_rates if learns else self._rates
        parts = 1 if learns else _ROWS[job.stage] * _pixels(request)
        rate = (now_s - last_s) / steps / parts
        known = rates.get(request.model, rate)
        rates[request.model] = known + _NEWEST_COUNTS_FOR * (rate - known)

    def seconds_left(self, jobs: Iterable[Job]) -> float | None:
        """Until all of them are done; None while nothing is known about one of them.

        A backend with several cards paints several at once.
        """
        jobs = list(jobs)
        self._last = {job.id: self._last[job.id] for job in jobs if job.id in self._last}
        total_s = 0.0
        for job in jobs:
            left_s = None if job.order is None else self._left_of(job, job.order.request)
            if left_s is None:
                return None
            total_s += left_s
        at_once = max(1, len(self._last))
        waited_s = self._clock() - self._last_s
        return max(0.0, total_s / at_once - waited_s)

    def _left_of(self, job: Job, request: Request) -> float | None:
        """Seconds of one job; while it learns, what is painted afterwards hardly counts."""
        if request.teach is not None:  # its steps are the seconds that it was given
            learns = job.is_counted and job.stage == "learning"
            return float(job.steps - job.step) if learns else 60 * request.teach.minutes
        steps = _steps_left(job, request)
        lessons = steps.get("learning", 0)
        per_row, per_lesson = (
            rates.get(request.model) for rates in (self._rates, self._learning_rates)
        )
        if per_lesson is None if lessons else per_row is None:
            return None
        rows = sum(count * _ROWS[stage] for stage, count in steps.items())
        return lessons * (per_lesson or 0) + rows * _pixels(request) * (per_row or 0)


def _steps_left(job: Job, request: Request) -> dict[str, int]:
    """The steps of each stage that are still to come; none once it is decoded."""
    if job.stage == "decoding":
        return {}
    steps = _steps(request)
    if job.is_counted and job.stage in _ROWS:
        order = list(_ROWS)
        steps = {stage: steps[stage] for stage in order[order.index(job.stage) :] if stage in steps}
        steps[job.stage] = job.steps - job.step
    return steps


def _steps(request: Request) -> dict[str, int]:
    """How many steps each stage of a request has."""
    steps, edit = request.num_inference_steps, request.edit
    if request.task == "recognise":
        return {"comparing": _COMPARED * len(request.regions)}
    share = round(steps * request.strength)
    if edit is None or edit.method == "instruct":
        return {"denoising": share if request.task == "upscale" else steps}
    steps = max(1, share)
    if edit.method == "imagic":
        return {"learning": edit.learning_steps, "inverting": steps, "denoising": steps}
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
