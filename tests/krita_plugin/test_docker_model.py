"""The model of the docker, from the button to the layer."""

from __future__ import annotations

import json

import pytest

from tapestry.connection.link import DELAYS_S, LOOK_EVERY_S, LinkState
from tapestry.docker_model import DockerModel
from tapestry.jobs.job import Phase
from tapestry.settings.settings import Settings
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.adapters import AdapterInfo
from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.messages import (
    Accepted,
    Acknowledge,
    Backend,
    Cancel,
    Cancelled,
    Failed,
    Learned,
    ModelInfo,
    Need,
    PixelsRef,
    Preview,
    Progress,
    Remark,
    Result,
    Resume,
    Submit,
    Welcome,
)
from tapestry_protocol.pixels import Bounds, Pixels
from tests.krita_plugin.workshop import HEIGHT, RED, WIDTH, Workshop


@pytest.fixture
def workshop() -> Workshop:
    """A docker model that was not used yet."""
    return Workshop()


def test_generate_brings_a_layer(workshop: Workshop) -> None:
    """Submit, pixels when asked for, progress, preview, result, acknowledgement."""
    submit = workshop.submit()
    job = workshop.docker_model.job
    sha256 = submit.request.regions[0].mask.sha256
    workshop.backend.tell(Need(submit.job_id, (sha256,)))
    assert workshop.backend.blobs == {sha256: b"\xff" * 300}
    workshop.backend.tell(Accepted(submit.job_id, 2))
    assert job.sentence == "2 more before this one"
    workshop.backend.tell(Progress(submit.job_id, "denoising", 3, 20))
    assert (job.sentence, job.is_counted) == ("Step 3 of 20", True)
    small = Pixels(1, 1, 4, RED)
    workshop.backend.tell(Preview(submit.job_id, PixelsRef.of(small)), small)
    assert job.preview == small
    workshop.finish(submit)
    assert workshop.canvas.names[0] == "Tapestry: sunset sky (seed 42)"
    assert workshop.backend.sent[-1] == Acknowledge(submit.job_id)
    assert workshop.docker_model.job is None
    assert workshop.said == ""


def test_extend_grows_the_canvas(workshop: Workshop) -> None:
    """By what the fields say."""
    workshop.connect()
    workshop.docker_model.change(extend_left=16, extend_right=0)
    workshop.docker_model.extend()
    workshop.loop.run()
    submit = workshop.backend.sent[-1]
    assert submit.request.task == "extend"
    workshop.finish(submit)
    assert (workshop.canvas.height, workshop.canvas.width) == (HEIGHT, WIDTH + 16)


def test_a_job_waits_for_a_backend_that_starts(workshop: Workshop) -> None:
    """It is sent as soon as there is one."""
    workshop.docker_model.generate()
    workshop.loop.run()
    assert workshop.docker_model.job.phase is Phase.WAITING
    workshop.backend.appear()
    workshop.loop.run(LOOK_EVERY_S)
    workshop.backend.answer()
    assert isinstance(workshop.backend.sent[-1], Submit)


def test_every_press_is_one_more_job(workshop: Workshop) -> None:
    """Sent in the order of the presses, inserted as they come."""
    first = workshop.submit()
    workshop.docker_model.generate()
    workshop.docker_model.extend()
    workshop.loop.run()
    tasks = [submit.request.task for submit in workshop.backend.sent]
    assert tasks == ["generate", "generate", "extend"]
    last = workshop.backend.sent[-1]
    workshop.finish(first)
    assert [job.id for job in workshop.docker_model.queue.jobs][-1] == last.job_id
    workshop.finish(last)
    assert workshop.canvas.width == WIDTH + 128
    assert len(workshop.docker_model.queue.jobs) == 1


