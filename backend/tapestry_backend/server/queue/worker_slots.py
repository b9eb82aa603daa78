"""The workers as the queue sees them: who is up, and who has which job; no queue, no processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tapestry_protocol.limits import MAX_ID_CHARACTERS
from tapestry_protocol.messages import Backend

from .job import Job

_MAX_FALSE_STARTS = 3
"""Workers that die before they are ready; then nobody is kept waiting for the next one."""


@dataclass
class Seat:
    """The place of one worker.

    backend       what it said of itself last
    job           what it has been given and has not ended
    is_up         it was ready once, and is not lost since
    false_starts  how often in a row it was lost before it was ready
    """

    worker: int
    backend: Backend = field(default_factory=lambda: Backend("starting"))
    job: Job | None = None
    is_up: bool = False
    false_starts: int = 0


class Seats:
    """All workers, by their numbers; one is known as soon as it is heard of."""

    def __init__(self) -> None:
        self._seats: dict[int, Seat] = {}

    def __getitem__(self, worker: int) -> Seat:
        return self._seats.setdefault(worker, Seat(worker))

    def __iter__(self) -> Iterator[Seat]:
        return iter(self._seats.values())

    def of(self, job: Job) -> Seat | None:
        """Where a job is painted."""
        return next((seat for seat in self if seat.job is job), None)

    @property
    def free(self) -> list[Seat]:
        """Who can begin a job."""
        return [seat for seat in self if seat.is_up and seat.job is None]

    @property
    def jobs(self) -> list[Job]:
        """What is painted now."""
        return [seat.job for seat in self if seat.job is not None]

    @property
    def backend(self) -> Backend:
        """All of them as one, for the artist: one that paints counts before one that waits."""
        at_work = [seat.backend for seat in self if seat.backend.state in {"busy", "ready"}]
        states = {seat.backend.state for seat in self}
        for state in ("busy", "ready", "loading", "starting"):
            if state in states:
                return Backend(state, _names(at_work))
        return Backend("lost")

    def give_up(self) -> bool:
        """Whether no worker is to be hoped for; if so, the count of their tries begins again."""
        is_hopeless = all(
            not seat.is_up and seat.false_starts >= _MAX_FALSE_STARTS for seat in self
        )
        if is_hopeless:
            for seat in self:
                seat.false_starts = 0
        return is_hopeless


def _names(workers: list[Backend]) -> str:
    """Their devices, each kind once."""
    kinds = Counter(worker.device for worker in workers if worker.device)
    names = [f"{count} x {name}" if count > 1 else name for name, count in kinds.items()]
    return ", ".join(names)[:MAX_ID_CHARACTERS]
