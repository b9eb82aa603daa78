"""Masks of bytes: what is chosen by them, byte by byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tapestry.document.byte_masks import chosen, masked

CELLS = st.lists(st.tuples(st.booleans(), st.integers(0, 255), st.integers(0, 255)))


@given(CELLS)
def test_a_mask_chooses_byte_by_byte(cells: list[tuple[bool, int, int]]) -> None:
    """Of two rows of values, or of one and nothing; no byte reaches into the next."""
    mask = bytes(255 * inside for inside, _, _ in cells)
    first, second = (bytes(cell[i] for cell in cells) for i in (1, 2))

    assert chosen(mask, first, second) == bytes(a if inside else b for inside, a, b in cells)
    assert masked(first, mask) == bytes(a if inside else 0 for inside, a, _ in cells)
