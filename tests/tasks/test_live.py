"""Live painting: what did not change stays, to the pixel, and is not computed."""

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tapestry_backend.engine.layers import MARGIN
from tapestry_backend.tasks.events import Finished
from tapestry_backend.tasks.live import LivePasses
from tapestry_backend.tasks.run import run
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Region, Request
from tapestry_protocol.pixels import Bounds, Pixels

_CELL_PX = 8

Paint = Callable[[Request], Finished]


@pytest.fixture
def live(model_cache, scene) -> Paint:
    """Paint requests one after the other, as a worker does."""
    passes = LivePasses()

    def paint_it(request: Request) -> Finished:
        *_, finished = run(request, scene.blobs, model_cache, passes)
        assert isinstance(finished, Finished)
        return finished

    return paint_it


def asked(*regions: Region, live: str = "document", **fields: Any) -> Request:
    """A small live request."""
    chosen = {"prompt": "sand", "num_inference_steps": 2, **fields}
    return Request("generate", 128, 192, regions=regions, live=live, **chosen)


def colours(finished: Finished) -> np.ndarray:
    """uint8 [H, W, 3]."""
    pixels = finished.pixels
    return np.frombuffer(pixels.data, np.uint8).reshape(pixels.height, pixels.width, 4)[..., :3]


