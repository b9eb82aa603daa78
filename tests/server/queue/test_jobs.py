"""The queue and the life of jobs, without a socket and without a worker."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapestry_backend.server.persistence.persist import Persist
from tapestry_backend.server.persistence.pixel_blob import PixelBlob
from tapestry_backend.server.queue import completed_jobs as ends_module
from tapestry_backend.server.queue.effects import Broadcast, Effect, Send, Start, Stop
from tapestry_backend.server.queue.job import MAX_TRIES, TRANSITIONS, Event, JobState
from tapestry_backend.server.queue.jobs import Jobs
from tapestry_protocol.errors import ErrorCode, ProtocolError
from tapestry_protocol.limits import MAX_JOBS_QUEUED, RESULTS_KEPT_S
from tapestry_protocol.messages import (
    Accepted,
    Acknowledge,
    Backend,
    Cancel,
    Cancelled,
    Failed,
    Hello,
    Message,
    Need,
    Preview,
    Progress,
    Request,
    Result,
    Resume,
    Run,
    Submit,
    Teach,
    Welcome,
)
from tapestry_protocol.request_checks import check_request
from tapestry_protocol.sentences import Sentence
from tests.server.client import reference
from tests.server.queue.job_messages import (
    BLOBS,
    LAYERED_BLOBS,
    MASK,
    MASK_CHUNK,
    MASKED,
    ME,
    OWN,
    PICTURE,
    PIXELS,
    PLAIN,
    YOU,
    layered_result,
    result,
)


def progress(job_id: str, step: int) -> Progress:
    """A step that is done."""
    return Progress(job_id, "denoising", step, 20)


def ready_jobs() -> Jobs:
    """A server whose worker is ready."""
    jobs = Jobs(check_request)
    jobs.hear(Backend("ready", "CPU"))
    return jobs


def plain(effects: list[Effect]) -> list[Effect]:
    """The effects without numbers, and without what is only written down."""
    return [
        Send(e.client, dataclasses.replace(e.message, sequence=0), e.picture)
        if isinstance(e, Send)
        else e
        for e in effects
        if not isinstance(e, Persist)
    ]


def told(effects: list[Effect], client: int = ME) -> list[Any]:
    """What a client receives, without numbers."""
    return [e.message for e in plain(effects) if isinstance(e, Send) and e.client == client]


def failure(effects: list[Effect]) -> ErrorCode:
    """The code of the one failure that I receive."""
    (message,) = told(effects)
    assert isinstance(message, Failed)
    assert message.message
    return message.code


def submit(jobs: Jobs, job_id: str, request: Request = PLAIN, client: int = ME) -> list[Effect]:
    """What follows from a submit."""
    return jobs.receive(client, Submit(job_id, request))


def test_every_transition_is_one_that_the_table_names() -> None:
    """The table has a row for every state, and ends stay what they are."""
    assert set(TRANSITIONS) == set(JobState)
    for end in (JobState.FINISHED, JobState.FAILED, JobState.CANCELLED):
        assert TRANSITIONS[end] == {Event.CANCEL: end}


def test_a_job_from_submit_to_acknowledge() -> None:
    """Accepted, started, progress, preview, result, forgotten."""
    jobs = ready_jobs()
    effects = plain(submit(jobs, "a"))
    assert effects == [Send(ME, Accepted("a", 0)), Start("a", PLAIN, {})]
    assert plain(jobs.hear(progress("a", 1))) == [Send(ME, progress("a", 1))]
    preview = Preview("a", reference(1, 1, 4, b"1234"))
    small = PixelBlob(preview.pixels, b"1234")
    assert plain(jobs.hear(preview, {preview.pixels.sha256: b"1234"})) == [Send(ME, preview, small)]
    assert plain(jobs.hear(result("a"), BLOBS)) == [Send(ME, result("a"), PICTURE)]
    assert plain(jobs.receive(ME, Acknowledge("a"))) == []
    assert failure(jobs.receive(ME, Resume(("a",)))) is ErrorCode.DELIVERED


def test_a_job_waits_for_its_pixels() -> None:
    """Need first; accepted and started when the last blob is complete."""
    jobs = ready_jobs()
    assert plain(submit(jobs, "a", MASKED)) == [Send(ME, Need("a", (MASK_CHUNK.sha256,)))]
    effects = jobs.add_chunk(MASK_CHUNK)
    assert told(effects) == [Accepted("a", 0)]
    assert effects[-1] == Start("a", MASKED, {MASK_CHUNK.sha256: MASK})


def test_one_upload_serves_all_jobs_that_need_it() -> None:
    """Both jobs are in the queue when the blob that they share has arrived."""
    jobs = ready_jobs()
    submit(jobs, "a", MASKED)
    submit(jobs, "b", MASKED)
    effects = jobs.add_chunk(MASK_CHUNK)
    assert told(effects) == [Accepted("a", 0), Accepted("b", 1)]
    assert told(submit(jobs, "c", MASKED)) == [Accepted("c", 2)]


def test_jobs_run_one_after_the_other() -> None:
    """The next one starts when the one before has ended, in order of arrival."""
    jobs = ready_jobs()
    submit(jobs, "a")
    assert plain(submit(jobs, "b")) == [Send(ME, Accepted("b", 1))]
    assert plain(submit(jobs, "c", client=YOU)) == [Send(YOU, Accepted("c", 2))]
    assert jobs.hear(result("a"), BLOBS)[-1] == Start("b", PLAIN, {})
    failed = Failed("b", ErrorCode.INTERNAL, "broken")
    assert plain(jobs.hear(failed)) == [Send(ME, failed), Start("c", PLAIN, {})]


def test_nothing_starts_before_the_worker_is_ready() -> None:
    """A job that comes early waits."""
    jobs = Jobs(check_request)
    assert plain(submit(jobs, "a")) == [Send(ME, Accepted("a", 0))]
    jobs.hear(Backend("loading"))
    ready = Backend("ready", "CPU")
    assert plain(jobs.hear(ready)) == [Broadcast(ready), Start("a", PLAIN, {})]
    assert jobs.backend == ready


def test_the_same_job_twice_runs_once() -> None:
    """In every state, a repeated submit is answered with where the job stands."""
    jobs = ready_jobs()
    submit(jobs, "a")
    assert plain(submit(jobs, "a")) == [Send(ME, Accepted("a", 0))]
    jobs.hear(progress("a", 3))
    assert plain(submit(jobs, "a")) == [Send(ME, progress("a", 3))]
    jobs.hear(result("a"), BLOBS)
    assert plain(submit(jobs, "a")) == [Send(ME, result("a"), PICTURE)]
    jobs.receive(ME, Acknowledge("a"))
    assert failure(submit(jobs, "a")) is ErrorCode.DELIVERED
    assert failure(submit(jobs, "a", dataclasses.replace(PLAIN, seed=1))) is ErrorCode.CONFLICT


def test_a_repeated_submit_asks_again_for_pixels() -> None:
    """A client that came back before it had sent everything gets the list of missing blobs."""
    jobs = ready_jobs()
    submit(jobs, "a", MASKED)
    jobs.leave(ME)
    assert plain(submit(jobs, "a", MASKED, YOU)) == [Send(YOU, Need("a", (MASK_CHUNK.sha256,)))]
    assert told(jobs.add_chunk(MASK_CHUNK), YOU) == [Accepted("a", 0)]


def test_an_id_stands_for_one_request() -> None:
    """Another request under the same id is a conflict, and the first one goes on."""
    jobs = ready_jobs()
    submit(jobs, "a")
    other = dataclasses.replace(PLAIN, seed=1)
    assert failure(submit(jobs, "a", other)) is ErrorCode.CONFLICT
    assert told(jobs.hear(result("a"), BLOBS)) == [result("a")]


def test_a_request_that_makes_no_sense_is_refused_at_once() -> None:
    """Nothing of it is kept, so the corrected one may come under the same id."""
    jobs = ready_jobs()
    assert failure(submit(jobs, "a", Request("generate", 64, 64))) is ErrorCode.BAD_REQUEST
    assert told(submit(jobs, "a")) == [Accepted("a", 0)]


def test_the_queue_is_bounded() -> None:
    """As many as may wait do; the next one is refused as busy."""
    jobs = Jobs(check_request)
    for number in range(MAX_JOBS_QUEUED):
        assert told(submit(jobs, str(number))) == [Accepted(str(number), number)]
    assert failure(submit(jobs, "more")) is ErrorCode.BUSY
    jobs.receive(ME, Cancel("0"))
    assert told(submit(jobs, "more")) == [Accepted("more", MAX_JOBS_QUEUED - 1)]


def test_jobs_that_nobody_can_complete_make_room() -> None:
    """Those whose client went away before it had sent their pixels, when room is needed."""
    jobs = Jobs(check_request)
    for number in range(MAX_JOBS_QUEUED):
        submit(jobs, str(number), MASKED)
    assert failure(submit(jobs, "more")) is ErrorCode.BUSY
    jobs.leave(ME)
    assert told(submit(jobs, "more", client=YOU), YOU) == [Accepted("more", 0)]


def test_a_waiting_job_is_cancelled_at_once() -> None:
    """Waiting for pixels or in the queue: the worker never hears of it."""
    jobs = ready_jobs()
    submit(jobs, "running")
    submit(jobs, "queued")
    submit(jobs, "waiting", MASKED)
    for job_id in ("queued", "waiting"):
        assert plain(jobs.receive(ME, Cancel(job_id))) == [Send(ME, Cancelled(job_id))]
    assert jobs.add_chunk(MASK_CHUNK) == []
    assert plain(jobs.hear(result("running"), BLOBS)) == [Send(ME, result("running"), PICTURE)]


@pytest.mark.parametrize(
    "end", [Cancelled("a"), result("a"), Failed("a", ErrorCode.INTERNAL, "broken")]
)
def test_a_running_job_that_is_cancelled_ends_as_cancelled(end: Message) -> None:
    """Whatever the worker still makes of it; a second cancel changes nothing."""
    jobs = ready_jobs()
    submit(jobs, "a")
    submit(jobs, "b")
    assert plain(jobs.receive(ME, Cancel("a"))) == [Stop("a")]
    assert plain(jobs.receive(ME, Cancel("a"))) == []
    assert plain(jobs.hear(end, BLOBS)) == [Send(ME, Cancelled("a")), Start("b", PLAIN, {})]


def test_a_cancel_that_comes_too_late_brings_the_end_again() -> None:
    """The picture was finished already: here it is."""
    jobs = ready_jobs()
    submit(jobs, "a")
    jobs.hear(result("a"), BLOBS)
    assert plain(jobs.receive(ME, Cancel("a"))) == [Send(ME, result("a"), PICTURE)]
    assert failure(jobs.receive(ME, Cancel("never"))) is ErrorCode.UNKNOWN_JOB


def test_a_lost_connection_does_not_cancel() -> None:
    """The job runs on, its result waits, and is given to the client that resumes it."""
    jobs = ready_jobs()
    submit(jobs, "a")
    jobs.leave(ME)
    assert plain(jobs.hear(progress("a", 1))) == []
    assert plain(jobs.receive(YOU, Resume(("a",)))) == [Send(YOU, progress("a", 1))]
    jobs.leave(YOU)
    assert plain(jobs.hear(result("a"), BLOBS)) == []
    answers = plain(jobs.receive(ME, Resume(("a", "b"))))
    assert answers[0] == Send(ME, result("a"), PICTURE)


def test_resume_tells_where_each_job_stands() -> None:
    """Unknown, queued, running, waiting: each its own answer, in order."""
    jobs = ready_jobs()
    submit(jobs, "running")
    submit(jobs, "queued")
    submit(jobs, "waiting", MASKED)
    jobs.hear(progress("running", 2))
    answers = told(jobs.receive(YOU, Resume(("running", "queued", "waiting", "never"))), YOU)
    assert answers[:2] == [progress("running", 2), Accepted("queued", 1)]
    assert isinstance(answers[2], Need)
    assert isinstance(answers[3], Failed)


def test_results_are_kept_for_a_day() -> None:
    """Then no client will ask for them any more."""
    now_s = 0.0
    jobs = Jobs(check_request, clock=lambda: now_s)
    jobs.hear(Backend("ready", "CPU"))
    for job_id in ("a", "b", "c"):
        submit(jobs, job_id)
        jobs.hear(result(job_id), BLOBS)
        now_s += 0.6 * RESULTS_KEPT_S
    assert failure(jobs.receive(ME, Resume(("a",)))) is ErrorCode.UNKNOWN_JOB
    assert told(jobs.receive(ME, Resume(("b",)))) == [result("b")]


@pytest.mark.parametrize("limit", ["MAX_RESULTS_BYTES", "MAX_RESULTS_IN_MEMORY_BYTES"])
def test_results_are_bounded_by_bytes_too(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """Large pictures push older ones out; the newest one is always kept."""
    monkeypatch.setattr(ends_module, limit, 2 * len(PIXELS))
    jobs = ready_jobs()
    for job_id in ("a", "b", "c"):
        submit(jobs, job_id)
        jobs.hear(result(job_id), BLOBS)
    assert failure(jobs.receive(ME, Resume(("a",)))) is ErrorCode.UNKNOWN_JOB
    assert told(jobs.receive(ME, Resume(("b", "c")))) == [result("b"), result("c")]
    monkeypatch.setattr(ends_module, limit, 0)
    submit(jobs, "d")
    jobs.hear(result("d"), BLOBS)
    assert told(jobs.receive(ME, Resume(("d",)))) == [result("d")]


def test_layers_count_as_their_picture_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are sent with it, and their size pushes older ones out."""
    layers_bytes = len(OWN) + len(MASK)
    monkeypatch.setattr(ends_module, "MAX_RESULTS_BYTES", 2 * len(PIXELS) + layers_bytes)
    jobs = ready_jobs()
    for job_id in ("a", "b"):
        submit(jobs, job_id)
        (tell,) = plain(jobs.hear(layered_result(job_id), LAYERED_BLOBS))
        assert [picture.data for picture in tell.picture.all] == [PIXELS, OWN, MASK]
    assert failure(jobs.receive(ME, Resume(("a",)))) is ErrorCode.UNKNOWN_JOB
    assert told(jobs.receive(ME, Resume(("b",)))) == [layered_result("b")]


