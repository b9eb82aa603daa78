"""Region adherence: pictures that obey, that do not, and what is left out."""

import itertools

import numpy as np
import pytest

from tapestry_backend.bench.common.layouts import RegionLayout, make_layouts
from tapestry_backend.bench.quality.adherence import measure, obedience
from tapestry_backend.bench.quality.judge import Judge

SIDE = 128
PROMPTS = tuple("abcdefghi")
COLOURS = np.array([*itertools.product((50, 200), repeat=3), (125, 125, 125)])


def texture(number: int, height: int, width: int) -> np.ndarray:
    """What the "model" paints for a prompt: its colour in noise, uint8 [H, W, 3]."""
    noise = np.random.default_rng(number).normal(scale=6, size=(height, width, 3))
    return (COLOURS[number] + noise).clip(0, 255).astype(np.uint8)


def painted(layout: RegionLayout, labels: np.ndarray) -> np.ndarray:
    """A picture that shows, at each label, the texture of that area's prompt."""
    picture = np.zeros((layout.height, layout.width, 3), np.uint8)
    for number, prompt in enumerate((*layout.prompts, layout.background)):
        inside = labels == number
        picture[inside] = texture(PROMPTS.index(prompt), *labels.shape)[inside]
    return picture


@pytest.fixture(scope="module")
def judge() -> Judge:
    """A judge of the textures."""
    plain = np.array([[texture(k, SIDE, SIDE)] * 2 for k in range(len(PROMPTS))])
    return Judge.taught(plain, PROMPTS, seed=0, steps=120)


@pytest.fixture(scope="module")
def layouts() -> list[RegionLayout]:
    """All layouts of the benchmark."""
    return make_layouts(PROMPTS, SIDE)


def test_pictures_that_obey_have_an_iou_of_one(judge: Judge, layouts: list[RegionLayout]) -> None:
    """Painted exactly as the masks say."""
    found = measure(lambda layout, _: painted(layout, layout.labels), layouts, judge, SIDE)

    assert found.mean > 0.98
    assert found.large > 0.98
    assert found.thin > 0.95
    assert found.upper_wins > 0.98


def test_moved_swapped_and_missing_regions_are_found(
    judge: Judge, layouts: list[RegionLayout]
) -> None:
    """By half a window to the side, in each other's place, or not at all."""
    boxes = next(layout for layout in layouts if layout.name == "2x3 boxes")
    nothing = np.full_like(boxes.labels, len(boxes.masks))
    swapped = boxes.labels.copy()
    swapped[boxes.labels == 0], swapped[boxes.labels == 1] = 1, 0

    def mean(labels: np.ndarray) -> float:
        return obedience(painted(boxes, labels), boxes, judge, SIDE).mean

    assert mean(np.roll(boxes.labels, 64, axis=1)) < 0.6
    assert mean(swapped) < 0.75
    assert mean(nothing) < 0.2


def test_a_missing_stroke_is_found_in_the_thin_figure(
    judge: Judge, layouts: list[RegionLayout]
) -> None:
    """And hardly in the mean, which is why there are two."""
    thin = [layout for layout in layouts if layout.thin]
    found = measure(
        lambda layout, _: painted(layout, np.full_like(layout.labels, len(layout.masks))),
        thin,
        judge,
        SIDE,
    )

    assert found.thin < 0.05


def test_an_edge_that_is_off_by_little_costs_nothing(
    judge: Judge, layouts: list[RegionLayout]
) -> None:
    """Patches across an edge are left out; an edge that is off by three cells shows."""
    halves = next(layout for layout in layouts if layout.name == "1x1 halves")

    def mean(pixels: int) -> float:
        moved = np.zeros_like(halves.labels)
        moved[:, 64 + pixels :] = 1
        return obedience(painted(halves, moved), halves, judge, SIDE).mean

    assert mean(2) > 0.98
    assert mean(24) < 0.9


def test_overlaps_count_apart(judge: Judge, layouts: list[RegionLayout]) -> None:
    """What shows where masks overlap is in `upper_wins`, and in nothing else."""
    overlap = next(layout for layout in layouts if layout.name == "2x3 overlap")
    lower = overlap.labels.copy()
    for number, mask in enumerate(overlap.masks):
        lower[mask & overlap.overlap] = number  # the last, and so the lowest, stays

    found = obedience(painted(overlap, lower), overlap, judge, SIDE)
    assert found.mean > 0.98
    assert found.upper_wins is not None
    assert found.upper_wins < 0.2


def test_areas_are_in_windows(judge: Judge, layouts: list[RegionLayout]) -> None:
    """A quarter of one window is what counts as large."""
    quarters = next(layout for layout in layouts if layout.name == "1x1 quarters")
    found = obedience(painted(quarters, quarters.labels), quarters, judge, SIDE)

    assert found.areas == {0: 0.25, 1: 0.25, 2: 0.25, 3: 0.25, 4: 0}
    assert set(found.ious) == {0, 1, 2, 3}
