"""Whose job is next."""

from tapestry_backend.server.queue.fair_queue import FairQueue
from tapestry_backend.server.queue.job import Job
from tests.server.queue.job_messages import PLAIN


def line_up(*names: str) -> tuple[FairQueue, dict[str, Job]]:
    """Jobs "1a", "1b", "2a", ...: the digit is the owner."""
    queue = FairQueue()
    jobs = {name: Job(name, PLAIN, None, int(name[0])) for name in names}
    for job in jobs.values():
        queue.add(job)
    return queue, jobs


def taken(queue: FairQueue) -> list[str]:
    """All jobs, in the order in which they are taken."""
    return [job.id for job in iter(queue.take, None)]


def test_one_of_each_in_turn() -> None:
    """And each owner's own in order; who comes later is behind who is there."""
    names = ("1a", "1b", "1c", "2a", "3a", "3b")
    queue, jobs = line_up(*names)
    expected = ["1a", "2a", "3a", "1b", "3b", "1c"]
    assert [queue.ahead_of(jobs[name]) for name in expected] == list(range(6))
    assert len(queue) == 6
    assert taken(queue) == expected
    assert len(queue) == 0


def test_who_had_a_turn_is_behind_the_others() -> None:
    """Also when new jobs come in between."""
    queue, _ = line_up("1a", "1b", "2a")
    assert queue.take().id == "1a"
    queue.add(Job("2b", PLAIN, None, 2))
    queue.add(Job("3a", PLAIN, None, 3))
    assert taken(queue) == ["2a", "1b", "3a", "2b"]


def test_an_interrupted_job_comes_first() -> None:
    """It had its turn already."""
    queue, jobs = line_up("1a", "2a", "2b")
    queue.remove(jobs["2b"])
    assert jobs["2b"] not in queue
    queue.put_back(jobs["2b"])
    assert taken(queue)[0] == "2b"


def test_a_job_whose_client_is_away_since_the_restart_waits() -> None:
    """The others are taken."""
    queue, jobs = line_up("1a", "2a")
    jobs["1a"].is_absent = True
    assert taken(queue) == ["2a"]
    assert jobs["1a"] in queue