def test_results_are_bounded_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes first; it may be painted again under the same id."""
    monkeypatch.setattr(ends_module, "MAX_RESULTS_KEPT", 2)
    jobs = ready_jobs()
    for job_id in ("a", "b", "c"):
        submit(jobs, job_id)
        jobs.hear(result(job_id), BLOBS)
    assert failure(jobs.receive(ME, Resume(("a",)))) is ErrorCode.UNKNOWN_JOB
    assert told(submit(jobs, "a")) == [Accepted("a", 0)]


def test_an_unfinished_job_cannot_be_acknowledged_away() -> None:
    """Only an end can be forgotten."""
    jobs = ready_jobs()
    submit(jobs, "a")
    jobs.receive(ME, Acknowledge("a"))
    jobs.receive(ME, Acknowledge("never"))
    assert told(jobs.hear(result("a"), BLOBS)) == [result("a")]


def test_a_lost_worker_costs_the_running_job_a_try() -> None:
    """The next worker begins it again, before those that wait in the queue."""
    jobs = ready_jobs()
    submit(jobs, "a")
    submit(jobs, "b", client=YOU)
    effects = jobs.hear(Backend("lost"))
    assert effects[0] == Broadcast(Backend("lost"))
    assert told(effects) == [Progress("a", "queued", 0, 0)]
    assert told(submit(jobs, "c")) == [Accepted("c", 2)]
    jobs.hear(Backend("starting"))
    assert jobs.hear(Backend("ready"))[-1] == Start("a", PLAIN, {})


def test_a_job_that_kills_every_worker_fails() -> None:
    """The sentence says what to do, and the next one has its turn."""
    jobs = ready_jobs()
    submit(jobs, "a")
    submit(jobs, "b")
    for _ in range(MAX_TRIES - 1):
        assert not [m for m in told(jobs.hear(Backend("lost"))) if isinstance(m, Failed)]
        jobs.hear(Backend("ready"))
    (failed,) = told(jobs.hear(Backend("lost")))
    assert isinstance(failed, Failed)
    assert (failed.job_id, failed.code) == ("a", ErrorCode.WORKER_LOST)
    assert failed.advice
    assert jobs.hear(Backend("ready"))[-1] == Start("b", PLAIN, {})


def test_two_workers_paint_two_jobs() -> None:
    """Each has one of its own; what it says, and a cancel, is about that one alone."""
    jobs = ready_jobs()
    assert jobs.hear(Backend("ready", "CPU"), {}, 1) == [Broadcast(Backend("ready", "2 x CPU"))]
    assert plain(submit(jobs, "a"))[-1] == Start("a", PLAIN, {}, 0)
    assert plain(submit(jobs, "b"))[-1] == Start("b", PLAIN, {}, 1)
    assert told(submit(jobs, "c")) == [Accepted("c", 2)]
    with pytest.raises(ProtocolError, match="does not run"):
        jobs.hear(progress("b", 1), {}, 0)
    assert plain(jobs.receive(ME, Cancel("b"))) == [Stop("b", 1)]
    end = jobs.hear(Cancelled("b"), {}, 1)
    assert plain(end) == [Send(ME, Cancelled("b")), Start("c", PLAIN, {}, 1)]
    assert told(jobs.hear(result("a"), BLOBS, 0)) == [result("a")]


def test_a_lost_workers_job_goes_to_one_that_is_free() -> None:
    """At once; the client receives the new beginning, and not that no worker paints."""
    jobs = ready_jobs()
    jobs.hear(Backend("ready", "CPU"), {}, 1)
    submit(jobs, "a")
    effects = plain(jobs.hear(Backend("lost"), {}, 0))
    assert effects == [
        Broadcast(Backend("ready", "CPU")),
        Send(ME, Progress("a", "queued", 0, 0)),
        Start("a", PLAIN, {}, 1),
    ]
    jobs.hear(Backend("ready", "CPU"), {}, 0)
    assert plain(submit(jobs, "b"))[-1] == Start("b", PLAIN, {}, 0)


def test_one_worker_that_cannot_start_takes_no_hope_from_the_other() -> None:
    """What waits for the one that is up does not fail."""
    jobs = ready_jobs()
    submit(jobs, "a")
    submit(jobs, "b")
    for _ in range(6):
        assert told(jobs.hear(Backend("lost"), {}, 1)) == []
    assert plain(jobs.hear(result("a"), BLOBS, 0))[-1] == Start("b", PLAIN, {}, 0)


def test_a_worker_that_cannot_start_keeps_nobody_waiting() -> None:
    """After three of them, everything in the queue fails with a sentence."""
    jobs = Jobs(check_request)
    submit(jobs, "a")
    submit(jobs, "b")
    assert told(jobs.hear(Backend("lost"))) == []
    assert told(jobs.hear(Backend("lost"))) == []
    failures = told(jobs.hear(Backend("lost")))
    assert [message.job_id for message in failures] == ["a", "b"]
    assert {message.code for message in failures} == {ErrorCode.WORKER_LOST}


def test_a_worker_that_says_why_it_cannot_start_is_believed() -> None:
    """At once, and in its own words; a later one that is ready paints again."""
    jobs = Jobs(check_request)
    submit(jobs, "a")
    why = Failed("", ErrorCode.BAD_REQUEST, Sentence("There is no such card."), Sentence("Choose."))
    assert told(jobs.hear(why)) == []
    assert told(jobs.hear(Backend("lost"))) == [dataclasses.replace(why, job_id="a")]
    jobs.hear(Backend("ready", "CPU"))
    assert plain(submit(jobs, "b"))[-1] == Start("b", PLAIN, {}, 0)


def test_clients_take_turns() -> None:
    """A client with many jobs does not keep one with few waiting."""
    jobs = ready_jobs()
    for job_id in ("a", "b", "c", "d"):
        submit(jobs, job_id)
    assert told(submit(jobs, "x", client=YOU), YOU) == [Accepted("x", 2)]
    submit(jobs, "y", client=YOU)
    order = ["a"]
    while starts := [e for e in jobs.hear(result(order[-1]), BLOBS) if isinstance(e, Start)]:
        order += [start.job_id for start in starts]
    assert order == ["a", "b", "x", "c", "y", "d"]


def test_numbers_grow_and_a_client_gets_what_it_missed() -> None:
    """Of progress and previews only the last; nothing that it has seen, but always the end."""
    jobs = ready_jobs()
    submit(jobs, "a")
    jobs.hear(progress("a", 1))
    (seen,) = (effect.message for effect in jobs.hear(progress("a", 2)))
    preview = Preview("a", reference(1, 1, 4, b"1234"))
    jobs.leave(ME)
    jobs.hear(preview, {preview.pixels.sha256: b"1234"})
    jobs.hear(progress("a", 3))
    jobs.hear(progress("a", 4))
    missed = jobs.receive(YOU, Resume(("a",), (seen.sequence,)))
    assert told(missed, YOU) == [preview, progress("a", 4)]
    numbers = [seen.sequence, *(effect.message.sequence for effect in missed)]
    assert numbers == sorted(set(numbers))
    assert jobs.receive(YOU, Resume(("a",), (numbers[-1],))) == []
    jobs.hear(result("a"), BLOBS)
    for seen_last in (0, numbers[-1], numbers[-1] + 1, 10**9):
        (again,) = jobs.receive(YOU, Resume(("a",), (seen_last,)))
        assert isinstance(again.message, Result)
        assert again.message.sequence > seen_last


def test_a_cancelled_job_whose_worker_dies_is_cancelled() -> None:
    """The artist asked for nothing else."""
    jobs = ready_jobs()
    submit(jobs, "a")
    jobs.receive(ME, Cancel("a"))
    assert told(jobs.hear(Backend("lost"))) == [Cancelled("a")]


@pytest.mark.parametrize(
    "message",
    [Hello(1, "1"), Welcome(1, "1", ()), Accepted("a", 0), result("a"), Run("a", PLAIN)],
    ids=lambda message: message.kind,
)
def test_only_a_clients_messages_are_taken_from_a_client(message: Message) -> None:
    """Everything else is a protocol error."""
    with pytest.raises(ProtocolError):
        ready_jobs().receive(ME, message)


def test_a_worker_speaks_of_the_running_job_only() -> None:
    """Anything else means that the two are out of step."""
    jobs = ready_jobs()
    with pytest.raises(ProtocolError):
        jobs.hear(progress("a", 1))
    submit(jobs, "a")
    with pytest.raises(ProtocolError):
        jobs.hear(result("b"), BLOBS)
    with pytest.raises(ProtocolError):
        jobs.hear(Hello(1, "1"))


JOB_IDS = st.sampled_from("abc")
REQUESTS = st.sampled_from([PLAIN, MASKED, Request("generate", 64, 64)])
CLIENT_MESSAGES = st.one_of(
    st.builds(Submit, JOB_IDS, REQUESTS),
    st.builds(Cancel, JOB_IDS),
    st.builds(Acknowledge, JOB_IDS),
    st.builds(Resume, st.tuples(JOB_IDS)),
)
WORKERS = st.sampled_from([0, 1])
ACTIONS = st.one_of(
    st.tuples(st.just("client"), st.sampled_from([ME, YOU]), CLIENT_MESSAGES),
    st.tuples(st.just("chunk")),
    st.tuples(st.just("leave"), st.sampled_from([ME, YOU])),
    st.tuples(st.just("state"), WORKERS, st.sampled_from(["starting", "loading", "ready", "lost"])),
    st.tuples(st.just("worker"), WORKERS, st.sampled_from(["progress", "result", "failed"])),
)


class Worker:
    """A worker that behaves: at most one job, and it speaks of that one alone."""

    def __init__(self) -> None:
        self.up = False
        self.job: str | None = None

    def take(self, effect: Start | Stop) -> None:
        if isinstance(effect, Start):
            assert self.up, "a job was started without a worker"
            assert self.job is None, "two jobs run at once"
            self.job = effect.job_id
        else:
            assert effect.job_id == self.job

    def say(self, what: str) -> Message | None:
        job_id = self.job
        if job_id is None:
            return None
        if what == "progress":
            return progress(job_id, 1)
        self.job = None
        return result(job_id) if what == "result" else Failed(job_id, ErrorCode.INTERNAL, "x")


@given(st.lists(ACTIONS, max_size=30))
def test_whatever_comes_no_worker_has_two_jobs_and_everybody_is_answered(
    actions: list[tuple],
) -> None:
    """No order of messages starts two jobs, loses a worker's place, or raises anything."""
    jobs, workers = Jobs(check_request), (Worker(), Worker())
    for kind, *arguments in actions:
        if kind == "client":
            client, message = arguments
            effects = jobs.receive(client, message)
            assert (
                isinstance(message, Acknowledge | Resume) or effects or isinstance(message, Cancel)
            )
        elif kind == "chunk":
            effects = jobs.add_chunk(MASK_CHUNK)
        elif kind == "leave":
            jobs.leave(*arguments)
            effects = []
        elif kind == "state":
            number, state = arguments
            worker = workers[number]
            worker.up = state == "ready" or (worker.up and state != "lost")
            if state == "lost":
                worker.job = None
            effects = jobs.hear(Backend(state), {}, number)
        else:
            number, what = arguments
            message = workers[number].say(what)
            effects = jobs.hear(message, BLOBS, number) if message else []
        for effect in effects:
            if isinstance(effect, Start | Stop):
                workers[effect.worker].take(effect)
        painted = [worker.job for worker in workers if worker.job]
        assert len(set(painted)) == len(painted), "a job runs twice"


