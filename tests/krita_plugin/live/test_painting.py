"""Painting live: from a stroke to a picture on the canvas, and back to peace."""

from __future__ import annotations

import json

import pytest

from tapestry.results.canvas_preview import PREVIEW_NAME
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.messages import (
    Acknowledge,
    Cancel,
    Cancelled,
    Failed,
    ModelInfo,
    Need,
    PixelsRef,
    Preview,
    Result,
    Submit,
    Welcome,
)
from tapestry_protocol.pixels import Bounds, Pixels
from tests.krita_plugin.workshop import HEIGHT, WIDTH, Workshop

BLUE, RED = (bytes((*colour, 255)) for colour in ((0, 0, 200), (200, 0, 0)))
REPORT = json.dumps({"unet_evaluations": 12, "live": {"painted": 0.25}})


@pytest.fixture
def workshop() -> Workshop:
    """A document with one region that is followed live."""
    workshop = Workshop()
    workshop.connect()
    workshop.docker_model.toggle_live()
    workshop.loop.run()
    return workshop


def asked(workshop: Workshop) -> list[Submit]:
    """What was sent to be painted."""
    return [message for message in workshop.backend.sent if isinstance(message, Submit)]


def stroke(workshop: Workshop, top: int) -> None:
    """One more layer with paint on it."""
    workshop.canvas.add(f"stroke {top}", Bounds(top, 0, top + 2, 4))
    workshop.loop.run(1.0)


def finish(workshop: Workshop, submit: Submit, colour: bytes = RED) -> None:
    """The backend sends a live picture."""
    pixels = Pixels(HEIGHT, WIDTH, 4, colour * (HEIGHT * WIDTH))
    bounds = Bounds(0, 0, HEIGHT, WIDTH)
    ref = PixelsRef.of(pixels)
    workshop.backend.tell(Result(submit.job_id, ref, bounds, 42, REPORT), pixels)
    workshop.loop.run(1.0)


def pixel(workshop: Workshop) -> bytes:
    """What one sees of the document in its corner."""
    return workshop.canvas.flattened(Bounds(15, 15, 16, 16))


def test_the_document_is_painted_as_soon_as_it_is_live(workshop: Workshop) -> None:
    """With the live steps, a name of its own, and nothing that would be a job in the docker."""
    (submit,) = asked(workshop)

    assert submit.request.live
    assert submit.request.num_inference_steps == workshop.docker_model.settings.live_steps
    assert workshop.docker_model.job is None
    mask = submit.request.regions[0].mask.sha256
    workshop.backend.tell(Need(submit.job_id, (mask,)))
    assert list(workshop.backend.blobs) == [mask]


def test_a_model_that_can_paints_in_few_steps(workshop: Workshop) -> None:
    """As long as that is wanted; one that cannot is not asked to."""
    (submit,) = asked(workshop)
    assert not submit.request.quick
    finish(workshop, submit)

    quick = ModelInfo(submit.request.model, "sample", 128, quick=True)
    workshop.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, (quick,)))
    workshop.loop.run(1.0)
    assert asked(workshop)[-1].request.quick
    finish(workshop, asked(workshop)[-1])

    workshop.docker_model.change(live_quick=False)
    workshop.loop.run(1.0)
    assert not asked(workshop)[-1].request.quick


def test_the_picture_appears_on_the_canvas_and_marks_nothing(workshop: Workshop) -> None:
    """It is acknowledged at once; the docker says what it took."""
    workshop.canvas.set_modified(on=False)
    (submit,) = asked(workshop)

    finish(workshop, submit)

    assert workshop.canvas.names[0] == PREVIEW_NAME
    assert pixel(workshop) == RED
    assert not workshop.canvas.is_modified
    assert Acknowledge(submit.job_id) in workshop.backend.sent
    update = workshop.docker_model.live.update
    assert update is not None
    assert (update.evaluations, update.painted) == (12, 0.25)


def test_an_unchanged_document_sends_no_request(workshop: Workshop) -> None:
    """The preview on the canvas is no change."""
    finish(workshop, asked(workshop)[0])

    workshop.loop.run(5.0)

    assert len(asked(workshop)) == 1


