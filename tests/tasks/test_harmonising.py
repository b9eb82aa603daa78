"""Harmonising, from the request on: what is filled or extended is fitted, and nothing else is."""

from dataclasses import replace

import numpy as np
import pytest

from tapestry_backend.models.schedulers import diffusers
from tapestry_backend.tasks.plan import make_plan
from tapestry_backend.tasks.run import run
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Request, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tests.tasks.pictures import noise_picture, to_array

STEPS = 10
BOX = Bounds(32, 40, 100, 111)


def extension(scene) -> Request:
    """A picture of random pixels that grows on one side."""
    image = scene.add(noise_picture(128, 128))
    return Request(
        *("extend", 128, 128, "green grass"),
        margins=Margins(right=64),
        image=image,
        num_inference_steps=STEPS,
    )


def fill(scene) -> Request:
    """A box in such a picture, on no border of cells."""
    image = scene.add(noise_picture(128, 128))
    mask = Pixels(BOX.height, BOX.width, 1, b"\xff" * (BOX.height * BOX.width))
    return Request(
        *("fill", 128, 128, "green grass"),
        image=image,
        selection=Selection(BOX, scene.add(mask)),
        num_inference_steps=STEPS,
    )


@pytest.mark.parametrize("make", [extension, fill])
@pytest.mark.parametrize("scheduler", ["checkpoint", "dpmpp_2m", "pndm", "heun"])
def test_what_is_new_changes_and_nothing_else(paint, scene, make, scheduler: str) -> None:
    """The same pixels are empty, and what is new is another picture of the same."""
    request = replace(make(scene), scheduler=scheduler)
    plain, fitted = (
        to_array(paint(each).pixels) for each in (request, replace(request, harmonise=2))
    )

    assert np.array_equal(plain[..., 3], fitted[..., 3])
    new = plain[..., 3] > 0
    assert not fitted[~new].any()
    assert not np.array_equal(plain[new], fitted[new])


@pytest.mark.parametrize("scheduler", ["checkpoint", "pndm", "heun"])
def test_its_steps_are_counted(paint, scene, model_cache, scheduler: str) -> None:
    """In the plan, in the progress and in the evaluations: each time costs the same."""
    request = replace(fill(scene), scheduler=scheduler)
    reports = [paint(replace(request, harmonise=n)).report for n in (0, 1, 3)]
    again = [report["plan"]["steps_again"] for report in reports]
    evaluations = [report["unet_evaluations"] for report in reports]

    assert again == [0, again[1], 3 * again[1]]
    assert again[1] > 0
    assert [report["plan"]["harmonise"] for report in reports] == [0, 1, 3]
    *progress, _ = run(replace(request, harmonise=3), scene.blobs, model_cache)
    told = [event for event in progress if event.step]
    assert told[-1].step == told[-1].steps == told[0].steps
    rows = evaluations[2] / told[-1].steps  # the same at every step
    assert evaluations[1] - evaluations[0] == rows * again[1]
    assert evaluations[2] - evaluations[0] == rows * again[2]


def test_without_it_nothing_is_taken_again(scene, model) -> None:
    """A request that says nothing has none, and then no scheduler is too simple."""
    request = fill(scene)
    assert request.harmonise == 0
    assert make_plan(request, model).jumps == ()


def test_a_scheduler_that_cannot_go_back_is_named(scene, model, monkeypatch) -> None:
    """LMS reckons with steps that it has not seen."""

    class Lms(diffusers.DDIMScheduler):
        get_lms_coefficient = None

    lms = Lms.from_config(model.make_scheduler("ddim").config)
    monkeypatch.setattr(model, "make_scheduler", lambda *_: lms)
    with pytest.raises(TapestryError, match="Lms, cannot take steps back") as told:
        make_plan(replace(fill(scene), harmonise=1), model)
    assert "dpmpp_2m" in str(told.value.advice)
    make_plan(fill(scene), model)


@pytest.mark.parametrize("task", ["generate", "refine"])
def test_what_has_no_border_is_refused(paint, scene, task: str) -> None:
    """With what to do."""
    request = replace(fill(scene), task=task, harmonise=1)
    if task == "generate":
        request = replace(request, image=None, selection=None)
    with pytest.raises(TapestryError, match="filled or extended") as told:
        paint(request)
    assert "0" in str(told.value.advice)