def teaching_jobs(*workers: int) -> Jobs:
    """A server with these workers ready; nothing is checked."""
    jobs = Jobs(lambda _: None)
    for worker in workers:
        jobs.hear(Backend("ready", "CPU"), worker=worker)
    return jobs


TEACHING = Request("teach", 64, 64, teach=Teach("my wool", ()))


def test_teaching_lets_painting_go_first() -> None:
    """Where one worker does both, it goes on afterwards, and nothing has failed."""
    jobs = teaching_jobs(0)
    jobs.receive(ME, Submit("lesson", TEACHING))
    effects = plain(jobs.receive(YOU, Submit("paint0", PLAIN)))
    assert Stop("lesson", 0) in effects
    for number in range(MAX_TRIES + 1):
        given_way = jobs.hear(Cancelled("lesson"))
        assert told(given_way) == [Progress("lesson", "queued", 0, 0)]
        assert [e.job_id for e in plain(given_way) if isinstance(e, Start)] == [f"paint{number}"]
        ended = jobs.hear(result(f"paint{number}"), BLOBS)
        assert [e.job_id for e in plain(ended) if isinstance(e, Start)] == ["lesson"]
        if number < MAX_TRIES:
            effects = plain(jobs.receive(YOU, Submit(f"paint{number + 1}", PLAIN)))
            assert Stop("lesson", 0) in effects
    assert told(jobs.hear(result("lesson"), BLOBS))[-1].kind == "result"