def test_every_change_is_painted(workshop: Workshop) -> None:
    """A stroke, a new name, a layer that is hidden and comes back."""
    canvas = workshop.canvas
    region = canvas.layers()[0].id
    finish(workshop, asked(workshop)[0])
    steps = (
        lambda: canvas.add("a boat", Bounds(12, 0, 16, 8)),
        lambda: canvas.rename(region, "night sky"),
        lambda: canvas.change(region, visible=False),
        lambda: canvas.change(region, visible=True),
    )

    for number, change in enumerate(steps, 2):
        change()
        workshop.loop.run(1.0)
        assert len(asked(workshop)) == number
        finish(workshop, asked(workshop)[-1])

    names = [[region.prompt for region in submit.request.regions] for submit in asked(workshop)]
    assert names[1:] == [
        ["a boat", "sunset sky"],
        ["a boat", "night sky"],
        ["a boat"],
        ["a boat", "night sky"],
    ]


def test_the_newest_wins(workshop: Workshop) -> None:
    """What is running makes way; of what changed meanwhile only the last is painted."""
    (first,) = asked(workshop)
    stroke(workshop, 12)
    stroke(workshop, 16)

    assert workshop.backend.sent.count(Cancel(first.job_id)) == 1
    assert len(asked(workshop)) == 1
    workshop.backend.tell(Cancelled(first.job_id))

    newest = asked(workshop)[-1]
    assert [region.prompt for region in newest.request.regions] == [
        "stroke 16",
        "stroke 12",
        "sunset sky",
    ]


def test_a_hand_that_draws_on_sees_pictures(workshop: Workshop) -> None:
    """After one that was stopped, the next one is finished."""
    (first,) = asked(workshop)
    stroke(workshop, 12)
    workshop.backend.tell(Cancelled(first.job_id))
    second = asked(workshop)[-1]
    stroke(workshop, 16)

    assert Cancel(second.job_id) not in workshop.backend.sent
    finish(workshop, second)
    third = asked(workshop)[-1]
    stroke(workshop, 18)

    assert third.job_id != second.job_id
    assert pixel(workshop) == RED
    assert Cancel(third.job_id) in workshop.backend.sent


def test_a_preview_is_shown_meanwhile(workshop: Workshop) -> None:
    """Scaled to the document where it is smaller."""
    (submit,) = asked(workshop)
    small = Pixels(2, 3, 4, BLUE * 6)

    workshop.backend.tell(Preview(submit.job_id, PixelsRef.of(small)), small)
    workshop.loop.run(1.0)

    assert pixel(workshop) == BLUE


def test_switched_off_nothing_is_left(workshop: Workshop) -> None:
    """No layer, no job, and what still arrives is of no matter."""
    finish(workshop, asked(workshop)[0])
    stroke(workshop, 12)
    running = asked(workshop)[-1]

    workshop.docker_model.toggle_live()
    workshop.loop.run(2.0)
    workshop.backend.tell(Cancelled(running.job_id))
    workshop.loop.run(2.0)

    assert PREVIEW_NAME not in workshop.canvas.names
    assert Cancel(running.job_id) in workshop.backend.sent
    assert not workshop.docker_model.live.is_on
    assert len(asked(workshop)) == 2


def test_keep_makes_a_layer_each_time(workshop: Workshop) -> None:
    """And live painting goes on."""
    finish(workshop, asked(workshop)[0])

    for count in (1, 2):
        workshop.docker_model.keep_live()
        workshop.loop.run(2.0)
        kept = [name for name in workshop.canvas.names if name.startswith("Tapestry: sunset sky")]
        assert len(kept) == count
        assert len(workshop.docker_model.results.entries()) == count

    assert workshop.docker_model.live.is_on
    entry = workshop.docker_model.results.entries()[0]
    assert entry.request is not None
    assert entry.request.live == ""


def test_a_lost_backend_is_waited_for(workshop: Workshop) -> None:
    """And that is said; what was on its way is asked for again, by itself."""
    workshop.backend.die()
    workshop.loop.run(0.3)
    said = workshop.docker_model.live.trouble
    assert said is not None
    assert "waits for it" in said.advice
    workshop.backend.appear()
    workshop.loop.run(10.0)
    workshop.backend.answer()
    workshop.loop.run(1.0)

    (submit,) = asked(workshop)
    assert workshop.docker_model.live.trouble is None
    finish(workshop, submit)
    assert pixel(workshop) == RED


