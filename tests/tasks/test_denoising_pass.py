"""Painting with the settings of a request and its regions: each does what it says, no more."""

from dataclasses import replace

import numpy as np
import pytest

from tapestry_protocol.messages import Expert, Request, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels

STEPS = 4
LEFT, RIGHT = Bounds(0, 0, 128, 64), Bounds(0, 64, 128, 128)


def colours(pixels: Pixels) -> np.ndarray:
    """[H, W, 3] float."""
    rgba = np.frombuffer(pixels.data, np.uint8).reshape(pixels.height, pixels.width, 4)
    return rgba[..., :3].astype(float)


def alpha(pixels: Pixels) -> np.ndarray:
    """[H, W] uint8."""
    return np.frombuffer(pixels.data, np.uint8).reshape(pixels.height, pixels.width, 4)[..., 3]


def grainy(height: int, width: int, seed: int = 0) -> Pixels:
    """An opaque picture of random pixels around green."""
    random = np.random.default_rng(seed)
    rgba = np.full((height, width, 4), (40, 140, 60, 255), dtype=np.uint8)
    rgba[..., :3] += random.integers(0, 40, (height, width, 3), dtype=np.uint8)
    return Pixels(height, width, 4, rgba.tobytes())


def selection(scene, bounds: Bounds) -> Selection:
    """Everything inside the bounds."""
    return Selection(bounds, scene.region("", bounds).mask)


@pytest.mark.parametrize("task", ["refine", "fill"])
def test_only_the_selection_is_painted(paint, scene, task: str) -> None:
    """The result is opaque there and empty elsewhere, at any size and place."""
    bounds = Bounds(30, 50, 99, 171)
    request = Request(
        task,
        150,
        220,
        prompt="red bricks",
        image=scene.add(grainy(150, 220)),
        selection=selection(scene, bounds),
        num_inference_steps=STEPS,
    )
    finished = paint(request)
    chosen = np.zeros((150, 220), dtype=bool)
    chosen[30:99, 50:171] = True

    assert finished.bounds == Bounds(0, 0, 150, 220)
    assert np.array_equal(alpha(finished.pixels), np.where(chosen, 255, 0))


def test_the_strength_of_refining_is_how_much_changes(paint, scene) -> None:
    """From hardly anything to everything."""
    picture = grainy(128, 128)
    changes = []
    for strength in (0.1, 0.5, 1.0):
        request = Request(
            "refine",
            128,
            128,
            prompt="lava",
            image=scene.add(picture),
            selection=selection(scene, Bounds(0, 0, 128, 128)),
            strength=strength,
            num_inference_steps=10,
        )
        changes.append(np.abs(colours(paint(request).pixels) - colours(picture)).mean())

    assert changes[0] < 0.5 * changes[1] < 0.5 * changes[2]


def test_filling_needs_only_the_windows_that_see_the_selection(paint, scene) -> None:
    """A spot in a large picture costs one window."""
    request = Request(
        "fill",
        256,
        512,
        prompt="snow",
        image=scene.add(grainy(256, 512)),
        selection=selection(scene, Bounds(100, 300, 140, 340)),
        num_inference_steps=STEPS,
    )

    assert paint(request).report["unet_evaluations"] <= 2 * STEPS


def test_a_filled_spot_meets_what_is_around_it(paint, scene) -> None:
    """With its own prompt the border of the selection is not seen as a step of colour."""
    rgba = np.full((128, 128, 4), (90, 150, 220, 255), dtype=np.uint8)
    request = Request(
        "fill",
        128,
        128,
        prompt="blue sky",
        image=scene.add(Pixels(128, 128, 4, rgba.tobytes())),
        selection=selection(scene, Bounds(40, 40, 88, 88)),
        num_inference_steps=10,
    )
    inside = colours(paint(request).pixels)[40:88, 40:88]
    ring = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])

    assert np.abs(ring - (90, 150, 220)).mean() < 12


def test_a_region_of_strength_0_keeps_its_paint_to_the_bit(paint, scene) -> None:
    """And one of strength 1 takes nothing from it."""
    picture = grainy(128, 64)
    region = replace(scene.region("lava", LEFT), paint=scene.add(picture), strength=0.0)
    request = Request(
        "generate", 128, 128, prompt="snow", regions=(region,), num_inference_steps=STEPS
    )
    ignored = replace(request, regions=(replace(region, strength=1.0),))
    without = replace(request, regions=(replace(region, strength=1.0, paint=None),))

    assert np.array_equal(colours(paint(request).pixels)[:, :64], colours(picture))
    assert paint(ignored).pixels.data == paint(without).pixels.data


def test_a_region_of_some_strength_starts_from_its_paint(paint, scene) -> None:
    """The weaker, the nearer its colours stay to what was painted; its neighbour is free."""
    picture = grainy(128, 64)
    distances = []
    for strength in (0.2, 0.4, 1.0):
        region = replace(scene.region("lava", LEFT), paint=scene.add(picture), strength=strength)
        request = Request(
            "generate", 128, 128, prompt="snow", regions=(region,), num_inference_steps=10
        )
        painted = colours(paint(request).pixels)
        distances.append(np.abs(painted[:, :60] - colours(picture)[:, :60]).mean())
        assert painted[:, 70:].mean() > 150

    assert distances == sorted(distances)
    assert distances[0] < 0.5 * distances[2]


