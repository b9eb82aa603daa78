"""The order of jobs: round robin over clients, each client's own in order, patient ones last."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from .job import Job


class FairQueue:
    """The jobs that can start. A client with many does not keep one with few waiting."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[Job]] = {}  # by owner; whose turn is next comes first

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def __contains__(self, job: Job) -> bool:
        return job in self._lines.get(job.owner, ())

    def __iter__(self) -> Iterator[Job]:
        """In the order in which they will start, as far as can be predicted."""
        lines = [list(line) for line in self._lines.values()]
        turns = [
            line[place]
            for place in range(max(map(len, lines), default=0))
            for line in lines
            if place < len(line)
        ]
        yield from sorted(turns, key=lambda job: job.is_patient)

    def add(self, job: Job) -> None:
        """At the end of its owner's line."""
        self._lines.setdefault(job.owner, deque()).append(job)

    def put_back(self, job: Job) -> None:
        """Before all others: it had its turn, and was interrupted."""
        line = self._lines.pop(job.owner, deque())
        line.appendleft(job)
        self._lines = {job.owner: line, **self._lines}

    def remove(self, job: Job) -> None:
        """Take a job out; it must be there."""
        line = self._lines[job.owner]
        line.remove(job)
        if not line:
            del self._lines[job.owner]

    def take(self, fits: Callable[[Job], bool] = lambda _: True) -> Job | None:
        """The next job that a client waits for and that fits; its client then comes last."""
        job = next((job for job in self if not job.is_absent and fits(job)), None)
        if job is not None:
            self.remove(job)
            line = self._lines.pop(job.owner, None)
            if line:
                self._lines[job.owner] = line
        return job

    def ahead_of(self, job: Job) -> int:
        """Number of jobs before this one."""
        return list(self).index(job)
