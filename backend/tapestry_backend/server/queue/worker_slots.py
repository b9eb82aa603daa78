"""The workers as the queue sees them: which are up, and which job each has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tapestry_protocol.limits import MAX_ID_CHARACTERS
from tapestry_protocol.messages import Backend, Failed, WorkerInfo

from .job import Job

_MAX_FALSE_STARTS = 3
"""Workers that die before they are ready; then jobs fail instead of waiting for the next one."""


@dataclass
class WorkerSlot:
    """The place of one worker.

    backend       what it said of itself last
    job           what it has been given and has not ended
    is_up         it was ready once, and is not lost since
    false_starts  how often in a row it was lost before it was ready
    problem       why it cannot start, in its own words; None: it has not said so
    node          the computer of a cluster that it is on; empty: ours
    lacks         models and the like that its computer has not
    helps         the job of another worker that it is lent to
    """

    worker: int
    backend: Backend = field(default_factory=lambda: Backend("starting"))
    job: Job | None = None
    is_up: bool = False
    false_starts: int = 0
    problem: Failed | None = None
    node: str = ""
    lacks: set[str] = field(default_factory=set)
    helps: Job | None = None

    @property
    def is_free(self) -> bool:
        """It can begin a job, or help with one."""
        return self.is_up and self.job is None and self.helps is None

    @property
    def info(self) -> WorkerInfo:
        """As an artist sees it."""
        job = self.job or self.helps
        return WorkerInfo(
            self.node,
            self.backend.device,
            self.backend.memory_bytes,
            self.backend.state,
            job.id if job else "",
            is_helping=self.helps is not None,
        )


class WorkerSlots:
    """All workers, by their numbers; one is known as soon as it is heard of."""

    def __init__(self) -> None:
        self._slots: dict[int, WorkerSlot] = {}

    def __getitem__(self, worker: int) -> WorkerSlot:
        return self._slots.setdefault(worker, WorkerSlot(worker))

    def __iter__(self) -> Iterator[WorkerSlot]:
        return iter(self._slots.values())

    def of(self, job: Job) -> WorkerSlot | None:
        """Where a job is painted."""
        return next((slot for slot in self if slot.job is job), None)

    @property
    def free(self) -> list[WorkerSlot]:
        """Who can begin a job."""
        return [slot for slot in self if slot.is_free]

    def remove(self, slot: WorkerSlot) -> None:
        """It will never be heard of again."""
        del self._slots[slot.worker]

    def helpers_for(self, slot: WorkerSlot) -> list[WorkerSlot]:
        """Who can take a share of what this one paints: free ones of the same cluster."""
        return [each for each in self.free if slot.node and each.node and each is not slot]

    def release(self, job: Job) -> None:
        """A job has no worker any more, nor any that helps with it."""
        for slot in self:
            if slot.job is job:
                slot.job = None
            if slot.helps is job:
                slot.helps = None

    @property
    def jobs(self) -> list[Job]:
        """What is painted now."""
        return [slot.job for slot in self if slot.job is not None]

    @property
    def backend(self) -> Backend:
        """All of them as one, for the artist: one that paints counts before one that waits."""
        at_work = [slot.backend for slot in self if slot.backend.state in {"busy", "ready"}]
        states = {slot.backend.state for slot in self}
        for state in ("busy", "ready", "loading", "starting"):
            if state in states:
                return Backend(state, _names(at_work))
        return Backend("lost")

    def give_up(self) -> bool:
        """Whether no worker is to be hoped for; if so, the count of their tries begins again."""
        is_hopeless = all(
            not slot.is_up and (slot.problem or slot.false_starts >= _MAX_FALSE_STARTS)
            for slot in self
        )
        if is_hopeless:
            for slot in self:
                slot.false_starts = 0
        return is_hopeless


def _names(workers: list[Backend]) -> str:
    """Their devices, each kind once."""
    kinds = Counter(worker.device for worker in workers if worker.device)
    names = [f"{count} x {name}" if count > 1 else name for name, count in kinds.items()]
    return ", ".join(names)[:MAX_ID_CHARACTERS]