def test_a_batch_has_seeds_in_sequence_and_waits_in_the_history(workshop: Workshop) -> None:
    """One press, three pictures to choose from; the last seed is followed by the first."""
    workshop.connect()
    workshop.docker_model.change(batch=3, seed=2**32 - 2)
    workshop.docker_model.generate()
    workshop.loop.run()
    submits = list(workshop.backend.sent)
    assert [submit.request.seed for submit in submits] == [2**32 - 2, 2**32 - 1, 0]
    assert len({submit.job_id for submit in submits}) == 3
    for submit in submits:
        workshop.finish(submit)
    names = [entry.name for entry in workshop.docker_model.results.entries()]
    assert names == [f"Tapestry: sunset sky (seed {n})" for n in (0, 2**32 - 1, 2**32 - 2)]
    assert workshop.canvas.names == ["sunset sky", "Background"]
    assert workshop.docker_model.job is None


def test_cancel_one_of_many_or_all(workshop: Workshop) -> None:
    """The others go on; those behind are stopped first, so that none of them begins."""
    first = workshop.submit()
    for _ in range(2):
        workshop.docker_model.generate()
    workshop.loop.run()
    ids = [job.id for job in workshop.docker_model.queue.jobs]
    workshop.docker_model.cancel(workshop.docker_model.queue.jobs[1])
    workshop.backend.tell(Cancelled(ids[1]))
    assert [job.id for job in workshop.docker_model.queue.jobs] == [first.job_id, ids[2]]
    workshop.docker_model.cancel_all()
    assert workshop.backend.sent[-2:] == [Cancel(ids[2]), Cancel(ids[0])]
    for job_id in (ids[2], ids[0]):
        workshop.backend.tell(Cancelled(job_id))
    assert workshop.docker_model.job is None
    assert workshop.docker_model.results.entries() == []


def test_a_crowded_backend_gets_a_job_later(workshop: Workshop) -> None:
    """When one of the others has ended; a single job has a notice."""
    first = workshop.submit()
    workshop.docker_model.generate()
    workshop.loop.run()
    second = workshop.backend.sent[-1]
    workshop.backend.tell(Failed(second.job_id, ErrorCode.BUSY, "Too many.", "Wait."))
    assert workshop.docker_model.queue.jobs[1].phase is Phase.WAITING
    workshop.finish(first)
    assert workshop.backend.sent[-1] == second
    workshop.backend.tell(Failed(second.job_id, ErrorCode.BUSY, "Too many.", "Wait."))
    assert workshop.said == "Too many. Wait."
    assert workshop.docker_model.job is None


def test_generate_without_a_document_is_a_sentence(workshop: Workshop) -> None:
    """With the menu that helps."""
    workshop.canvas.is_open = False
    workshop.docker_model.generate()
    assert workshop.said.startswith("No document is open. Open one")


def test_a_request_that_cannot_be_is_a_sentence(workshop: Workshop) -> None:
    """And the buttons can be pressed again."""
    workshop.canvas.fakes.clear()
    workshop.docker_model.generate()
    workshop.loop.run()
    assert "nothing to paint" in workshop.said
    assert workshop.docker_model.job is None


def test_a_failure_is_shown_as_the_backend_says_it(workshop: Workshop) -> None:
    """Message and advice."""
    submit = workshop.submit()
    failed = Failed(
        submit.job_id, ErrorCode.OUT_OF_MEMORY, "Too little memory.", "Make it smaller."
    )
    workshop.backend.tell(failed)
    assert workshop.said == "Too little memory. Make it smaller."
    assert workshop.docker_model.job is None
    assert workshop.backend.sent[-1] == Acknowledge(submit.job_id)


def test_cancel_ends_the_job_when_the_backend_answers(workshop: Workshop) -> None:
    """The backend receives the cancel, and its answer ends the job."""
    submit = workshop.submit()
    workshop.docker_model.cancel()
    assert workshop.backend.sent[-1] == Cancel(submit.job_id)
    assert workshop.docker_model.job.sentence == "Cancelling"
    workshop.backend.tell(Cancelled(submit.job_id))
    assert workshop.docker_model.job is None
    assert workshop.said == "Cancelled."
    assert not workshop.docker_model.notice.is_error


def test_a_result_that_crosses_a_cancel_is_not_inserted(workshop: Workshop) -> None:
    """The artist has said no."""
    submit = workshop.submit()
    workshop.docker_model.cancel()
    workshop.finish(submit)
    assert workshop.canvas.names == ["sunset sky", "Background"]
    assert workshop.said == "Cancelled."