def test_what_cannot_be_painted_is_said_once_and_not_asked_again(workshop: Workshop) -> None:
    """Until something changes."""
    (submit,) = asked(workshop)
    workshop.backend.tell(
        Failed(submit.job_id, ErrorCode.OUT_OF_MEMORY, "There is too little memory.", "Close some.")
    )
    workshop.loop.run(5.0)

    trouble = workshop.docker_model.live.trouble
    assert trouble is not None
    assert str(trouble.message) == "There is too little memory."
    assert len(asked(workshop)) == 1
    stroke(workshop, 12)
    assert len(asked(workshop)) == 2
    assert workshop.docker_model.live.trouble is None


def test_a_document_without_regions_waits_for_paint(workshop: Workshop) -> None:
    """It says what is missing."""
    finish(workshop, asked(workshop)[0])
    (region,) = (each.id for each in workshop.canvas.layers() if each.name == "sunset sky")
    workshop.canvas.remove(region)
    workshop.loop.run(1.0)

    live = workshop.docker_model.live
    assert live.trouble is not None
    assert "nothing to paint" in str(live.trouble.message)
    assert PREVIEW_NAME not in workshop.canvas.names
    assert live.picture is None
    stroke(workshop, 12)
    assert len(asked(workshop)) == 2


def test_a_picture_that_comes_too_late_is_not_shown(workshop: Workshop) -> None:
    """Its only region is gone by then."""
    (submit,) = asked(workshop)
    (region,) = (each.id for each in workshop.canvas.layers() if each.name == "sunset sky")
    workshop.canvas.remove(region)
    workshop.loop.run(1.0)
    assert Cancel(submit.job_id) in workshop.backend.sent

    finish(workshop, submit)

    assert PREVIEW_NAME not in workshop.canvas.names
    assert workshop.docker_model.live.picture is None


def test_another_document_in_front_is_not_live(workshop: Workshop) -> None:
    """It is shown as such, nothing is kept from there; back in the first all goes on."""
    finish(workshop, asked(workshop)[0])
    live, model = workshop.docker_model.live, workshop.docker_model
    told: list[bool] = []
    model.watch("live", lambda: told.append(live.is_in_front))
    other = workshop.host.create_canvas(HEIGHT, WIDTH, "other")
    other.add("snow", Bounds(0, 0, 4, 4))
    model.look()
    workshop.loop.run(1.0)

    assert told[-1] is False
    model.keep_live()
    workshop.loop.run(2.0)
    assert not [name for name in workshop.canvas.names if name.startswith("Tapestry: ")]
    assert len(asked(workshop)) == 1

    workshop.host.canvases.remove(other)
    model.look()
    workshop.loop.run(1.0)
    assert told[-1] is True
    assert workshop.canvas.names[0] == PREVIEW_NAME


def test_a_picture_for_a_document_that_is_not_in_front_waits(workshop: Workshop) -> None:
    """It is shown when the artist comes back."""
    other = workshop.host.create_canvas(HEIGHT, WIDTH, "other")
    workshop.loop.run(1.0)

    finish(workshop, asked(workshop)[0])
    assert PREVIEW_NAME not in workshop.canvas.names

    workshop.host.canvases.remove(other)
    workshop.loop.run(1.0)
    assert workshop.canvas.names[0] == PREVIEW_NAME


def test_the_switch_takes_the_document_in_front(workshop: Workshop) -> None:
    """One document at a time: the other one is let go."""
    finish(workshop, asked(workshop)[0])
    other = workshop.host.create_canvas(HEIGHT, WIDTH, "other")
    other.add("snow", Bounds(0, 0, 4, 4))

    workshop.docker_model.toggle_live()
    workshop.loop.run(1.0)

    assert workshop.docker_model.live.is_in_front
    assert asked(workshop)[-1].request.regions[0].prompt == "snow"
    assert PREVIEW_NAME not in workshop.canvas.names


def test_another_mode_ends_it_with_a_sentence(workshop: Workshop) -> None:
    """The switch is in Generate alone, and its shortcut leads there."""
    finish(workshop, asked(workshop)[0])

    workshop.docker_model.change_and_tell(mode="upscale")
    workshop.loop.run(1.0)

    assert not workshop.docker_model.live.is_on
    assert PREVIEW_NAME not in workshop.canvas.names
    assert "it belongs to Generate" in workshop.said
    workshop.docker_model.toggle_live()
    assert workshop.docker_model.settings.mode == "generate"
    assert workshop.docker_model.live.is_on
    assert workshop.said == ""


