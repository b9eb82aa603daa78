"""How long it will take."""

from dataclasses import replace

import pytest

from tapestry.document.order import DocumentState, Order
from tapestry.jobs.eta import TimeEstimate, time_left
from tapestry.jobs.job import Job, Phase
from tapestry_protocol.messages import Edit, Request
from tapestry_protocol.pixels import Margins
from tests.krita_plugin.fake_canvas import FakeCanvas


def job(name: str, height: int = 10, **fields: object) -> Job:
    """A job of ten steps that is painted."""
    canvas = FakeCanvas(2, 2)
    settings = {"task": "generate", "prompt": "x", "num_inference_steps": 10} | fields
    request = Request(height=height, width=10, **settings)
    made = Job(name, canvas, DocumentState.of(canvas), phase=Phase.SUBMITTED)
    made.order, made.stage, made.steps = Order(request, {}, "x"), "denoising", 10
    return made


def test_steps_tell_how_long_the_rest_takes() -> None:
    """And the jobs behind, by their size; as time passes, less is left."""
    now = [0.0]
    estimate, first, second = TimeEstimate(lambda: now[0]), job("a"), job("b", 20)
    second.stage, second.steps = "queued", 0
    assert estimate.seconds_left([first]) is None
    for first.step in (1, 2, 3):
        estimate.note(first)
        now[0] += 2.0
    now[0] -= 2.0
    assert estimate.seconds_left([first]) == pytest.approx(14.0)
    assert estimate.seconds_left([first, second]) == pytest.approx(14.0 + 40.0)
    now[0] += 1.0
    assert estimate.seconds_left([first]) == pytest.approx(13.0)


def test_two_that_are_painted_at_once_take_half_the_time() -> None:
    """Their steps come in turns, and each is compared with its own."""
    now = [0.0]
    estimate, first, second = TimeEstimate(lambda: now[0]), job("a"), job("b")
    for first.step in (1, 2):
        estimate.note(first)
        second.step = first.step
        estimate.note(second)
        now[0] += 2.0
    now[0] -= 2.0
    assert estimate.seconds_left([first, second]) == pytest.approx(16.0)
    assert estimate.seconds_left([second]) == pytest.approx(16.0)


def test_another_model_has_another_pace() -> None:
    """Nothing is said about one that was never measured."""
    now = [0.0]
    estimate, first = TimeEstimate(lambda: now[0]), job("a")
    for first.step in (1, 2):
        estimate.note(first)
        now[0] += 1.0
    assert estimate.seconds_left([first, job("b", model="mine")]) is None
    grown = job("c")
    larger = replace(grown.order.request, task="extend", margins=Margins(bottom=10))
    grown.order = Order(larger, {}, "x")
    assert estimate.seconds_left([grown]) == pytest.approx(20.0 - 1.0)


@pytest.mark.parametrize(
    ("edit", "strength", "rows"),
    [
        (Edit("diffedit", "snow"), 0.8, 10 * 3 + 8 * 1 + 8 * 2),
        (Edit("diffedit", "snow", threshold=0.0), 0.8, 8 * 1 + 8 * 2),
        (Edit("diffedit", "snow", map_only=True), 0.8, 10 * 3),
        (Edit("ddib", "snow"), 1.0, 10 * 1 + 10 * 2),
        (Edit("instruct"), 1.0, 10 * 2),
    ],
)
def test_an_edit_takes_the_time_of_all_its_stages(edit: Edit, strength: float, rows: int) -> None:
    """Comparing and inverting count, by how many rows of the model they take."""
    now = [0.0]
    estimate, first = TimeEstimate(lambda: now[0]), job("a")
    for first.step in (1, 2):
        estimate.note(first)
        now[0] += 1.0
    now[0] -= 1.0
    asked = job("b", task="edit", edit=edit, strength=strength)
    asked.stage = "queued"
    assert estimate.seconds_left([asked]) == pytest.approx(rows * 0.5)


def test_an_edit_measures_itself_from_its_first_stage() -> None:
    """What was skipped, since it was kept on disk, is no longer counted."""
    now = [0.0]
    estimate = TimeEstimate(lambda: now[0])
    asked = job("a", task="edit", edit=Edit("diffedit", "snow"), strength=1.0)
    asked.stage = "comparing"
    for asked.step in (1, 2):
        estimate.note(asked)
        now[0] += 3.0
    now[0] -= 3.0
    assert estimate.seconds_left([asked]) == pytest.approx(8 * 3 + 10 * 1 + 10 * 2)
    asked.stage, asked.step = "inverting", 4
    assert estimate.seconds_left([asked]) == pytest.approx(6 * 1 + 10 * 2)
    asked.stage, asked.step = "denoising", 4
    estimate.note(asked)
    assert estimate.seconds_left([asked]) == pytest.approx(6 * 2)
    asked.stage = "decoding"
    assert estimate.seconds_left([asked]) == 0


def test_learning_has_steps_of_its_own() -> None:
    """As long for a picture of any size; what is painted afterwards is known when it is painted."""
    now = [0.0]
    estimate = TimeEstimate(lambda: now[0])
    learned = Edit("imagic", learning_steps=30)
    asked = job("a", task="edit", edit=learned, strength=1.0, model="mine")
    asked.stage, asked.steps = "learning", 30
    assert estimate.seconds_left([asked]) is None
    for asked.step in (1, 2):
        estimate.note(asked)
        now[0] += 4.0
    now[0] -= 4.0
    assert estimate.seconds_left([asked]) == pytest.approx(28 * 4)
    larger = job("b", height=40, task="edit", edit=learned, model="mine")
    larger.stage = "queued"
    assert estimate.seconds_left([larger]) == pytest.approx(30 * 4)
    asked.stage, asked.steps, asked.step = "inverting", 10, 1
    assert estimate.seconds_left([asked]) is None
    for asked.step in (1, 2):
        estimate.note(asked)
        now[0] += 1.0
    now[0] -= 1.0
    assert estimate.seconds_left([asked]) == pytest.approx(8 * 1 + 10 * 2)


def test_an_upscale_takes_its_share_of_the_steps_for_a_larger_picture() -> None:
    """Twice as high and wide, at half the strength; once it paints, it tells its own steps."""
    now = [0.0]
    estimate, first = TimeEstimate(lambda: now[0]), job("a")
    for first.step in (1, 2):
        estimate.note(first)
        now[0] += 1.0
    now[0] -= 1.0
    larger = job("b", task="upscale", factor=2.0, strength=0.5)
    larger.stage = "queued"
    assert estimate.seconds_left([larger]) == pytest.approx(5 * 4.0)
    larger.stage, larger.step, larger.steps = "denoising", 2, 5
    assert estimate.seconds_left([larger]) == pytest.approx(3 * 4.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "about 5 s left"),
        (12, "about 15 s left"),
        (89, "about 90 s left"),
        (91, "about 2 min left"),
        (600, "about 10 min left"),
    ],
)
def test_times_are_round(seconds: float, words: str) -> None:
    """Never less than it takes."""
    assert time_left(seconds) == words
