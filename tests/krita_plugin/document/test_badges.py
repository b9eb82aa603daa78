"""What keeps a region from showing."""

import pytest

from tapestry.document.badges import badges
from tapestry.document.layers import RegionLayer
from tapestry.document.region_settings import RegionSettings
from tapestry.document.samples import MaskSample
from tapestry_protocol.pixels import Bounds, Pixels

CANVAS = Bounds(0, 0, 40, 40)


def row(name: str, bounds: Bounds = CANVAS, *, on: bool = True, state: str = "painted"):
    """A region."""
    return RegionLayer(name, name, bounds, RegionSettings(on=on), state)


def sample(mask: bytes, solid: bytes | None = None) -> MaskSample:
    """Four pixels."""
    return MaskSample(Pixels(2, 2, 1, mask), mask if solid is None else solid)


FULL, LEFT, RIGHT = (
    sample(bytes(mask)) for mask in ((255,) * 4, (255, 0, 255, 0), (0, 255, 0, 255))
)


@pytest.mark.parametrize("state", ["hidden", "empty", "nameless"])
def test_a_layer_that_is_no_region_says_why(state: str) -> None:
    """As the layer tree tells it."""
    assert badges([row("a", state=state)], {}, CANVAS) == {"a": state}


def test_small_and_far_away() -> None:
    """Paint beyond the canvas, and a hair."""
    rows = [row("far", Bounds(50, 50, 60, 60)), row("hair", Bounds(0, 5, 40, 7)), row("all")]
    assert badges(rows, {}, CANVAS) == {"far": "outside", "hair": "thin", "all": ""}


def test_covered_by_several_others_together() -> None:
    """As soon as nothing of it shows."""
    rows = [row("left"), row("right"), row("under")]
    samples = {"left": LEFT, "right": RIGHT, "under": FULL}
    assert badges(rows, samples, CANVAS)["under"] == "covered"
    rows[1] = row("right", on=False)
    assert badges(rows, samples, CANVAS)["under"] == ""


def test_a_thin_stroke_covers_nothing() -> None:
    """Its cells in little are full, the mask itself is not."""
    rows = [row("hatching"), row("under")]
    samples = {"hatching": sample(bytes((255,) * 4), bytes(4)), "under": FULL}
    assert badges(rows, samples, CANVAS) == {"hatching": "", "under": ""}
