"""Regions go on beyond extended edges as they are there, unless paint beyond the edge says more."""

import pytest
import torch

from tapestry_backend.tasks.region_extension import RegionMask, continue_regions
from tapestry_protocol.pixels import Bounds

OLD = Bounds(0, 0, 64, 96)
NEAR = 8


def filled(top: int, left: int, bottom: int, right: int, alpha: int = 255) -> RegionMask:
    """A region that fills a rectangle."""
    bounds = Bounds(top, left, bottom, right)
    return RegionMask(torch.full((bounds.height, bounds.width), alpha, dtype=torch.uint8), bounds)


def on_canvas(region: RegionMask, new: Bounds) -> torch.Tensor:
    """What lies on the extended canvas, uint8 [H, W]."""
    canvas = torch.zeros(new.height, new.width, dtype=torch.uint8)
    common = region.bounds.intersection(new)
    own = common.moved(-region.bounds.top, -region.bounds.left)
    there = common.moved(-new.top, -new.left)
    part = region.mask[own.top : own.bottom, own.left : own.right]
    canvas[there.top : there.bottom, there.left : there.right] = part
    return canvas


@pytest.mark.parametrize(
    ("region", "new", "covered"),
    [
        (filled(40, 0, 64, 96), Bounds(0, -80, 64, 176), Bounds(40, -80, 64, 176)),
        (filled(40, 0, 64, 96), Bounds(-50, 0, 64, 96), Bounds(40, 0, 64, 96)),
        (filled(40, 0, 64, 96), Bounds(0, 0, 104, 96), Bounds(40, 0, 104, 96)),
        (filled(0, 0, 30, 96), Bounds(-70, 0, 64, 96), Bounds(-70, 0, 30, 96)),
        (filled(0, 0, 30, 96), Bounds(-70, -9, 64, 100), Bounds(-70, -9, 30, 100)),
        (filled(10, 10, 50, 80), Bounds(-64, -64, 128, 160), Bounds(10, 10, 50, 80)),
    ],
)
def test_a_region_goes_on_at_each_edge_that_it_touches(
    region: RegionMask, new: Bounds, covered: Bounds
) -> None:
    """As a band to the new edge, into the corners too, and nowhere else."""
    (extended,) = continue_regions([region], OLD, new, NEAR)

    expected = on_canvas(filled(*vars(covered).values()), new)
    assert torch.equal(on_canvas(extended, new), expected)


def test_a_region_goes_on_as_it_is_at_the_edge() -> None:
    """Row by row, as opaque as it is there; a brush's soft rim is not what it is."""
    mask = torch.zeros(64, 96, dtype=torch.uint8)
    mask[10:20, :], mask[30:40, :90], mask[50:60, :96] = 255, 200, 180
    mask[30:40, 90:] = torch.tensor([150, 110, 70, 40, 20, 5], dtype=torch.uint8)
    (extended,) = continue_regions(
        [RegionMask(mask, Bounds(0, 0, 64, 96))], OLD, Bounds(0, 0, 64, 200), NEAR
    )
    beyond = on_canvas(extended, Bounds(0, 0, 64, 200))[:, 96:]

    assert beyond[15].unique().tolist() == [255]
    assert beyond[35].unique().tolist() == [200]
    assert beyond[55].unique().tolist() == [180]
    assert beyond[25].unique().tolist() == [0]
    assert torch.equal(on_canvas(extended, OLD), mask), "inside nothing changes"


def test_a_brush_that_ran_over_the_edge_says_nothing() -> None:
    """Paint some pixels beyond the edge is no end of a region."""
    new = Bounds(0, 0, 64, 296)
    (extended,) = continue_regions([filled(40, 10, 64, 140)], OLD, new, NEAR)

    assert torch.equal(on_canvas(extended, new), on_canvas(filled(40, 10, 64, 296), new))


def test_paint_beyond_the_edge_overrules() -> None:
    """Its own region ends where it ends, and others go on beside it, not over it."""
    new = Bounds(0, 0, 64, 296)
    above, source = filled(0, 0, 64, 96), filled(30, 50, 64, 180)
    first, second = continue_regions([above, source], OLD, new, NEAR)

    expected = on_canvas(filled(0, 0, 64, 296), new)
    expected[30:, 96:180] = 0
    assert torch.equal(on_canvas(first, new), expected)
    assert torch.equal(on_canvas(second, new), on_canvas(source, new))


def test_only_extended_sides_are_looked_at() -> None:
    """A picture extended downwards leaves paint to its right alone, and what touches the top."""
    new = Bounds(0, 0, 104, 96)
    regions = [filled(0, 0, 30, 96), filled(20, 50, 63, 300)]
    extended = continue_regions(regions, OLD, new, NEAR)

    assert torch.equal(on_canvas(extended[0], new), on_canvas(regions[0], new))
    expected = on_canvas(regions[1], new)
    expected[64:, 50:] = 255
    assert torch.equal(on_canvas(extended[1], new), expected)


@pytest.mark.parametrize(("gap", "goes_on"), [(0, True), (1, True), (2, False), (6, False)])
def test_paint_that_ends_before_an_edge_ends_there(gap: int, goes_on: bool) -> None:
    """A tower that stands some pixels from the edge does not jump over them."""
    new = Bounds(0, 0, 64, 200)
    (extended,) = continue_regions([filled(10, 40, 50, 96 - gap)], OLD, new, NEAR)

    assert bool(on_canvas(extended, new)[:, 96:].any()) is goes_on


@pytest.mark.parametrize("left", [0, 40, 80])
def test_where_the_canvas_wraps_each_edge_goes_on_over_half_of_what_is_new(left: int) -> None:
    """A ground that ends at the left edge meets the other one amid the way around."""
    new = Bounds(0, -left, 64, 176 - left)
    ground, shore = filled(40, 0, 64, 50), filled(20, 50, 64, 96)
    at_left, at_right = (
        on_canvas(each, new)
        for each in continue_regions([ground, shore], OLD, new, NEAR, wrap=True)
    )

    def columns(start: int, stop: int) -> list[int]:
        return sorted((column + left) % 176 for column in range(start, stop))

    assert at_left[50].nonzero().flatten().tolist() == columns(-40, 50)
    assert at_right[30].nonzero().flatten().tolist() == columns(50, 96 + 40)
    assert not bool(at_left[:40].any())


def test_paint_overrules_where_the_canvas_wraps() -> None:
    """Paint over all of what is new leaves nothing for others to go on over."""
    new = Bounds(0, 0, 64, 176)
    wall, ground = filled(0, 96, 64, 176), filled(40, 0, 64, 96)
    extended = continue_regions([wall, ground], OLD, new, NEAR, wrap=True)

    assert torch.equal(on_canvas(extended[0], new), on_canvas(wall, new))
    assert torch.equal(on_canvas(extended[1], new), on_canvas(ground, new))
