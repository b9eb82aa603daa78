"""Regions: weights sum to one, upper layers hide lower ones, thin strokes keep their area."""

import pytest
import torch

from tapestry_backend.engine.regions import (
    THIN,
    PaintedMask,
    blend,
    feather,
    lift_thin,
    occlude,
    owners,
    weigh,
)
from tapestry_backend.engine.windows import Size

CANVAS = Size(4, 6)


def random_masks(count: int) -> list[PaintedMask]:
    """Masks of odd sizes, some reaching beyond the canvas of 32 x 48 pixels."""
    generator = torch.Generator().manual_seed(count)
    return [
        PaintedMask(-5 + 7 * i, 3 * i - 4, torch.rand(20 + i, 17 + 5 * i, generator=generator))
        for i in range(count)
    ]


@pytest.mark.parametrize("compose", [occlude, blend])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_weights_sum_to_one(compose, count: int) -> None:
    """Regions and background share every cell completely."""
    weights = compose(random_masks(count), CANVAS, 8)

    assert weights.shape == (count + 1, 4, 6)
    assert bool((weights >= 0).all())
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(4, 6))


def test_an_upper_layer_hides_a_lower_one() -> None:
    """The first mask keeps what it covers; the second shows only beside it."""
    upper = PaintedMask(0, 0, torch.ones(32, 24))
    lower = PaintedMask(0, 0, torch.full((32, 48), 255, dtype=torch.uint8))
    weights = occlude([upper, lower], CANVAS, 8)

    assert weights[0, 0].tolist() == [1, 1, 1, 0, 0, 0]
    assert weights[1, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert weights[2].sum() == 0


def test_blend_averages_where_masks_overlap() -> None:
    """Two full masks get half of each cell, as in the paper."""
    full = PaintedMask(0, 0, torch.ones(32, 48))
    weights = blend([full, full], CANVAS, 8)

    assert torch.equal(weights[:2], torch.full((2, 4, 6), 0.5))


@pytest.mark.parametrize("left", range(8))
def test_a_thin_stroke_keeps_its_area(left: int) -> None:
    """Two pixels of width are two pixels of weight, wherever they lie in their cells."""
    weights = occlude([PaintedMask(0, 8 + left, torch.ones(32, 2))], CANVAS, 8)

    assert weights[0].sum() * 64 == 64


def test_a_mask_beside_the_canvas_counts_nothing() -> None:
    """A layer that lies wholly outside leaves everything to the background."""
    weights = occlude([PaintedMask(100, -60, torch.ones(10, 10))], CANVAS, 8)

    assert weights[0].sum() == 0
    assert bool((weights[1] == 1).all())


def test_painted_opacity_is_a_weight() -> None:
    """A mask at 40 % leaves 60 % of the cell to what is underneath."""
    upper = PaintedMask(0, 0, torch.full((32, 48), 102, dtype=torch.uint8))
    weights = occlude([upper, PaintedMask(0, 0, torch.ones(32, 48))], CANVAS, 8)

    torch.testing.assert_close(weights[:, 0, 0], torch.tensor([0.4, 0.6, 0.0]))


@pytest.mark.parametrize("radius", [1, 4, 11])
def test_a_feathered_outline_is_half_way_at_the_outline(radius: int) -> None:
    """It falls from 1 to 0 over twice the radius, with the painted outline in the middle."""
    square = PaintedMask(10, 20, torch.ones(60, 60))
    soft = feather(square, radius)
    row = soft.mask[radius + 30]

    assert (soft.top_px, soft.left_px) == (10 - radius, 20 - radius)
    assert row[radius - 1 : radius + 1].mean() == pytest.approx(0.5)
    assert float(row[2 * radius]) == pytest.approx(1, abs=0.02)
    assert float(row[0]) < 0.1
    assert bool((row[: radius + 30].diff() >= -1e-6).all())
    assert float(soft.mask.sum()) == pytest.approx(3600, rel=0.02)


def test_without_a_radius_nothing_is_feathered() -> None:
    """The mask itself comes back."""
    square = PaintedMask(0, 0, torch.ones(6, 6))

    assert feather(square, 0) is square


@pytest.mark.parametrize("width", [1, 2, 3])
def test_strokes_thinner_than_a_cell_are_lifted(width: int) -> None:
    """A stroke of one pixel counts half of its cells; the sum stays 1 everywhere."""
    stroke = PaintedMask(0, 12, torch.ones(32, width))
    lower = PaintedMask(0, 0, torch.ones(32, 30))
    weights = lift_thin(occlude([stroke, lower], CANVAS, 8))

    assert float(weights[0].max()) == pytest.approx(THIN)
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(4, 6))
    assert weights[1, 0].tolist() == pytest.approx([1, 0.5, 1, 0.75, 0, 0])


def test_two_dots_on_one_cell_share_it() -> None:
    """Neither takes more than there is."""
    dots = [PaintedMask(0, 0, torch.ones(2, 2)), PaintedMask(4, 4, torch.ones(2, 2))] * 2
    weights = lift_thin(occlude(dots, CANVAS, 8))

    torch.testing.assert_close(weights.sum(dim=0), torch.ones(4, 6))
    assert bool((weights >= 0).all())


def test_regions_that_are_wide_enough_are_not_lifted() -> None:
    """And a hidden one stays hidden."""
    full = PaintedMask(0, 0, torch.ones(32, 48))
    weights = occlude([full, full], CANVAS, 8)

    assert torch.equal(lift_thin(weights), weights)


def test_a_weight_decides_where_regions_share_cells() -> None:
    """Thrice the weight is thrice the say; where a region is alone, nothing changes."""
    half = PaintedMask(0, 0, torch.full((32, 16), 0.5))
    weights = weigh(occlude([half], CANVAS, 8), [3.0])

    assert weights[0, 0].tolist() == pytest.approx([0.75, 0.75, 0, 0, 0, 0])
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(4, 6))


def test_every_cell_has_one_owner_and_every_region_a_cell() -> None:
    """The strongest owns a cell; one that is nowhere the strongest owns its own strongest cell."""
    stroke = PaintedMask(8, 17, torch.ones(2, 3))
    lower = PaintedMask(0, 0, torch.ones(32, 30))
    owned = owners(occlude([stroke, lower], CANVAS, 8))

    assert bool((owned.sum(dim=0) == 1).all())
    assert torch.nonzero(owned[0]).tolist() == [[1, 2]]
    assert owned[1, 0].tolist() == [True, True, True, True, False, False]
