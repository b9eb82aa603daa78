"""The map of a place: on its way like a picture, but nothing of the document and its history."""

import pytest

from tapestry.docker_model import DockerModel
from tapestry.results.found_place import chosen_levels
from tapestry_protocol.messages import Acknowledge, PixelsRef, Result, Submit
from tapestry_protocol.pixels import Bounds, Pixels
from tests.krita_plugin.workshop import HEIGHT, WIDTH, Workshop

PAINTED = ["sunset sky", "Background"]
GREY = bytes(n % WIDTH * 8 for n in range(HEIGHT * WIDTH))
"""Levels from 0 at the left to 232 at the right."""


@pytest.fixture
def workshop() -> Workshop:
    """A document that is to be edited."""
    workshop = Workshop()
    workshop.connect()
    workshop.docker_model.change(edit_from="grass", edit_to="lava", batch=3)
    return workshop


def press(workshop: Workshop, press_it=DockerModel.find_place) -> Submit:
    """Press a button; what the backend is sent."""
    press_it(workshop.docker_model)
    workshop.loop.run()
    (job,) = workshop.docker_model.queue.jobs
    return Submit(job.id, job.order.request)


def answer(workshop: Workshop, submit: Submit, bounds: Bounds | None = None) -> None:
    """The backend sends a map of this part."""
    bounds = bounds or Bounds(0, 0, HEIGHT, WIDTH)
    values = GREY[: bounds.height * bounds.width]
    grey = Pixels(bounds.height, bounds.width, 4, bytes(v for v in values for _ in range(4)))
    result = Result(submit.job_id, PixelsRef.of(grey), bounds, 0, "{}")
    workshop.backend.tell(result, grey)
    workshop.loop.run()


def find(workshop: Workshop) -> None:
    """Look for the place and find it."""
    answer(workshop, press(workshop))


def test_a_map_is_shown_and_is_no_picture(workshop: Workshop) -> None:
    """No layer, no entry of the history, and the server may let it go."""
    find(workshop)
    found = workshop.docker_model.place.map
    assert (found.words, found.pixels.data, found.small.channels) == ("grass", GREY, 1)
    assert workshop.canvas.names == PAINTED
    assert workshop.docker_model.results.entries() == []
    assert not workshop.docker_model.queue.jobs
    assert isinstance(workshop.backend.sent[-1], Acknowledge)


def test_a_map_of_a_selection_lies_where_it_lay(workshop: Workshop) -> None:
    """In the document, not in the part that was sent."""
    workshop.canvas.selection_mask = (Bounds(4, 6, 8, 12), b"\xff" * 24)
    workshop.docker_model.change(context_px=0, feather_px=0)
    submit = press(workshop)
    assert (submit.request.height, submit.request.width) == (4, 6)
    answer(workshop, submit, Bounds(0, 0, 4, 6))
    assert workshop.docker_model.place.map.bounds == Bounds(4, 6, 8, 12)


@pytest.mark.parametrize(("threshold", "first"), [(0.0, 1), (0.5, 16), (0.9, 29)])
def test_a_threshold_chooses_what_is_as_clear(workshop: Workshop, threshold, first) -> None:
    """At 0 all that shows it at all."""
    find(workshop)
    chosen = workshop.docker_model.place.map.chosen(threshold)
    assert chosen.data == (bytes(first) + b"\xff" * (WIDTH - first)) * HEIGHT


def test_levels_above_the_threshold_are_chosen() -> None:
    """A table for every byte."""
    assert chosen_levels(1.0) == bytes(255) + b"\xff"
    assert chosen_levels(0.5).index(255) == 128


def test_a_place_becomes_a_selection(workshop: Workshop) -> None:
    """Krita's own, and nothing else is selected."""
    workshop.canvas.selection_mask = None
    find(workshop)
    workshop.docker_model.select_place()
    workshop.loop.run()
    chosen = b"\xff" * HEIGHT * (WIDTH - 16)
    assert workshop.canvas.selection_mask == (Bounds(0, 16, HEIGHT, WIDTH), chosen)


