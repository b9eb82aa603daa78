"""Workers that come and go, lack models, and help each other; without a cluster."""

from dataclasses import replace

from tapestry_backend.server.queue.effects import Start
from tapestry_backend.server.queue.job import MAX_TRIES
from tapestry_backend.server.queue.jobs import Jobs
from tapestry_protocol.messages import (
    Backend,
    Cancel,
    Cancelled,
    Failed,
    Joined,
    Lacks,
    Left,
    Progress,
    Request,
    Submit,
)
from tapestry_protocol.request_checks import check_request
from tests.server.queue.job_messages import BLOBS, ME, PLAIN, YOU, result

OTHER = replace(PLAIN, model="other")
READY = Backend("ready", "card", 2**34)


def needs(request: Request) -> frozenset[str]:
    """The model alone."""
    return frozenset({request.model})


def studio(*nodes: int, is_splitting: bool = False) -> Jobs:
    """A server whose local worker 0 is not there yet, and ready workers of a cluster."""
    jobs = Jobs(check_request, needs=needs, is_splitting=is_splitting)
    jobs.hear(Backend("starting"))
    for number in nodes:
        jobs.hear(Joined(f"node-{number}"), {}, number)
        jobs.hear(READY, {}, number)
    return jobs


def starts(effects) -> list[tuple[str, int, tuple[int, ...]]]:
    """Which jobs start, where, with whose help."""
    return [(e.job_id, e.worker, e.helpers) for e in effects if isinstance(e, Start)]


def sent(effects) -> list:
    """Messages to clients."""
    return [e.message for e in effects if hasattr(e, "client")]


def test_a_worker_that_lacks_a_model_gets_other_work() -> None:
    """The job goes first on another one, is not counted as begun, and no second time to it."""
    jobs = studio(1, 2)
    assert starts(jobs.receive(ME, Submit("a", OTHER))) == [("a", 1, ())]
    assert starts(jobs.hear(Lacks("a", ("other",)), {}, 1)) == [("a", 2, ())]
    assert starts(jobs.receive(ME, Submit("b", OTHER))) == []
    assert starts(jobs.receive(ME, Submit("c", PLAIN))) == [("c", 1, ())]
    assert starts(jobs.hear(result("a"), BLOBS, 2)) == [("b", 2, ())]


def test_what_no_node_has_waits_for_the_local_worker() -> None:
    """However often it was refused: that takes none of its tries."""
    numbers = range(1, MAX_TRIES + 3)
    jobs = studio(*numbers)
    effects = jobs.receive(ME, Submit("a", OTHER))
    for number in numbers:
        assert starts(effects) == [("a", number, ())]
        effects = jobs.hear(Lacks("a", ("other",)), {}, number)
    assert starts(effects) == []
    assert starts(jobs.hear(READY)) == [("a", 0, ())]


def test_a_worker_that_starts_again_may_have_the_model_by_now() -> None:
    """What it lacked is forgotten."""
    jobs = studio(1)
    jobs.receive(ME, Submit("a", OTHER))
    jobs.hear(Lacks("a", ("other",)), {}, 1)
    jobs.hear(Backend("lost"), {}, 1)
    assert starts(jobs.hear(READY, {}, 1)) == [("a", 1, ())]


def test_a_worker_that_has_left_is_forgotten() -> None:
    """Its job goes to another one; artists see it no more."""
    jobs = studio(1, 2)
    jobs.receive(ME, Submit("a", PLAIN))
    effects = jobs.hear(Left(), {}, 1)
    assert starts(effects) == [("a", 2, ())]
    assert any(isinstance(m, Progress) and m.stage == "queued" for m in sent(effects))
    assert [worker.node for worker in jobs.workers] == ["", "node-2"]


def test_leaving_counts_no_try_and_cancelled_jobs_stay_cancelled() -> None:
    """A computer that is switched off is no fault of the job's."""
    numbers = range(1, MAX_TRIES + 3)
    jobs = studio(*numbers)
    jobs.receive(ME, Submit("a", PLAIN))
    for number in numbers[:-1]:
        effects = jobs.hear(Left(), {}, number)
        assert not any(isinstance(m, Failed) for m in sent(effects))
    jobs.receive(ME, Cancel("a"))
    (end,) = sent(jobs.hear(Left(), {}, numbers[-1]))
    assert isinstance(end, Cancelled)


def test_free_workers_of_a_cluster_help_with_a_job() -> None:
    """Not the local one; afterwards they are free."""
    jobs = studio(1, 2, 3, is_splitting=True)
    jobs.hear(READY)
    assert starts(jobs.receive(ME, Submit("a", PLAIN))) == [("a", 1, (2, 3))]
    helping = [worker.node for worker in jobs.workers if worker.is_helping]
    assert helping == ["node-2", "node-3"]
    assert starts(jobs.receive(YOU, Submit("b", PLAIN))) == [("b", 0, ())]
    assert starts(jobs.receive(YOU, Submit("c", PLAIN))) == []
    assert starts(jobs.hear(result("a"), BLOBS, 1)) == [("c", 1, (2, 3))]


def test_who_could_begin_a_job_that_waits_does_not_help() -> None:
    """Two pictures on a card each are painted sooner than one after the other."""
    jobs = Jobs(check_request, needs=needs, is_splitting=True)
    jobs.hear(Backend("starting"))
    jobs.receive(ME, Submit("a", PLAIN))
    jobs.receive(YOU, Submit("b", PLAIN))
    for number in (1, 2):
        jobs.hear(Joined(f"node-{number}"), {}, number)
    assert starts(jobs.hear(READY, {}, 1)) == [("a", 1, ())]
    assert starts(jobs.hear(READY, {}, 2)) == [("b", 2, ())]


def test_a_lost_helper_is_free_again_when_it_is_back() -> None:
    """The one that leads goes on without it."""
    jobs = studio(1, 2, is_splitting=True)
    jobs.receive(ME, Submit("a", PLAIN))
    jobs.hear(Backend("lost"), {}, 2)
    assert [worker.is_helping for worker in jobs.workers if worker.node] == [False, False]
    assert starts(jobs.hear(READY, {}, 2)) == []
    assert starts(jobs.receive(ME, Submit("b", PLAIN))) == [("b", 2, ())]


def test_who_leads_is_lost_with_its_helpers_set_free() -> None:
    """The job begins again with those that are there."""
    jobs = studio(1, 2, 3, is_splitting=True)
    jobs.receive(ME, Submit("a", PLAIN))
    assert starts(jobs.hear(Backend("lost"), {}, 1)) == [("a", 2, (3,))]


def test_artists_see_each_worker() -> None:
    """Where it is, its memory, and what it paints."""
    jobs = studio(1)
    jobs.receive(ME, Submit("a", PLAIN))
    local, other = jobs.workers
    assert (local.node, local.state, local.job_id) == ("", "starting", "")
    assert (other.node, other.device, other.memory_bytes) == ("node-1", "card", 2**34)
    assert other.job_id == "a"


def test_what_a_model_is_taught_lies_on_our_computer() -> None:
    """So no other one teaches it."""
    jobs = studio(1)
    taught = replace(PLAIN, task="teach")
    jobs._check = lambda _: None
    assert starts(jobs.receive(ME, Submit("a", taught))) == []
    assert starts(jobs.hear(READY)) == [("a", 0, ())]
