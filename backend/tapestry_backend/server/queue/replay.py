"""A job as an earlier server left it, put together from the journal and the store."""

from __future__ import annotations

from typing import TypeVar

from tapestry_protocol.codec import decode
from tapestry_protocol.errors import ProtocolError, TapestryError
from tapestry_protocol.messages import Cancelled, Failed, Message, Result, Submit
from tapestry_protocol.references import pixels_with

from ..persistence.journal_state import OpenJob, Record
from ..persistence.pixel_blob import blob_in
from ..persistence.store import Store
from .blobs import Blobs
from .job import Event, Job

Sent = TypeVar("Sent", bound=Message)


def revive(entry: OpenJob, store: Store, blobs: Blobs, first_sequence: int) -> Job | None:
    """The job, ended, queued, or waiting for pixels that are not there any more.

    None when this version of Tapestry does not understand what an earlier one wrote.
    """
    submit = _message(entry.accepted, Submit)
    if submit is None:
        return None
    job = Job(
        submit.job_id,
        submit.request,
        client=None,
        sequence=first_sequence,
        tries=entry.tries,
        is_kept=True,
        is_absent=True,
    )
    if not _take_end(job, entry, store) and not _take_input(job, store, blobs):
        return None
    return job


def _take_end(job: Job, entry: OpenJob, store: Store) -> bool:
    """Whether the job has ended. One whose picture is damaged has not: it is painted again."""
    if entry.ended is None:
        if entry.is_stopping:
            job.finish(Cancelled(job.id), None, entry.accepted.at_s)
        return entry.is_stopping
    end = _message(entry.ended, Result, Failed, Cancelled)
    if isinstance(end, Result):
        if not all(store.holds(ref.sha256) for ref in pixels_with(end)):
            return False
        job.finish(end, blob_in(store, end), entry.ended.at_s)
    elif isinstance(end, Failed | Cancelled):
        job.finish(end, None, entry.ended.at_s)
    return end is not None


def _take_input(job: Job, store: Store, blobs: Blobs) -> bool:
    """Whether there is room for it. What is missing will be requested."""
    try:
        blobs.claim(job.id, job.request.blobs)
    except TapestryError:
        return False
    for reference in job.request.blobs:
        data = store.get(reference.sha256)
        if data is not None and len(data) == reference.size_bytes:
            blobs.put(reference, data)
    if not blobs.missing(job.id):
        job.change(Event.BLOBS_COMPLETE)
    return True


def _message(record: Record, *types: type[Sent]) -> Sent | None:
    try:
        message = decode(record.text)
    except ProtocolError:
        return None
    return message if isinstance(message, types) else None