def test_cancel_before_anything_was_sent(workshop: Workshop) -> None:
    """While the layers are read, or the backend starts."""
    workshop.docker_model.generate()
    workshop.docker_model.cancel()
    workshop.loop.run()
    assert workshop.docker_model.job is None
    workshop.docker_model.generate()
    workshop.loop.run()
    workshop.docker_model.cancel()
    workshop.connect()
    assert workshop.docker_model.job is None
    assert workshop.backend.sent == []


def test_a_killed_backend_is_told_and_the_job_goes_on(workshop: Workshop) -> None:
    """It is asked about the job; when it does not know it, the job is sent once more."""
    submit = workshop.submit()
    workshop.backend.die()
    assert workshop.said.startswith("The connection to the backend was lost.")
    workshop.loop.run(DELAYS_S[0])
    workshop.backend.answer()
    workshop.loop.run(DELAYS_S[1])
    workshop.backend.appear()
    workshop.loop.run(LOOK_EVERY_S)
    workshop.backend.answer()
    assert workshop.backend.sent == [Resume((submit.job_id,), (0,))]
    assert workshop.said == ""
    workshop.backend.tell(Failed(submit.job_id, ErrorCode.UNKNOWN_JOB, "?", "?"))
    assert workshop.backend.sent[1:] == [submit]
    workshop.finish(submit)
    assert workshop.canvas.names == ["Tapestry: sunset sky (seed 42)", "sunset sky", "Background"]
    assert workshop.said == ""


def test_all_jobs_of_the_queue_outlive_their_backend(workshop: Workshop) -> None:
    """The next one is asked about all of them, and gets what was not sent yet."""
    first = workshop.submit()
    workshop.docker_model.generate()
    workshop.loop.run()
    second = workshop.backend.sent[-1]
    workshop.backend.lose_connection()
    workshop.docker_model.generate()
    workshop.loop.run()
    assert [job.phase for job in workshop.docker_model.queue.jobs][1:] == [
        Phase.SUBMITTED,
        Phase.WAITING,
    ]
    workshop.loop.run(DELAYS_S[0])
    workshop.backend.answer()
    asked, third = workshop.backend.sent
    assert asked == Resume((first.job_id, second.job_id), (0, 0))
    for submit in (first, second, third):
        workshop.finish(submit)
    assert len(workshop.docker_model.results.entries()) == 3
    assert workshop.docker_model.job is None


def test_a_job_outlives_its_connection(workshop: Workshop) -> None:
    """The backend still has it, and its result is inserted once."""
    submit = workshop.submit()
    workshop.backend.lose_connection()
    workshop.loop.run(DELAYS_S[0])
    workshop.backend.answer()
    assert workshop.backend.sent == [Resume((submit.job_id,), (0,))]
    workshop.finish(submit)
    workshop.finish(submit)
    assert len(workshop.canvas.names) == 3
    assert workshop.said == ""


def test_the_artist_is_told_what_the_run_has_to_say(workshop: Workshop) -> None:
    """A region that is too small to show is painted, and mentioned: it is no error."""
    workshop.finish(workshop.submit(), '{"notices": ["The region \'sun\' is too small to show."]}')
    assert len(workshop.canvas.names) == 3
    assert workshop.said == "The region 'sun' is too small to show."
    assert not workshop.docker_model.notice.is_error


def test_a_result_that_comes_twice_is_inserted_once(workshop: Workshop) -> None:
    """The second one while the first is being inserted."""
    submit = workshop.submit()
    red = Pixels(HEIGHT, WIDTH, 4, RED * (HEIGHT * WIDTH))
    bounds = Bounds(0, 0, HEIGHT, WIDTH)
    result = Result(submit.job_id, PixelsRef.of(red), bounds, 42, "{}")
    workshop.backend.tell(result, red)
    workshop.backend.tell(result, red)
    workshop.loop.run()
    assert len(workshop.canvas.names) == 3


