"""Whose job is next."""

from tapestry_backend.server.queue.fair_queue import FairQueue
from tapestry_backend.server.queue.job import Job
from tests.server.queue.test_jobs import PLAIN


def line_up(*names: str) -> tuple[FairQueue, dict[str, Job]]:
    """Jobs "1a", "1b", "2a", ...: the digit is the owner."""
    turns = FairQueue()
    jobs = {name: Job(name, PLAIN, None, int(name[0])) for name in names}
    for job in jobs.values():
        turns.add(job)
    return turns, jobs


def taken(turns: FairQueue) -> list[str]:
    """All jobs, in the order in which they are taken."""
    return [job.id for job in iter(turns.take, None)]


def test_one_of_each_in_turn() -> None:
    """And each owner's own in order; who comes later is behind who is there."""
    names = ("1a", "1b", "1c", "2a", "3a", "3b")
    turns, jobs = line_up(*names)
    expected = ["1a", "2a", "3a", "1b", "3b", "1c"]
    assert [turns.ahead_of(jobs[name]) for name in expected] == list(range(6))
    assert len(turns) == 6
    assert taken(turns) == expected
    assert len(turns) == 0


def test_who_had_a_turn_is_behind_the_others() -> None:
    """Also when new jobs come in between."""
    turns, _ = line_up("1a", "1b", "2a")
    assert turns.take().id == "1a"
    turns.add(Job("2b", PLAIN, None, 2))
    turns.add(Job("3a", PLAIN, None, 3))
    assert taken(turns) == ["2a", "1b", "3a", "2b"]


def test_an_interrupted_job_comes_first() -> None:
    """It had its turn already."""
    turns, jobs = line_up("1a", "2a", "2b")
    turns.remove(jobs["2b"])
    assert jobs["2b"] not in turns
    turns.put_back(jobs["2b"])
    assert taken(turns)[0] == "2b"


def test_a_job_whose_client_is_away_since_the_restart_waits() -> None:
    """The others are taken."""
    turns, jobs = line_up("1a", "2a")
    jobs["1a"].is_absent = True
    assert taken(turns) == ["2a"]
    assert jobs["1a"] in turns
