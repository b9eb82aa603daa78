"""Raw pixels and rectangles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapestry_protocol.messages import PixelsRef
from tapestry_protocol.pixels import Bounds, Margins, Pixels

SIDES = st.integers(-100, 100)
BOUNDS = st.builds(Bounds, SIDES, SIDES, SIDES, SIDES)


@pytest.mark.parametrize("size", [0, 23, 25])
def test_pixels_have_exactly_their_bytes(size: int) -> None:
    """A buffer of another length is no picture."""
    with pytest.raises(ValueError, match="need 24 bytes"):
        Pixels(2, 3, 4, bytes(size))


def test_a_reference_names_pixels() -> None:
    """Size and SHA-256 lead back to the same picture."""
    pixels = Pixels(2, 3, 4, bytes(24))
    ref = PixelsRef.of(pixels)
    assert ref.size_bytes == 24
    assert ref.sha256 == pixels.sha256
    assert ref.with_data(pixels.data) == pixels


def cells(bounds: Bounds) -> set[tuple[int, int]]:
    """Every pixel inside, one by one."""
    return {
        (y, x) for y in range(bounds.top, bounds.bottom) for x in range(bounds.left, bounds.right)
    }


SMALL = st.integers(-5, 5)
SMALL_BOUNDS = st.builds(Bounds, SMALL, SMALL, SMALL, SMALL)


@given(SMALL_BOUNDS, SMALL_BOUNDS)
def test_an_intersection_holds_the_common_cells(one: Bounds, other: Bounds) -> None:
    """Exactly those, also for empty and inverted rectangles."""
    common = one.intersection(other)
    assert cells(common) == cells(one) & cells(other)
    assert common.is_empty == (not cells(common))


@given(BOUNDS, SIDES, SIDES)
def test_a_moved_rectangle_keeps_its_size(bounds: Bounds, down: int, right: int) -> None:
    """And comes back."""
    moved = bounds.moved(down, right)
    assert (moved.height, moved.width) == (bounds.height, bounds.width)
    assert moved.moved(-down, -right) == bounds


def test_margins_are_zero_or_not() -> None:
    """One side is enough."""
    assert Margins().is_zero
    assert not Margins(bottom=1).is_zero
