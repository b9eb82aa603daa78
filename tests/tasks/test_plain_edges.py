"""What a picture extended in height preserves: a plain edge goes on, a texture stays free."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.tasks.canvas_source import read_canvas_source
from tapestry_backend.tasks.plain_edges import plain_edges
from tapestry_backend.tasks.plan import make_plan
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds, Margins, Pixels

SIDE = 128


def scene_picture(scene, top, bottom):
    """A picture of two halves, [64, 128, 3] each."""
    rgba = np.full((SIDE, SIDE, 4), 255, dtype=np.uint8)
    rgba[: SIDE // 2, :, :3], rgba[SIDE // 2 :, :, :3] = top, bottom
    return scene.add(Pixels(SIDE, SIDE, 4, rgba.tobytes()))


def sky() -> np.ndarray:
    """A gradient from row to row, and nothing along them."""
    return np.linspace(90, 200, SIDE // 2)[:, None, None] * np.array([0.5, 0.7, 1.0])


def gravel() -> np.ndarray:
    """Stones as large as a window's quarter, as different as the whole picture is."""
    stones = np.random.default_rng(0).integers(0, 256, (2, 4, 3))
    return stones.repeat(SIDE // 4, axis=0).repeat(SIDE // 4, axis=1)


def edges_of(request: Request, scene, model):
    """What the request keeps to, and its plan."""
    plan = make_plan(request, model)
    return plain_edges(plan, read_canvas_source(request, scene.blobs, plan).source), plan


def extended(scene, image, **fields: object) -> Request:
    """An extension upwards and downwards."""
    margins = Margins(top=64, bottom=64)
    return replace(Request("extend", SIDE, SIDE, margins=margins, image=image), **fields)


def test_above_a_sky_it_goes_on_and_below_gravel_nothing_is_held(model, scene) -> None:
    """Cell by cell: the new rows above, none beside or below."""
    image = scene_picture(scene, sky(), gravel())
    plain, _ = edges_of(extended(scene, image), scene, model)

    assert plain is not None
    assert plain.rows == (8, 24)
    assert plain.where[:, 3].tolist() == [1.0] * 8 + [0.0] * 24
    assert edges_of(extended(scene, image, margins=Margins(left=64)), scene, model)[0] is None
    assert edges_of(extended(scene, image, margins=Margins(bottom=64)), scene, model)[0] is None


def test_stars_make_no_sky_less_plain(model, scene) -> None:
    """What is small counts for nothing, however bright it is."""
    starry = sky().repeat(SIDE, axis=1)
    starry[4:60:8, 3::8] = 255
    plain, _ = edges_of(extended(scene, scene_picture(scene, starry, gravel())), scene, model)

    assert plain is not None
    assert plain.where[:, 3].tolist() == [1.0] * 8 + [0.0] * 24


@pytest.mark.parametrize("task", ["generate", "fill"])
def test_other_tasks_keep_to_nothing(model, scene, task: str) -> None:
    """There is no old edge."""
    selection = None
    image = scene_picture(scene, sky(), gravel())
    if task == "fill":
        from tapestry_protocol.messages import Selection

        selection = Selection(Bounds(0, 0, 64, 64), scene.add(Pixels(64, 64, 1, b"\xff" * 64 * 64)))
    request = Request(
        task, SIDE, SIDE, "x", image=image if selection else None, selection=selection
    )
    assert edges_of(request, scene, model)[0] is None


def test_regions_say_themselves_what_they_show(model, scene) -> None:
    """A balloon that was painted above the old picture is not preserved."""
    image = scene_picture(scene, sky(), gravel())
    balloon = scene.region("lava", Bounds(-56, 32, -8, 64))
    plain, _ = edges_of(extended(scene, image, regions=(balloon,)), scene, model)

    assert float(plain.where[1:7, 4:8].max()) == 0
    assert float(plain.where[1:7, 8:].min()) == 1


def test_a_second_ground_is_taken_out_of_the_clean_estimate(model, scene) -> None:
    """What is large becomes as the old edge is; what is small stays, and so does the rest."""
    image = scene_picture(scene, sky(), gravel())
    request = extended(scene, image)
    plan = make_plan(request, model)
    source = read_canvas_source(request, scene.blobs, plan).source
    latents = model.encode(source.pixels * 2 - 1)
    steers = plain_edges(plan, source).preserve(latents, None)
    clean = latents.clone()
    clean[..., 2:6, :] += 3
    clean[..., 0, :] += 3  # two lines: nothing is left of them in the mean of both rows
    clean[..., 1, :] -= 3
    clean[..., 24:, :] += 3
    better = clean
    for steer in steers:
        better = steer(better, SamplingStep(0, 10, torch.tensor(0), 0.5, 0.5, "epsilon"))

    edge = latents[..., 8:10, :].mean(dim=(2, 3), keepdim=True)
    assert float((better - edge)[..., :6, :].mean(dim=(0, 1, 3)).abs().max()) < 0.6
    assert torch.equal(better[..., 8:, :], clean[..., 8:, :])


def test_beyond_the_old_columns_all_of_the_edge_counts(model, scene) -> None:
    """Neither a star nor what touches the corner of the old picture is a colour to preserve."""
    starry = sky().repeat(SIDE, axis=1)
    starry[:16, 40:48] = 255
    starry[:16, -6:] = 255
    image = scene_picture(scene, starry, gravel())
    request = extended(scene, image, margins=Margins(top=64, right=64))
    plan = make_plan(request, model)
    source = read_canvas_source(request, scene.blobs, plan).source
    plain = plain_edges(plan, source)
    latents = model.encode(source.pixels * 2 - 1)
    steer = plain.preserve(latents, None)[1]
    better = steer(latents, SamplingStep(0, 10, torch.tensor(0), 0.5, 0.5, "epsilon"))

    assert plain.columns == (0, 16)
    even = better[0, :, 2]
    beyond, between = even[:, 17:].mean(dim=1), even[:, 9:12].mean(dim=1)
    assert float((beyond - between).abs().max()) < 0.5
    continued = latents[0, :, 2, 17:].mean(dim=1)
    assert float((continued - between).abs().max()) > 1.5
