"""Small canvases, extensions and speeds: what is whole and goes on, and what is cut off."""

import numpy as np
import pytest

from tapestry_backend.bench.common.layouts import RegionLayout
from tapestry_backend.bench.quality.colour_judge import ColourJudge
from tapestry_backend.bench.quality.extension import SIDES, continued, ground_layouts, margins_at
from tapestry_backend.bench.quality.outlines import perfect
from tapestry_backend.bench.quality.scene_parts import BOTTOM, MIDDLE, TOP, SceneParts
from tapestry_backend.bench.quality.seams import box_ratio, pasted
from tapestry_backend.bench.quality.small_canvas import SIZES, small_sizes
from tapestry_backend.bench.quality.speed_detail import ratios
from tapestry_backend.checkpoints.catalogue import SAMPLE
from tapestry_protocol.pixels import Bounds

from ..conftest import drawn

SIDE = 128
NAMES = ("grass", "lava", "snow", "sky")


@pytest.fixture(scope="module")
def judge() -> ColourJudge:
    """Taught by drawn pictures."""
    return ColourJudge(drawn)


def view(prompt: str, seed: int) -> np.ndarray:
    """A drawn scene: sky, snow and grass."""
    assert prompt == "hills"
    rows = (("sky", 50), ("snow", 40), ("grass", SIDE - 90))
    return np.concatenate([drawn(name, seed + i)[:height] for i, (name, height) in enumerate(rows)])


def test_a_scene_with_its_top_and_bottom_is_whole() -> None:
    """Also a low one; what is cut off below, above or stands on its head is not."""
    parts = SceneParts(view)
    picture = view("hills", 9)

    assert parts.is_whole(picture, "hills")
    assert parts.is_whole(picture[::2], "hills")
    assert not parts.is_whole(picture[:50], "hills")
    assert not parts.is_whole(picture[-38:], "hills")
    assert not parts.is_whole(picture[-60:], "hills")
    assert not parts.is_whole(picture[::-1], "hills")
    seen = parts.name(picture, "hills")
    for part, rows in ((TOP, slice(0, 40)), (MIDDLE, slice(64, 80)), (BOTTOM, slice(95, None))):
        assert (seen[rows] == part).mean() > 0.9


def test_small_canvases_are_smaller_than_a_window() -> None:
    """On one side at least, but for the whole window that they are compared with."""
    sizes = small_sizes(SIDE, 8)

    assert sizes[:4] == [(80, 256), (64, 256), (256, 80), (96, 160)]
    assert all(min(size) < SIDE for size in sizes[:-1])
    assert all(side % 8 == 0 for size in small_sizes(64, 8) for side in size)
    assert len(sizes) == len(SIZES)


def named(layout: RegionLayout) -> RegionLayout:
    """The same with the prompts of drawn pictures."""
    names = NAMES if len(layout.masks) < 4 else (*NAMES[:3], "sky", "lava")
    return RegionLayout(
        layout.name, layout.masks, names[: len(layout.masks)], names[len(layout.masks)]
    )


@pytest.mark.parametrize("where", SIDES)
def test_ground_that_goes_on_is_right(judge: ColourJudge, where: str) -> None:
    """On each side, what lies at the edge is carried on."""
    margins = margins_at(where, 64)
    around = ((margins.top, margins.bottom), (margins.left, margins.right))
    for layout in ground_layouts(SAMPLE, SIDE)[:2]:
        drawn_layout = named(layout)
        masks = tuple(np.pad(mask, around, mode="edge") for mask in layout.masks)
        extended = RegionLayout("", masks, drawn_layout.prompts, drawn_layout.background)
        found = continued(judge, drawn_layout, perfect(judge, extended), margins)
        assert [s for s in (found.regions, found.background) if s is not None]
        assert all(s > 0.99 for s in (found.regions, found.background) if s is not None)


def test_ground_that_is_cut_off_at_the_old_edge_is_found(judge: ColourJudge) -> None:
    """As a lawn that ends in the sky."""
    layout = named(ground_layouts(SAMPLE, SIDE)[0])
    sky = drawn(layout.background, 5)[:, :64]
    picture = np.concatenate([perfect(judge, layout), sky], axis=1)
    found = continued(judge, layout, picture, margins_at("right", 64))

    assert found.regions < 0.01
    assert found.background > 0.99


def test_the_old_picture_does_not_count(judge: ColourJudge) -> None:
    """Only what is new."""
    layout = named(ground_layouts(SAMPLE, SIDE)[1])
    extended = np.pad(perfect(judge, layout), ((0, 64), (0, 0), (0, 0)), mode="edge")
    before = continued(judge, layout, extended, margins_at("bottom", 64))
    extended[:SIDE] = 0

    assert continued(judge, layout, extended, margins_at("bottom", 64)) == before
    assert before.regions > 0.95


def test_a_boxs_outline_is_found(smooth) -> None:
    """A box that is a little brighter than what lies around it; and none."""
    picture = smooth(128, 256)
    box = Bounds(35, 83, 99, 147)
    plain = box_ratio(picture, box, 8)
    brighter = picture.astype(int)
    brighter[box.top : box.bottom, box.left : box.right] += 25

    assert box_ratio(brighter.clip(0, 255), box, 8) > plain + 0.3
    assert plain == pytest.approx(1, abs=0.25)


def test_a_layer_is_pasted_by_its_opacity() -> None:
    """Nothing, half and all of it."""
    old, new = np.full((1, 3, 4), 100, np.uint8), np.full((1, 3, 4), 200, np.uint8)
    new[0, :, 3] = (0, 128, 255)

    assert pasted(old, new)[0, :, 0].tolist() == [100, 150, 200]


def test_detail_is_compared_prompt_by_prompt() -> None:
    """The mean of ratios, and the prompt that loses most."""
    energies = {
        "single": [1.0, 2.0],
        "quality": [1.0, 2.0],
        "balanced": [1.0, 0.5],
        "fast": [0.1, 0.2],
    }
    figures, _ = ratios(energies)

    assert figures["quality"] == pytest.approx(1)
    assert figures["balanced"] == pytest.approx(0.5)
    assert figures["worst_balanced"] == pytest.approx(0.25)
    assert figures["fast"] == pytest.approx(0.1)
    assert figures["worst_fast"] == pytest.approx(0.1)
