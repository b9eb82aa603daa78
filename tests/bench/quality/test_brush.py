"""Outlines, strokes, opacity and cores: what a perfect picture has, and what a wrong one loses."""

import numpy as np
import pytest

from tapestry_backend.bench.common.layouts import RegionLayout
from tapestry_backend.bench.common.prompts import contrasting, house
from tapestry_backend.bench.metrics.opacity import largest_step, rank_correlation
from tapestry_backend.bench.metrics.outlines import beside_outlines, within
from tapestry_backend.bench.quality.brush_shapes import (
    STROKES,
    gradients,
    outline_shapes,
    stroke,
    wash,
)
from tapestry_backend.bench.quality.colour_judge import ColourJudge
from tapestry_backend.bench.quality.foreign import foreign_scenes, foreign_share
from tapestry_backend.bench.quality.opacity import WASHES, curve, washes_curve
from tapestry_backend.bench.quality.outlines import halo, outline_layouts, perfect
from tapestry_backend.bench.quality.outlines import judged as outline_of
from tapestry_backend.bench.quality.strokes import WIDTHS_PX, stroke_layouts
from tapestry_backend.bench.quality.strokes import judged as stroke_of
from tapestry_backend.checkpoints.catalogue import SAMPLE

from ..conftest import drawn

SIDE = 128
PAIR = ("lava", "grass")


@pytest.fixture(scope="module")
def judge() -> ColourJudge:
    """Taught by drawn pictures."""
    return ColourJudge(drawn)


def two(mask: np.ndarray) -> RegionLayout:
    """Lava on grass."""
    return RegionLayout("", (mask,), PAIR[:1], PAIR[1])


def test_a_picture_cut_along_its_outlines_is_right(judge: ColourJudge) -> None:
    """Every shape, to the pixel."""
    for masks in outline_shapes(SIDE).values():
        layout = two(masks[0])
        assert outline_of(judge, layout, perfect(judge, layout)) > 0.99


@pytest.mark.parametrize(
    ("moved", "least", "most"), [(1, 0.8, 0.95), (2, 0.6, 0.85), (4, 0.3, 0.7)]
)
def test_an_outline_that_is_off_costs(judge: ColourJudge, moved, least, most) -> None:
    """The more, the further: half of what is within four pixels is wrong when it is off by four."""
    layout = two(outline_shapes(SIDE)["disc"][0])
    picture = np.roll(perfect(judge, layout), (moved, moved), axis=(0, 1))

    assert least < outline_of(judge, layout, picture) < most


def test_a_missing_shape_is_chance(judge: ColourJudge) -> None:
    """Half of what lies beside its outline is ground."""
    layout = two(outline_shapes(SIDE)["disc"][0])

    assert outline_of(judge, layout, drawn("grass", 5)) == pytest.approx(0.5, abs=0.05)


def test_a_rim_of_a_third_colour_is_found(judge: ColourJudge) -> None:
    """Two pixels of snow along the outline of lava on grass; and none."""
    layout = two(outline_shapes(SIDE)["disc"][0])
    clean = perfect(judge, layout)
    rimmed = clean.copy()
    rim = beside_outlines(layout.labels, 2)
    rimmed[rim] = drawn("snow", 12)[rim]

    assert abs(halo(judge, layout, clean)) < 0.01
    assert halo(judge, layout, rimmed) == pytest.approx(0.5, abs=0.05)


def test_distances_are_between_the_middles_of_pixels() -> None:
    """A disc around a single pixel."""
    mask = np.zeros((21, 21), dtype=bool)
    mask[10, 10] = True
    rows, columns = np.indices(mask.shape) - 10

    for distance in (1, 3.5, 8, 30):
        assert np.array_equal(within(mask, distance), np.hypot(rows, columns) <= distance)
    beside = beside_outlines(mask.astype(int), 2)
    assert np.array_equal(beside, np.hypot(rows, columns) <= 2)


def test_strokes_are_as_wide_as_they_are_called() -> None:
    """Whatever their direction."""
    for name in STROKES:
        thin, thick = (stroke(name, 256, width).sum() for width in (8, 24))
        assert thick == pytest.approx(3 * thin, rel=0.05)
        assert thin > 8 * 200


def test_a_stroke_that_shows_is_found(judge: ColourJudge) -> None:
    """All of it, at its own width."""
    for width in WIDTHS_PX:
        layout = two(stroke("wave", SIDE, width))
        found = stroke_of(judge, layout, perfect(judge, layout))
        assert found.recall > 0.99
        assert found.width == pytest.approx(1, abs=0.03)


