"""What the journal's records say, one after the other, about jobs.

A job is accepted, started (as often as it takes), told to stop, and ended; its end is delivered, or
dropped because its client never came back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal

from tapestry_protocol.limits import MAX_IDS_REMEMBERED, RESULTS_KEPT_S

What = Literal["accepted", "started", "stopping", "ended", "delivered", "dropped"]


@dataclass(frozen=True)
class Record:
    """One thing that happened to a job.

    text     accepted: the submit; ended: the end, both as text frames; delivered: the digest of
             the submit
    blobs    SHA-256 of what lies in the store for it
    tries    started: how often, with this time
    """

    what: What
    job_id: str
    at_s: float
    text: str = ""
    blobs: tuple[str, ...] = ()
    tries: int = 0

    def to_bytes(self) -> bytes:
        """As it stands in the journal."""
        return json.dumps(asdict(self)).encode("utf-8")

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """What `to_bytes` made; raises ValueError for anything else."""
        try:
            fields = json.loads(data)
            return cls(**{**fields, "blobs": tuple(fields["blobs"])})
        except (TypeError, KeyError, RecursionError) as error:
            raise ValueError("not a record") from error


@dataclass
class OpenJob:
    """All that is known of a job which was not delivered yet."""

    job_id: str
    accepted: Record
    tries: int = 0
    is_stopping: bool = False
    ended: Record | None = None

    @property
    def blobs(self) -> tuple[str, ...]:
        """What it needs of the store: its input until it has ended, then its picture."""
        return (self.ended or self.accepted).blobs

    def records(self) -> Iterator[Record]:
        """The fewest records that say the same."""
        yield self.accepted
        at_s = self.accepted.at_s
        if self.tries:
            yield Record("started", self.job_id, at_s, tries=self.tries)
        if self.is_stopping:
            yield Record("stopping", self.job_id, at_s)
        if self.ended is not None:
            yield self.ended


@dataclass
class JournalState:
    """The sum of all records.

    entries      jobs that were not delivered, by id, in order of their submission
    delivered    the record of those that were, oldest first
    """

    entries: dict[str, OpenJob] = field(default_factory=dict)
    delivered: dict[str, Record] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Take one more record; one about a job that was never accepted is ignored."""
        job_id = record.job_id
        if record.what == "accepted":
            self.entries.setdefault(job_id, OpenJob(job_id, record))
        elif record.what == "delivered":
            self.entries.pop(job_id, None)
            self.delivered[job_id] = record
            self._forget_old(record.at_s)
        elif record.what == "dropped":
            self.entries.pop(job_id, None)
        elif job_id in self.entries:
            self._change(self.entries[job_id], record)

    def _change(self, entry: OpenJob, record: Record) -> None:
        match record.what:
            case "started":
                entry.tries = record.tries
            case "stopping":
                entry.is_stopping = True
            case "ended":
                entry.ended = record

    def records(self) -> Iterator[Record]:
        """The fewest records that give this state again."""
        yield from self.delivered.values()
        for entry in self.entries.values():
            yield from entry.records()

    def needed(self) -> frozenset[str]:
        """Every blob that some job needs."""
        return frozenset(sha256 for entry in self.entries.values() for sha256 in entry.blobs)

    def _forget_old(self, now_s: float) -> None:
        """Ids are remembered for a while, not for ever."""
        for job_id, record in list(self.delivered.items()):
            if len(self.delivered) <= MAX_IDS_REMEMBERED and now_s - record.at_s <= RESULTS_KEPT_S:
                return
            del self.delivered[job_id]
