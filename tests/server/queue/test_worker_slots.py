"""Who is up, who is free, and all of them in a word."""

import pytest

from tapestry_backend.server.queue.job import Job
from tapestry_backend.server.queue.worker_slots import WorkerSlots
from tapestry_protocol.messages import Backend, Request

JOB = Job("a", Request("generate", 64, 64), client=1)


def slots(*states: str, device: str = "card") -> WorkerSlots:
    """Workers that are in these states."""
    made = WorkerSlots()
    for worker, state in enumerate(states):
        slot = made[worker]
        slot.backend = Backend(state, device if state in {"ready", "busy"} else "")
        slot.is_up = state in {"ready", "busy"}
    return made


def test_who_is_up_and_has_no_job_is_free() -> None:
    """In the order of their numbers."""
    made = slots("loading", "ready", "ready", "lost")
    assert [slot.worker for slot in made.free] == [1, 2]
    made[1].job = JOB
    assert [slot.worker for slot in made.free] == [2]
    assert made.jobs == [JOB]
    assert made.of(JOB) is made[1]
    made[1].job = None
    assert made.of(JOB) is None


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ((), Backend("lost")),
        (("loading",), Backend("loading")),
        (("ready",), Backend("ready", "card")),
        (("ready", "loading"), Backend("ready", "card")),
        (("ready", "busy"), Backend("busy", "2 x card")),
        (("lost", "starting"), Backend("starting")),
        (("lost", "lost"), Backend("lost")),
        (("lost", "busy"), Backend("busy", "card")),
    ],
)
def test_all_of_them_in_a_word(states: tuple[str, ...], told: Backend) -> None:
    """The one that is furthest counts; devices of a kind are counted."""
    assert slots(*states).backend == told


def test_devices_of_several_kinds_are_named() -> None:
    """However many they are, the name fits into a message."""
    made = slots("ready", "ready", "busy")
    made[1].backend = Backend("ready", "other")
    assert made.backend.device == "2 x card, other"
    many = slots("ready")
    for worker in range(100):
        many[worker].backend = Backend("ready", f"a card with number {worker}")
    assert len(many.backend.device) == 200


def test_hope_ends_when_no_worker_ever_starts() -> None:
    """One that is up, or that was tried less often, is hope enough."""
    made = slots("lost", "lost")
    made[0].false_starts = 3
    assert not made.give_up()
    made[1].false_starts = 3
    made[1].is_up = True
    assert not made.give_up()
    made[1].is_up = False
    assert made.give_up()
    assert not made.give_up()