def changed(one: Finished, other: Finished) -> Bounds:
    """Where two pictures differ by more than a decoder's rounding."""
    differ = np.abs(colours(one).astype(int) - colours(other)).max(axis=-1) > 2
    rows, columns = (np.flatnonzero(differ.any(axis=axis)) for axis in (1, 0))
    return Bounds(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def test_the_first_pass_is_the_picture_that_is_not_live(live, paint, scene) -> None:
    """Being live costs no quality."""
    house = scene.region("a red house", Bounds(32, 32, 80, 80))

    first = live(asked(house))

    assert first.pixels == paint(asked(house, live="")).pixels
    assert first.report["live"] == {"painted": 1.0}


def test_the_first_pass_meets_preserved_paint_as_a_picture_that_is_not_live(
    live, paint, scene
) -> None:
    """Loose paint that is nothing but itself is known: what is beside it is matched to it."""
    rgba = np.full((64, 64, 4), (200, 40, 30, 255), np.uint8)
    wall = replace(
        scene.region("red bricks", Bounds(32, 32, 96, 96)),
        fit="loose",
        strength=0.0,
        paint=scene.add(Pixels(64, 64, 4, rgba.tobytes())),
    )
    house = scene.region("a red house", Bounds(40, 90, 100, 140))
    first = live(asked(wall, house))
    plain = paint(replace(asked(wall, house), live=""))
    assert first.pixels.data == plain.pixels.data


def test_the_bundled_model_is_quick(live, paint, scene) -> None:
    """By its LoRA, in four steps of one row each: as if all of that had been asked for."""
    house = scene.region("a red house", Bounds(32, 32, 80, 80))
    quick = live(asked(replace(house, guidance_scale=7.0), quick=True))
    laid = (Lora("sample-quick", 1.0),)
    by_hand = asked(house, live="", loras=laid, num_inference_steps=4, guidance_scale=1.0)
    assert quick.pixels == paint(by_hand).pixels
    slow = live(asked(house, num_inference_steps=4))
    assert slow.report["unet_evaluations"] == 2 * quick.report["unet_evaluations"]


def test_nothing_is_painted_where_nothing_changed(live, scene) -> None:
    """The picture is there already."""
    house = scene.region("a red house", Bounds(32, 32, 80, 80))
    first = live(asked(house))

    again = live(asked(house))

    assert again.pixels == first.pixels
    assert again.report["unet_evaluations"] == 0
    assert again.report["live"] == {"painted": 0.0}


def test_what_is_undone_comes_back_as_it_was(live, scene) -> None:
    """Also two strokes back; and from there a stroke goes on from what is shown then."""
    houses = [scene.region("a red house", Bounds(32, 32, 80, right)) for right in (80, 96, 112)]
    pictures = [live(asked(house)) for house in houses]

    for number in (1, 0, 2, 1):
        again = live(asked(houses[number]))
        assert again.pixels == pictures[number].pixels
        assert again.report["unet_evaluations"] == 0

    boat = scene.region("a boat", Bounds(8, 136, 24, 160))
    on = live(asked(boat, houses[1]))
    assert changed(pictures[1], on).left >= 136 - 2 * MARGIN * _CELL_PX


def test_a_stroke_paints_itself_and_what_is_around_it(live, scene) -> None:
    """The sea a few strokes away does not move."""
    sea = scene.region("the sea", Bounds(64, 0, 128, 192))
    first = live(asked(scene.region("a boat", Bounds(80, 16, 96, 40)), sea))

    wider = live(asked(scene.region("a boat", Bounds(80, 16, 96, 64)), sea))

    reach = 2 * MARGIN * _CELL_PX
    there = Bounds(80, 40, 96, 64)
    seen = changed(first, wider)
    around = Bounds(80 - reach, 40 - reach, 96 + reach, 64 + reach)
    assert seen.intersection(there) == there
    assert seen.intersection(around) == seen
    assert wider.report["unet_evaluations"] < first.report["unet_evaluations"]
    assert 0 < wider.report["live"]["painted"] < 0.5


def test_a_layer_that_goes_leaves_the_rest_alone(live, scene) -> None:
    """What lay under it comes back there."""
    boat = scene.region("a boat", Bounds(96, 8, 120, 32))
    sea = scene.region("the sea", Bounds(64, 0, 128, 192))
    with_boat = live(asked(boat, sea))

    without = live(asked(sea))

    assert changed(with_boat, without).right <= 32 + 2 * MARGIN * _CELL_PX


def test_a_new_name_paints_the_layer_anew(live, scene) -> None:
    """Other layers do not change."""
    bounds = Bounds(96, 8, 120, 32)
    boat = live(asked(scene.region("a boat", bounds)))

    house = live(asked(scene.region("a house", bounds)))

    assert changed(boat, house).intersection(bounds) == bounds
    assert house.report["live"]["painted"] < 0.5


def test_new_colours_of_kept_paint_are_painted(live, scene) -> None:
    """Only where the layer's colours are others."""
    bounds = Bounds(64, 64, 128, 128)

    def painted(colour: int) -> Region:
        region = scene.region("a boat", bounds)
        paint = np.full((64, 64, 4), 255, np.uint8)
        paint[32:, :32, :3] = colour
        pixels = Pixels(64, 64, 4, paint.tobytes())
        return replace(region, strength=0.5, paint=scene.add(pixels))

    first = live(asked(painted(200)))

    other = live(asked(painted(20)))

    assert 0 < other.report["live"]["painted"] < 0.5
    assert changed(first, other).top >= 96 - 2 * MARGIN * _CELL_PX


@pytest.mark.parametrize(
    "fields",
    [{"seed": 1}, {"num_inference_steps": 3}, {"prompt": "snow"}, {"live": "another"}],
)
def test_what_changes_everything_paints_everything(live, scene, fields: dict[str, Any]) -> None:
    """Seed, steps and background belong to every cell."""
    house = scene.region("a red house", Bounds(32, 32, 80, 80))
    live(asked(house))

    assert live(asked(house, **fields)).report["live"] == {"painted": 1.0}


def test_another_picture_lets_the_last_pass_go(live, scene) -> None:
    """Its memory is that of several pictures."""
    house = scene.region("a red house", Bounds(32, 32, 80, 80))
    live(asked(house))
    live(asked(house, live=""))

    assert live(asked(house)).report["live"] == {"painted": 1.0}


def test_a_change_of_nearly_all_paints_all(live, scene) -> None:
    """Nothing is left that could be kept."""
    live(asked(scene.region("the sea", Bounds(0, 0, 128, 192))))

    lawn = live(asked(scene.region("a lawn", Bounds(0, 0, 128, 192))))

    assert lawn.report["live"] == {"painted": 1.0}


def test_a_pass_that_was_stopped_changes_nothing_for_the_next(live, model_cache, scene) -> None:
    """The next one paints what changed since the last that was finished."""
    passes = LivePasses()
    small, large = (scene.region("a boat", Bounds(96, 8, 120, right)) for right in (32, 56))
    *_, first = run(asked(small), scene.blobs, model_cache, passes)
    stopped: Any = run(asked(large), scene.blobs, model_cache, passes)
    for event in stopped:
        if not isinstance(event, Finished) and event.stage == "denoising" and event.step == 1:
            break
    stopped.close()

    *_, again = run(asked(large), scene.blobs, model_cache, passes)

    assert isinstance(first, Finished)
    assert isinstance(again, Finished)
    live(asked(small))
    assert again.pixels == live(asked(large)).pixels


@pytest.mark.parametrize("fields", [{"task": "extend"}, {"layered": True}])
def test_only_whole_pictures_are_painted_live(live, scene, fields: dict[str, Any]) -> None:
    """A fill knows by itself what stays."""
    request = replace(asked(scene.region("a house", Bounds(0, 0, 64, 64))), **fields)

    with pytest.raises(TapestryError, match="is painted live"):
        live(request)


def test_canvases_that_wrap_go_on_around_the_edge(live, scene) -> None:
    """Left and right edge are neighbours there, for a stroke as well."""
    stroke = scene.region("a boat", Bounds(32, 168, 64, 192))
    empty = live(asked(wrap=True))

    there = live(asked(stroke, wrap=True))

    seen = np.abs(colours(empty).astype(int) - colours(there)).max(axis=-1) > 2
    assert seen[:, :8].any()
    assert not seen[:, 80:110].any()


def test_a_preview_shows_the_last_picture_around_what_is_painted(model_cache, scene) -> None:
    """So nothing flickers while a stroke is painted."""
    passes = LivePasses()
    boat, wider = (scene.region("a boat", Bounds(96, 8, 120, right)) for right in (32, 56))
    *_, first = run(asked(boat), scene.blobs, model_cache, passes)
    assert isinstance(first, Finished)

    previews = [
        event.preview()
        for event in run(asked(wider), scene.blobs, model_cache, passes)
        if not isinstance(event, Finished) and event.preview
    ]

    shown = np.frombuffer(previews[0].data, np.uint8).reshape(128, 192, 4)[..., :3]
    assert (previews[0].height, previews[0].width) == (128, 192)
    assert np.array_equal(shown[:, 128:], colours(first)[:, 128:])
    assert not np.array_equal(shown[96:120, 32:56], colours(first)[96:120, 32:56])


def test_scribbling_on_leaves_nothing_behind(live, scene) -> None:
    """The last few passes are kept, and no more."""

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    held = []
    for number in range(12):
        live(asked(scene.region("a boat", Bounds(96, 8, 120, 32 + 8 * number))))
        held.append(tensors())

    assert held[-1] == held[5]