def test_cancel_while_the_backend_is_gone(workshop: Workshop) -> None:
    """The cancel is sent as soon as it is back, and its answer is dropped."""
    submit = workshop.submit()
    workshop.docker_model.cancel()
    workshop.backend.lose_connection()
    assert workshop.docker_model.job is None
    workshop.loop.run(DELAYS_S[0])
    workshop.backend.answer()
    assert workshop.backend.sent == [Cancel(submit.job_id)]
    workshop.backend.tell(Cancelled(submit.job_id))
    assert workshop.backend.sent[1:] == [Acknowledge(submit.job_id)]


def test_a_remark_of_the_backend_is_shown(workshop: Workshop) -> None:
    """It is no error, and the job goes on."""
    workshop.submit()
    workshop.backend.tell(Remark("The disk is full.", "Make room."))
    assert workshop.said == "The disk is full. Make room."
    assert not workshop.docker_model.notice.is_error
    assert workshop.docker_model.job is not None


def test_a_backend_that_cannot_be_started_ends_the_job(workshop: Workshop) -> None:
    """With what to do about it."""
    workshop.backend.can_start = False
    workshop.docker_model.generate()
    workshop.loop.run()
    assert workshop.said == "The backend is not installed. Install it."
    assert workshop.docker_model.job is None
    assert workshop.docker_model.backend_sentence == "Backend: not there"


def test_messages_about_other_jobs_do_nothing(workshop: Workshop) -> None:
    """A late one about a job that was given up, for example."""
    workshop.submit()
    workshop.backend.tell(Cancelled("another"))
    workshop.backend.tell(Failed("another", ErrorCode.INTERNAL, "?"))
    assert workshop.docker_model.job is not None
    assert workshop.said == ""


def test_a_document_that_is_closed_while_it_is_read_is_a_sentence(workshop: Workshop) -> None:
    """Never an exception."""
    workshop.docker_model.generate()
    workshop.canvas.is_open = False
    workshop.loop.run()
    assert "closed" in workshop.said
    assert workshop.docker_model.job is None


def test_a_document_that_is_closed_while_it_is_filled(workshop: Workshop, monkeypatch) -> None:
    """The picture is kept, and can be put into a new one."""
    submit = workshop.submit()
    keep_note = workshop.canvas.keep_note

    def close_first(key: str, text: str) -> None:
        workshop.canvas.is_open = False
        keep_note(key, text)

    monkeypatch.setattr(workshop.canvas, "keep_note", close_first)
    workshop.finish(submit)
    assert "new document" in workshop.said
    assert workshop.docker_model.job is None
    (entry,) = workshop.docker_model.results.entries()
    workshop.docker_model.apply(entry.id)
    workshop.loop.run()
    assert workshop.host.active_canvas().names[0] == "Tapestry: sunset sky (seed 42)"


def test_a_picture_of_a_part_lies_where_the_part_is(workshop: Workshop) -> None:
    """A selection is painted without the rest of its document."""
    workshop.connect()
    workshop.canvas.selection_mask = (Bounds(8, 10, 12, 14), bytes(16))
    workshop.docker_model.change(context_px=1, feather_px=0)
    workshop.docker_model.refine()
    workshop.loop.run()
    submit = workshop.backend.sent[-1]
    red = Pixels(6, 6, 4, RED * 36)
    bounds = Bounds(0, 0, 6, 6)
    workshop.backend.tell(Result(submit.job_id, PixelsRef.of(red), bounds, 42, "{}"), red)
    workshop.loop.run()
    assert workshop.canvas.layers()[0].name.endswith("refined (seed 42)")
    assert workshop.canvas.layers()[0].bounds == Bounds(7, 9, 13, 15)


def test_every_press_has_another_seed_unless_it_is_locked(workshop: Workshop) -> None:
    """Also for a picture that waits behind another."""
    workshop.connect()
    workshop.docker_model.change(seed_locked=False)
    for _ in range(2):
        workshop.docker_model.generate()
    workshop.loop.run()
    seeds = [submit.request.seed for submit in workshop.backend.sent]
    assert len(set(seeds)) == 2
    assert workshop.docker_model.settings.seed == seeds[-1]


