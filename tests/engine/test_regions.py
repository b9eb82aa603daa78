"""Regions: weights sum to one, upper layers hide lower ones, thin strokes keep their area."""

import pytest
import torch

from tapestry_backend.engine.regions import PaintedMask, blend, occlude
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