def test_painting_goes_on_beside_teaching_where_there_is_a_second_worker() -> None:
    """Nothing is stopped."""
    jobs = teaching_jobs(0, 1)
    jobs.receive(ME, Submit("lesson", TEACHING))
    effects = plain(jobs.receive(ME, Submit("paint", PLAIN)))
    assert [type(e) for e in effects if isinstance(e, Start | Stop)] == [Start]


def test_teaching_that_gives_way_can_be_cancelled() -> None:
    """Then it does not come back."""
    jobs = teaching_jobs(0)
    jobs.receive(ME, Submit("lesson", TEACHING))
    jobs.receive(ME, Submit("paint", PLAIN))
    jobs.receive(ME, Cancel("lesson"))
    effects = jobs.hear(Cancelled("lesson"))
    assert Cancelled("lesson") in told(effects)
    assert [e.job_id for e in plain(effects) if isinstance(e, Start)] == ["paint"]
    assert not [e for e in plain(jobs.hear(result("paint"), BLOBS)) if isinstance(e, Start)]


def test_painting_that_waits_begins_before_teaching_that_waits() -> None:
    """Whichever came first."""
    jobs = teaching_jobs(0)
    jobs.receive(ME, Submit("first", PLAIN))
    jobs.receive(ME, Submit("lesson", TEACHING))
    jobs.receive(ME, Submit("paint", dataclasses.replace(PLAIN, seed=1)))
    effects = plain(jobs.hear(result("first"), BLOBS))
    assert [e.job_id for e in effects if isinstance(e, Start)] == ["paint"]
