"""What is remembered of jobs that are over."""

from tapestry_backend.server.persistence.pixel_blob import PixelBlob
from tapestry_backend.server.queue import completed_jobs as ends_module
from tapestry_backend.server.queue.completed_jobs import CompletedJobs
from tapestry_backend.server.queue.job import Job
from tapestry_protocol.limits import MAX_IDS_REMEMBERED, RESULTS_KEPT_S
from tapestry_protocol.messages import PixelsRef, Request, Result
from tapestry_protocol.pixels import Bounds


def test_only_so_many_ids_are_remembered() -> None:
    """The one that was delivered first is forgotten first."""
    ends = CompletedJobs(lambda: 0.0)
    for number in range(MAX_IDS_REMEMBERED):
        ends.remember(str(number), "digest")
    assert ends.digest("0") == "digest"
    ends.remember("one more", "digest")
    assert ends.digest("0") is None
    assert ends.digest("1") == "digest"


def ended(job_id: str, at_s: float, size: int = 1) -> Job:
    """A job with a picture of so many MiB on disk."""
    picture = PixelsRef(size * 512, 512, 4, job_id * 64)
    job = Job(job_id, Request("generate", 8, 8), client=None)
    job.finish(Result(job_id, picture, Bounds(0, 0, 8, 8), 0, "{}"), PixelBlob(picture), at_s)
    return job


def test_each_outdated_job_is_named_once_whatever_their_order(monkeypatch) -> None:
    """After a restart they come in the order of their submission, not of their ends."""
    monkeypatch.setattr(ends_module, "MAX_RESULTS_BYTES", 2 * 2**20)
    ends = CompletedJobs(lambda: RESULTS_KEPT_S + 100.0)
    for job_id, at_s in (("a", 300.0), ("b", 50.0), ("c", 200.0), ("d", 400.0), ("e", 90.0)):
        ends.add(ended(job_id, at_s))
    assert [job.id for job in ends.outdated()] == ["b", "e", "c"]


def test_the_newest_is_kept_however_large_it_is(monkeypatch) -> None:
    """Also where it was submitted first."""
    monkeypatch.setattr(ends_module, "MAX_RESULTS_BYTES", 2**20)
    ends = CompletedJobs(lambda: 500.0)
    for job_id, at_s in (("a", 400.0), ("b", 300.0)):
        ends.add(ended(job_id, at_s, size=5))
    assert [job.id for job in ends.outdated()] == ["b"]
