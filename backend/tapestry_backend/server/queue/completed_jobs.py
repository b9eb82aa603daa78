"""Which ended jobs are kept for their clients, and which ids are remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from tapestry_protocol.codec import encode
from tapestry_protocol.limits import (
    MAX_IDS_REMEMBERED,
    MAX_RESULTS_BYTES,
    MAX_RESULTS_IN_MEMORY_BYTES,
    MAX_RESULTS_KEPT,
    RESULTS_KEPT_S,
)
from tapestry_protocol.messages import Submit

from .job import Job


def digest_of(submit: Submit) -> str:
    """What tells one submit from another."""
    return hashlib.sha256(encode(submit).encode("utf-8")).hexdigest()


class CompletedJobs:
    """Ended jobs, and the digests of those that were delivered."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ended: dict[str, Job] = {}
        self._delivered: dict[str, str] = {}

    def add(self, job: Job) -> None:
        """A job has ended."""
        self._ended[job.id] = job

    def remove(self, job: Job) -> None:
        """It is kept no longer."""
        self._ended.pop(job.id, None)

    def remember(self, job_id: str, digest: str) -> None:
        """It was delivered."""
        self._delivered[job_id] = digest
        while len(self._delivered) > MAX_IDS_REMEMBERED:
            del self._delivered[next(iter(self._delivered))]

    def digest(self, job_id: str) -> str | None:
        """The digest of a job that was delivered; None for any other."""
        return self._delivered.get(job_id)

    def outdated(self) -> list[Job]:
        """Those that must go: too old, or too much; never the newest one for its size."""
        now_s = self._clock()
        # After a restart they are here in the order in which they were submitted.
        jobs = sorted(self._ended.values(), key=lambda job: job.ended_at_s)
        too_old = [job for job in jobs if now_s - job.ended_at_s > RESULTS_KEPT_S]
        rest = jobs[len(too_old) :]
        bytes_on_disk = sum(job.picture.total_bytes for job in rest if job.picture)
        in_memory = sum(job.picture.bytes_in_memory for job in rest if job.picture)
        too_much = []
        for count, job in zip(range(len(rest), 1, -1), rest, strict=False):
            if (
                count <= MAX_RESULTS_KEPT
                and bytes_on_disk <= MAX_RESULTS_BYTES
                and in_memory <= MAX_RESULTS_IN_MEMORY_BYTES
            ):
                break
            too_much.append(job)
            if job.picture:
                bytes_on_disk -= job.picture.total_bytes
                in_memory -= job.picture.bytes_in_memory
        return too_old + too_much