def test_the_unforeseen_is_a_sentence_and_a_traceback_in_the_log(workshop, caplog) -> None:
    """Krita never sees it."""

    def broken() -> None:
        raise ZeroDivisionError("oops")

    workshop.docker_model._host.active_canvas = broken
    workshop.docker_model.look()
    assert "Something went wrong" in workshop.said
    assert "ZeroDivisionError: oops" in caplog.text
    workshop.docker_model.generate()
    workshop.docker_model.dismiss_notice()
    assert workshop.said == ""


def test_settings_are_kept_for_the_next_start(workshop: Workshop) -> None:
    """Whatever the artist changes."""
    workshop.docker_model.change(prompt="night", seed=5)
    again = DockerModel(workshop.host, workshop.link, workshop.loop)
    assert again.settings == Settings(prompt="night", seed=5)
    assert json.loads(workshop.host.settings["docker"])["seed"] == 5


def test_the_chosen_model_paints_and_one_that_is_gone_is_forgotten(workshop: Workshop) -> None:
    """The backend's models are known from its welcome; a job names the one that was chosen."""
    workshop.connect()
    models = tuple(ModelInfo(name, name, 128) for name in ("sample", "mine"))
    workshop.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, models))
    workshop.docker_model.change(model="mine")
    workshop.docker_model.generate()
    workshop.loop.run()

    assert workshop.docker_model.models == models
    assert workshop.backend.sent[-1].request.model == "mine"

    workshop.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, models[:1]))
    assert workshop.docker_model.settings.model == "sample"


def test_the_dice_rolls_a_seed_and_tells(workshop: Workshop) -> None:
    """One that can be written into the field."""
    told = []
    unwatch = workshop.docker_model.watch(
        "settings", lambda: told.append(workshop.docker_model.settings.seed)
    )
    workshop.docker_model.roll_dice()
    assert told == [workshop.docker_model.settings.seed]
    assert 0 <= told[0] < 2**32
    unwatch()
    unwatch()  # a widget may say twice that it is gone, and Qt ends a program that raises then
    workshop.docker_model.roll_dice()
    assert len(told) == 1


def test_looking_at_a_document_starts_the_backend_once(workshop: Workshop) -> None:
    """So that it is ready when it is needed; without a document nothing is started."""
    workshop.canvas.is_open = False
    workshop.docker_model.look()
    assert workshop.link.state is LinkState.OFF
    workshop.canvas.is_open = True
    workshop.docker_model.look()
    workshop.docker_model.look()
    assert workshop.backend.starts == 1


def test_the_backends_state_can_be_read(workshop: Workshop) -> None:
    """In the docker's last line."""
    docker_model, backend = workshop.docker_model, workshop.backend
    assert docker_model.backend_sentence == "Backend: starts when it is needed"
    workshop.connect()
    assert docker_model.backend_sentence == "Backend: ready (CPU)"
    backend.tell(Backend("loading", "CPU"))
    assert docker_model.backend_sentence == "Backend: loading the model"
    backend.lose_connection()
    assert docker_model.backend_sentence == "Backend: lost, trying again"


def test_a_closed_docker_model_is_silent(workshop: Workshop) -> None:
    """Krita ends in mid-job."""
    workshop.submit()
    workshop.docker_model.look()
    workshop.docker_model.close()
    workshop.loop.run(100)
    assert not workshop.backend.is_connected


def test_what_is_taught_can_be_chosen_and_is_told(workshop: Workshop) -> None:
    """Its LoRA is offered at once; its picture is in the history; no layer is made."""
    workshop.connect()
    workshop.canvas.add("more sky", Bounds(10, 0, 20, WIDTH), bytes((200, 90, 40, 255)))
    workshop.docker_model.change(teach_word="my wool")
    workshop.docker_model.teach()
    workshop.loop.run()
    submit = workshop.backend.sent[-1]
    assert submit.request.teach.word == "my wool"
    workshop.backend.tell(Learned((AdapterInfo("my-wool", "lora"),)))
    workshop.finish(submit)
    assert "my-wool" in [adapter.id for adapter in workshop.docker_model.adapters.known]
    assert "has learned" in workshop.said