def test_a_place_becomes_a_layer_that_says_where(workshop: Workshop) -> None:
    """Called as the words, on top, transparent elsewhere; a region as any other."""
    find(workshop)
    workshop.docker_model.add_place_layer()
    workshop.loop.run()
    assert workshop.canvas.names == ["grass", *PAINTED]
    layer = workshop.canvas.layers()[0].id
    assert set(workshop.canvas.alpha(layer, Bounds(0, 0, HEIGHT, 16))) == {0}
    assert set(workshop.canvas.alpha(layer, Bounds(0, 16, HEIGHT, WIDTH))) == {255}
    workshop.canvas.selection_mask = None
    submit = press(workshop, DockerModel.edit)
    assert submit.request.regions[0].source_prompt == "grass"
    assert submit.request.edit.threshold == 0


def test_nothing_is_so_clear(workshop: Workshop) -> None:
    """Said, and the selection stays."""
    find(workshop)
    workshop.docker_model.change(edit_threshold=1.0)
    workshop.docker_model.select_place()
    workshop.docker_model.add_place_layer()
    workshop.loop.run()
    assert "Lower the threshold" in workshop.said
    assert workshop.canvas.selection_mask is None
    assert workshop.canvas.names == PAINTED


def test_a_map_belongs_to_its_document(workshop: Workshop) -> None:
    """As long as that has its size; another document in front has none."""
    told = []
    workshop.docker_model.watch("place", lambda: told.append(workshop.docker_model.place.map))
    find(workshop)
    other = workshop.host.create_canvas(8, 8, "other")
    workshop.docker_model.look()
    other.is_open = False
    workshop.docker_model.look()
    workshop.canvas.scale(HEIGHT * 2, WIDTH * 2)
    workshop.docker_model.look()
    assert [found is not None for found in told] == [True, False, True, False]


def test_a_document_that_was_closed_meanwhile_is_told(workshop: Workshop) -> None:
    """The job ends all the same."""
    submit = press(workshop)
    workshop.host.create_canvas(8, 8, "other")
    workshop.canvas.is_open = False
    answer(workshop, submit)
    assert "closed while the place was looked for" in workshop.said
    assert workshop.docker_model.place.map is None
    assert not workshop.docker_model.queue.jobs


def test_an_edit_is_a_picture_as_any_other(workshop: Workshop) -> None:
    """One, whatever the number of pictures: a layer, and an entry whose settings come back."""
    submit = press(workshop, DockerModel.edit)
    workshop.finish(submit)
    assert workshop.canvas.names == ["Tapestry: lava, edited (seed 42)", *PAINTED]
    (entry,) = workshop.docker_model.results.entries("lava")
    workshop.docker_model.change(edit_from="", edit_to="", edit_method="ddib", prompt="a field")
    workshop.docker_model.use_settings(entry)
    settings = workshop.docker_model.settings
    assert (settings.edit_from, settings.edit_to) == ("grass", "lava")
    assert (settings.edit_method, settings.prompt) == ("diffedit", "a field")


def test_an_edit_outlives_krita(workshop: Workshop) -> None:
    """Its picture comes to the next one; a map that nobody waits for ends."""
    jobs = [press(workshop, DockerModel.edit)]
    workshop.docker_model.find_place()
    workshop.loop.run()
    last = workshop.docker_model.queue.jobs[-1]
    jobs.append(Submit(last.id, last.order.request))
    workshop.docker_model.close()
    later = Workshop()
    later.connect()
    assert [job.id for job in later.docker_model.queue.jobs] == [job.job_id for job in jobs]
    later.finish(jobs[0])
    answer(later, jobs[1])
    assert [entry.name for entry in later.docker_model.results.entries()] == [
        "Tapestry: lava, edited (seed 42)"
    ]
    assert not later.docker_model.queue.jobs


def test_words_that_are_missing_send_nothing(workshop: Workshop) -> None:
    """With what to write."""
    sent = len(workshop.backend.sent)
    workshop.docker_model.change(edit_from="")
    workshop.docker_model.find_place()
    workshop.loop.run()
    assert "what shall be found" in workshop.said
    workshop.docker_model.change(edit_to="")
    workshop.docker_model.edit()
    workshop.loop.run()
    assert "what the picture shall become" in workshop.said
    assert len(workshop.backend.sent) == sent