@pytest.mark.parametrize("press", ["upscale", "refine", "edit", "judge_regions"])
def test_what_is_made_of_the_picture_asks_to_keep_it_first(workshop: Workshop, press: str) -> None:
    """A shortcut, or the eye above the list: else it would see the flat paint."""
    finish(workshop, asked(workshop)[0])
    model = workshop.docker_model

    getattr(model, press)()
    workshop.loop.run(1.0)

    assert "Press Keep first" in workshop.said
    assert model.live.is_on
    assert model.job is None
    model.keep_live()
    workshop.loop.run(2.0)
    getattr(model, press)()
    workshop.loop.run(1.0)
    assert "Press Keep first" not in workshop.said
    assert not model.live.is_on


def test_saving_finds_no_preview(workshop: Workshop) -> None:
    """It comes back afterwards."""
    finish(workshop, asked(workshop)[0])

    workshop.host.before_saving()
    workshop.host.is_asking = True
    workshop.loop.run(3.0)
    assert PREVIEW_NAME not in workshop.canvas.names
    workshop.host.is_asking = False
    workshop.host.after_saving(workshop.canvas)
    workshop.loop.run(0.8)

    assert workshop.canvas.names[0] == PREVIEW_NAME
    assert pixel(workshop) == RED


def test_a_menu_that_saves_nothing_holds_it_up_only_while_it_is_open(workshop: Workshop) -> None:
    """The picture comes back by itself."""
    finish(workshop, asked(workshop)[0])

    workshop.host.before_saving()
    workshop.host.is_asking = True
    workshop.loop.run(5.0)
    assert PREVIEW_NAME not in workshop.canvas.names
    workshop.host.is_asking = False
    workshop.loop.run(3.0)

    assert workshop.canvas.names[0] == PREVIEW_NAME


def test_a_file_that_is_written_again_holds_no_preview(workshop: Workshop) -> None:
    """Where that takes a while the preview does not come back before, and it is written once."""
    finish(workshop, asked(workshop)[0])
    workshop.host.after_saving(workshop.canvas)
    assert len(workshop.canvas.saved) == 1
    workshop.loop.run(3.5)
    assert PREVIEW_NAME not in workshop.canvas.names

    workshop.host.after_saving(workshop.canvas)
    workshop.loop.run(1.0)

    assert len(workshop.canvas.saved) == 1
    assert workshop.canvas.names[0] == PREVIEW_NAME


def test_generate_ends_it(workshop: Workshop) -> None:
    """One button at a time decides about the canvas."""
    finish(workshop, asked(workshop)[0])

    workshop.docker_model.generate()
    workshop.loop.run(2.0)

    assert not workshop.docker_model.live.is_on
    assert workshop.docker_model.job is not None


def test_a_closed_document_ends_it(workshop: Workshop) -> None:
    """Without a word: the artist has closed it."""
    workshop.canvas.is_open = False
    workshop.host.canvases.clear()
    workshop.loop.run(2.0)

    assert not workshop.docker_model.live.is_on
    assert workshop.said == ""


def test_a_picture_of_a_closed_document_is_no_trouble(workshop: Workshop) -> None:
    """It may be on its way when the artist closes it."""
    (submit,) = asked(workshop)
    workshop.canvas.is_open = False
    workshop.host.canvases.clear()

    finish(workshop, submit)
    workshop.loop.run(2.0)

    assert not workshop.docker_model.live.is_on
    assert workshop.docker_model.live.trouble is None
    assert workshop.said == ""


def test_below_full_strength_the_layers_colours_are_sent(workshop: Workshop) -> None:
    """For every region, also one that would ignore them."""
    finish(workshop, asked(workshop)[0])

    workshop.docker_model.change_and_tell(live_strength=0.6)
    workshop.loop.run(1.0)

    region = asked(workshop)[-1].request.regions[0]
    assert region.strength == 0.6
    assert region.paint is not None


def test_live_painting_without_a_document_is_a_sentence() -> None:
    """And stays off."""
    workshop = Workshop()
    workshop.host.canvases.clear()

    workshop.docker_model.toggle_live()

    assert "No document is open" in workshop.said
    assert not workshop.docker_model.live.is_on
