"""Where regions go beyond the canvas, as the small picture of Extend shows it."""

import pytest

from tapestry.document.layers import RegionLayer
from tapestry.document.region_extension import ContinuedBand, continued_bands
from tapestry.document.region_settings import RegionSettings
from tapestry_protocol.pixels import Bounds, Margins, Pixels

SIZE = (80, 120)


def mask(*lines: str) -> Pixels:
    """A mask in little: "#" is covered."""
    data = bytes(255 if sign == "#" else 0 for line in lines for sign in line)
    return Pixels(len(lines), len(lines[0]), 1, data)


GROUND = mask("......", "......", "######", "######")
SKY = mask("######", "######", "......", "......")
MOON = mask("......", "..##..", "......", "......")


def row(name: str, bounds: Bounds, **settings: object) -> RegionLayer:
    """A painted layer."""
    return RegionLayer(name, name, bounds, RegionSettings(**settings))


@pytest.mark.parametrize(
    ("margins", "expected"),
    [
        (Margins(right=40), [(1, Bounds(0, 120, 40, 160)), (0, Bounds(40, 120, 80, 160))]),
        (Margins(top=16), [(1, Bounds(-16, 0, 0, 120))]),
        (Margins(left=8, bottom=9), [(1, Bounds(0, -8, 40, 0)), (0, Bounds(40, -8, 80, 0)),
                                     (0, Bounds(80, -8, 89, 120))]),
        (Margins(), []),
    ],
)  # fmt: skip
def test_bands_go_on_at_the_sides_that_grow(margins: Margins, expected: list) -> None:
    """The lowest region first, each with its number in the list, corners too."""
    rows = [row("ground", Bounds(40, 0, 80, 120)), row("sky", Bounds(0, 0, 40, 120))]
    rows.append(row("moon", Bounds(20, 40, 40, 80)))
    masks = {"ground": GROUND, "sky": SKY, "moon": MOON}

    assert continued_bands(rows, masks, SIZE, margins) == [
        ContinuedBand(*each) for each in expected
    ]


def test_paint_beyond_the_edge_lies_over_what_goes_on() -> None:
    """Its own region ends there; a brush that ran over the edge says nothing."""
    rows = [row("sky", Bounds(0, -3, 40, 140)), row("ground", Bounds(40, 0, 80, 200))]
    masks = {"sky": SKY, "ground": GROUND}
    bands = continued_bands(rows, masks, SIZE, Margins(left=80, right=100))

    assert bands[-1] == ContinuedBand(1, Bounds(40, 120, 80, 200))
    assert ContinuedBand(0, Bounds(0, 120, 40, 220)) in bands
    assert ContinuedBand(0, Bounds(0, -80, 40, 0)) in bands
    assert ContinuedBand(1, Bounds(40, 120, 80, 220)) not in bands


@pytest.mark.parametrize(
    ("margins", "right_edges", "left_edges"),
    [
        (Margins(right=40), Bounds(0, 120, 80, 140), Bounds(40, 140, 80, 160)),
        (Margins(left=40), Bounds(0, -40, 80, -20), Bounds(40, -20, 80, 0)),
        (Margins(left=20, right=20), Bounds(0, 120, 80, 140), Bounds(40, -20, 80, 0)),
    ],
)
def test_where_the_canvas_wraps_each_side_goes_on_over_half_of_what_is_new(
    margins: Margins, right_edges: Bounds, left_edges: Bounds
) -> None:
    """The wall at the right edge, the ground at the left one."""
    wall, ground = mask("...###"), mask("......", "###...")
    rows = [row("wall", Bounds(0, 60, 80, 120)), row("ground", Bounds(40, 0, 80, 60))]
    bands = continued_bands(rows, {"wall": wall, "ground": ground}, SIZE, margins, wrap=True)

    assert bands == [ContinuedBand(1, left_edges), ContinuedBand(0, right_edges)]


def test_regions_that_do_not_count_go_nowhere() -> None:
    """Switched off, or not read yet."""
    rows = [row("ground", Bounds(40, 0, 80, 120), on=False), row("sky", Bounds(0, 0, 40, 120))]

    assert continued_bands(rows, {"ground": GROUND}, SIZE, Margins(right=8)) == []