def test_a_region_with_a_seed_of_its_own_keeps_its_look(paint, scene) -> None:
    """When picture and neighbour change, it changes much less than with another seed."""

    def painted(own: int, seed: int, neighbour: str) -> np.ndarray:
        regions = (
            replace(scene.region("red bricks", LEFT), seed=own),
            scene.region(neighbour, RIGHT),
        )
        request = Request("generate", 128, 128, regions=regions, seed=seed, num_inference_steps=10)
        return colours(paint(request).pixels)[:, :56]

    first = painted(5, 1, "snow")
    kept = np.abs(painted(5, 2, "green grass") - first).mean()
    other = np.abs(painted(6, 1, "snow") - first).mean()

    assert kept < 0.5 * other


@pytest.mark.parametrize("weighting", ["linear", "flat", "gaussian"])
@pytest.mark.parametrize("windows", ["overlap", "shift"])
def test_every_kind_of_window_paints_the_whole_canvas(paint, windows: str, weighting: str) -> None:
    """No place is left as it began: noise decodes to something far from what was asked for."""
    request = Request(
        "generate",
        128,
        400,
        prompt="snow",
        expert=Expert(windows=windows, window_weighting=weighting),
        num_inference_steps=8,
    )
    columns = colours(paint(request).pixels).mean(axis=(0, 2))

    assert columns.min() > 150


def test_moving_windows_cost_less(paint) -> None:
    """Side by side they are about half as many."""
    request = Request("generate", 128, 1024, prompt="snow", num_inference_steps=6)
    fixed = paint(request).report["unet_evaluations"]
    moving = paint(replace(request, expert=Expert(windows="shift"))).report["unet_evaluations"]

    assert moving < 0.75 * fixed


def test_thirty_two_regions(paint, scene) -> None:
    """As many as there may be, each with something to say."""
    regions = tuple(
        scene.region("lava" if i % 2 else "snow", Bounds(0, 16 * i, 128, 16 * i + 16))
        for i in range(32)
    )
    request = Request("generate", 128, 512, regions=regions, num_inference_steps=8)
    painted = colours(paint(request).pixels)[..., 2]
    stripes = painted.reshape(128, 32, 16).mean(axis=(0, 2))

    assert stripes[::2].min() > stripes[1::2].max()


def test_a_draft_is_told_and_paid_for(paint, model_cache, scene) -> None:
    """Its steps come first; then the canvas starts from it and takes fewer."""
    from tapestry_backend.tasks.run import run

    request = Request("generate", 256, 256, prompt="green hills", num_inference_steps=10)
    *events, finished = run(request, scene.blobs, model_cache)
    steps = [(event.stage, event.step, event.steps) for event in events if event.step]
    drafted = [step for step in steps if step[0] == "drafting"]
    painted = [step for step in steps if step[0] == "denoising"]

    assert drafted == [("drafting", number, 10) for number in range(1, 11)]
    assert painted == [("denoising", i + 1, len(painted)) for i in range(len(painted))]
    assert len(painted) < 10
    assert finished.report["unet_evaluations"] == 2 * (10 + 9 * len(painted))
    assert finished.report["plan"]["draft"]["size"] == (16, 16)


def test_a_picture_of_small_regions_needs_no_draft(paint, scene) -> None:
    """What the artist placed has its place; only the background is higher than a window."""
    tops = [Bounds(64 * i, 0, 64 * i + 64, 256) for i in range(4)]
    regions = tuple(scene.region("snow" if i % 2 else "lava", b) for i, b in enumerate(tops))
    request = Request("generate", 256, 256, regions=regions, num_inference_steps=2)

    assert paint(request).report["seconds"]["decode"] > 0
    assert paint(request).pixels.data == paint(replace(request, composition=0.0)).pixels.data


def test_an_extension_may_lie_underneath_the_old_picture(paint, scene) -> None:
    """The result goes on below the old edge; what is opaque there is the old picture itself."""
    picture = grainy(128, 128)
    request = Request(
        "extend",
        128,
        128,
        prompt="snow",
        margins=Margins(right=40),
        image=scene.add(picture),
        under_px=12,
        num_inference_steps=STEPS,
    )
    finished = paint(request).pixels

    assert (alpha(finished) == 255)[0].tolist() == [False] * 116 + [True] * 52
    assert np.array_equal(colours(finished)[:, 116:128], colours(picture)[:, 116:])


def test_the_artist_is_told_of_a_region_that_will_not_show(paint, scene) -> None:
    """In the report, in words."""
    request = Request(
        "generate",
        128,
        128,
        prompt="snow",
        regions=(scene.region("lava", Bounds(3, 3, 5, 5)),),
        num_inference_steps=1,
    )

    assert "“lava” is too small" in paint(request).report["notices"][0]