def test_strokes_that_vanish_or_swell_are_found(judge: ColourJudge) -> None:
    """Dashes have a recall of half; a line three times as wide has all of it."""
    layout = two(stroke("wave", SIDE, 8))
    dashes = perfect(judge, layout)
    for left in range(0, SIDE, 32):
        dashes[:, left : left + 16] = drawn("grass", 6)[:, :16]
    swollen = perfect(judge, two(stroke("wave", SIDE, 24)))

    assert stroke_of(judge, layout, dashes).recall == pytest.approx(0.5, abs=0.06)
    assert stroke_of(judge, layout, dashes).width == pytest.approx(0.5, abs=0.06)
    assert stroke_of(judge, layout, swollen).recall > 0.99
    assert stroke_of(judge, layout, swollen).width > 2.5


def test_opacity_that_is_obeyed_rises_in_even_steps(judge: ColourJudge) -> None:
    """Mixed in every pixel by the mask."""
    mixture = judge.mixture(*PAIR)
    lava, grass = drawn("lava", 7), drawn("grass", 8)
    for mask in gradients(SIDE).values():
        blended = mask[..., None] * lava + (1 - mask[..., None]) * grass
        found = curve(blended.round().astype(np.uint8), mask, mixture)
        assert found.rank > 0.99
        assert found.step < 0.16
        assert found.error < 0.03


def test_a_gradient_that_becomes_a_line_has_one_large_step(judge: ColourJudge) -> None:
    """At half of the opacity."""
    mask = gradients(SIDE)["gradient"]
    found = curve(perfect(judge, two(mask > 0.5)), mask, judge.mixture(*PAIR))

    assert found.step > 0.9
    assert found.error > 0.2


def test_washes_that_all_look_alike_have_no_rank(judge: ColourJudge) -> None:
    """Lava at full strength, whatever the opacity; and washes as they should be."""
    mixture = judge.mixture(*PAIR)
    lava, grass = drawn("lava", 9), drawn("grass", 10)
    full = perfect(judge, two(wash(SIDE, 1) > 0))
    alike = washes_curve([full] * len(WASHES), mixture)
    masks = [wash(SIDE, opacity)[..., None] for opacity in WASHES]
    obeyed = washes_curve([(m * lava + (1 - m) * grass).astype(np.uint8) for m in masks], mixture)

    assert alike.rank < 0.5
    assert alike.error > 0.4
    assert obeyed.rank > 0.99
    assert obeyed.step < 0.15


def test_rank_correlation() -> None:
    """Of rising, falling, equal and tied numbers."""
    rising = np.arange(5.0)

    assert rank_correlation(rising, rising**3) == pytest.approx(1)
    assert rank_correlation(rising, -rising) == pytest.approx(-1)
    assert rank_correlation(rising, np.ones(5)) == 0
    assert 0.8 < rank_correlation(rising, np.array([0, 0, 1, 1, 1])) < 1
    assert largest_step(np.array([0, 0.1, 0.5, 0.4])) == pytest.approx(0.4)
    with pytest.raises(ValueError, match="two pairs"):
        rank_correlation(rising[:1], rising[:1])


def test_foreign_blots_are_found_in_cores_alone(judge: ColourJudge) -> None:
    """A blot beside an outline is the outline's business."""
    scene = foreign_scenes("", SIDE, 2)["hard"][1]
    layout = RegionLayout("", scene.layout.masks, PAIR[:1], PAIR[1])
    scene = type(scene)(layout, scene.cores)
    clean = perfect(judge, layout)
    blotted, ragged = clean.copy(), clean.copy()
    blotted[120:140, 120:140] = drawn("grass", 11)[:20, :20]
    ragged[scene.cores < 0] = 0

    assert foreign_share(judge, scene, clean) < 0.002
    share = foreign_share(judge, scene, blotted)
    assert share == pytest.approx(400 / (scene.cores >= 0).sum(), rel=0.1)
    assert foreign_share(judge, scene, ragged) < 0.002


def test_cores_of_gradients_are_their_outer_thirds() -> None:
    """And every scene has a core of every region."""
    scenes = foreign_scenes(SAMPLE, SIDE, 3)
    assert {kind: len(each) for kind, each in scenes.items()} == {
        "hard": 3,
        "feather": 3,
        "soft": 3,
    }
    for scene in [each for kind in scenes.values() for each in kind]:
        regions = len(scene.layout.masks) + 1
        assert {*np.unique(scene.cores)} == {-1, *range(regions)}
    cores = scenes["soft"][0].cores
    assert cores[5, 0] == 0
    assert cores[5, SIDE] == -1
    assert cores[5, -1] == 1


@pytest.mark.parametrize("model", [SAMPLE, "another"])
def test_every_scene_has_its_prompts(model: str) -> None:
    """And no two areas of one scene have the same."""
    layouts = [*outline_layouts(model, SIDE), *outline_layouts(model, SIDE, 1)]
    layouts += [each for width in WIDTHS_PX for each in stroke_layouts(model, SIDE, width, None)]
    for layout in layouts:
        prompts = (*layout.prompts, layout.background)
        assert len({*prompts}) == len(prompts) == len(layout.masks) + 1
        assert {*np.unique(layout.labels)} == {*range(len(prompts))}
    assert len({*house(model)}) == 4
    assert all(a != b for a, b in contrasting(model))
