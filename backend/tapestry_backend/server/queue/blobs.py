"""The pixels of jobs that have not ended, by content; checks budgets before memory is taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tapestry_protocol.assembly import Assembly
from tapestry_protocol.codec import Chunk
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_BLOB_BYTES, MAX_STAGED_BYTES
from tapestry_protocol.messages import PixelsRef
from tapestry_protocol.sentences import Sentence

_Key = tuple[str, int]
"""SHA-256 and size: a job that lies about a size must not spoil the blob for others."""


@dataclass
class _Blob:
    assembly: Assembly
    data: bytes | None = None
    jobs: set[str] = field(default_factory=set)


class Blobs:
    """Blobs that jobs have claimed; one that several jobs claim is kept, and counted, once."""

    def __init__(self, budget_bytes: int = MAX_STAGED_BYTES) -> None:
        self._budget_bytes = budget_bytes
        self._blobs: dict[_Key, _Blob] = {}

    @property
    def claimed_bytes(self) -> int:
        """Bytes of all claimed blobs, whether they have arrived or not."""
        return sum(size_bytes for _, size_bytes in self._blobs)

    def claim(self, job_id: str, refs: Iterable[PixelsRef]) -> None:
        """Make room for a job's blobs; raises TapestryError when there is none."""
        keys = {(ref.sha256, ref.size_bytes) for ref in refs}
        if len({sha256 for sha256, _ in keys}) < len(keys):
            raise TapestryError(
                ErrorCode.BAD_REQUEST, "One and the same picture is given with two sizes."
            )
        needed_bytes = sum(size_bytes for _, size_bytes in keys)
        largest_bytes = max((size_bytes for _, size_bytes in keys), default=0)
        if needed_bytes > self._budget_bytes or largest_bytes > MAX_BLOB_BYTES:
            raise TapestryError(
                ErrorCode.TOO_LARGE,
                Sentence(
                    "The picture and masks of this job have {count} MiB.",
                    count=needed_bytes // 2**20,
                ),
                Sentence(
                    "Tapestry takes up to {most} MiB, and {each} MiB for one of them: use "
                    "fewer or smaller regions.",
                    most=self._budget_bytes // 2**20,
                    each=MAX_BLOB_BYTES // 2**20,
                ),
            )
        new = keys - self._blobs.keys()
        new_bytes = sum(size_bytes for _, size_bytes in new)
        if self.claimed_bytes + new_bytes > self._budget_bytes:
            raise TapestryError(
                ErrorCode.BUSY,
                "The jobs that are waiting hold too much memory for another one.",
                "Wait until one of them has ended, or cancel one.",
            )
        for key in new:
            self._blobs[key] = _Blob(Assembly(*key))
        for key in keys:
            self._blobs[key].jobs.add(job_id)

    def release(self, job_id: str) -> None:
        """Let a job's blobs go, but for those that other jobs claim too."""
        for key, blob in list(self._blobs.items()):
            blob.jobs.discard(job_id)
            if not blob.jobs:
                del self._blobs[key]

    def missing(self, job_id: str) -> tuple[str, ...]:
        """SHA-256 of a job's blobs that have not arrived."""
        return tuple(
            sha256
            for (sha256, _), blob in self._blobs.items()
            if job_id in blob.jobs and blob.data is None
        )

    def add(self, chunk: Chunk) -> frozenset[str]:
        """Take a chunk; gives the jobs whose blob it completed.

        A chunk that no job waits for (its job was cancelled, or it came twice) is ignored. Raises
        ProtocolError when chunks are out of order or a blob is not what its SHA-256 says.
        """
        blob = self._blobs.get((chunk.sha256, chunk.size_bytes))
        if blob is None or blob.data is not None:
            return frozenset()
        blob.data = blob.assembly.add(chunk)
        return frozenset(blob.jobs) if blob.data is not None else frozenset()

    def put(self, ref: PixelsRef, data: bytes) -> None:
        """Take a whole blob that some job has claimed, and that is what its SHA-256 says."""
        self._blobs[ref.sha256, ref.size_bytes].data = data

    def of(self, job_id: str) -> dict[str, bytes]:
        """A job's blobs by their SHA-256."""
        return {
            sha256: blob.data
            for (sha256, _), blob in self._blobs.items()
            if job_id in blob.jobs and blob.data is not None
        }
