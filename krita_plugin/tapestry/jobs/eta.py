"""The time that pending jobs will still take, estimated from the steps so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil

from tapestry_protocol.messages import Request

from ..i18n.translation import tr
from .job import Job

_NEWEST_COUNTS_FOR = 0.3
"""A machine's speed changes with what else it does: the last steps tell more than old ones."""


class TimeEstimate:
    """Seconds per step and pixel of each model, as they were measured.

    clock  seconds that only grow
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rates: dict[str, float] = {}
        self._last: dict[str, tuple[int, float]] = {}  # by job: step, and when it was done
        self._last_s = 0.0  # of any job

    def note(self, job: Job) -> None:
        """A step of a job is done."""
        if job.order is None or job.stage != "denoising":
            return
        now_s = self._last_s = self._clock()
        last_step, last_s = self._last.get(job.id, (job.step, now_s))
        self._last[job.id] = job.step, now_s
        if last_step >= job.step:
            return
        request = job.order.request
        rate = (now_s - last_s) / (job.step - last_step) / _pixels(request)
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
            steps = request.num_inference_steps
            if request.task == "upscale":
                steps = round(steps * request.strength)
            if job.is_counted and job.stage == "denoising":
                steps = job.steps - job.step
            elif job.stage == "decoding":
                steps = 0
            total_s += steps * _pixels(request) * self._rates[request.model]
        at_once = max(1, len(self._last))
        waited_s = self._clock() - self._last_s
        return max(0.0, total_s / at_once - waited_s)


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
