"""Layers over each other: exact where it must be exact, Porter and Duff elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tapestry_backend.openraster.compose import lay_over, transparent, union_alpha


def noise(seed: int, height: int = 300, width: int = 7) -> np.ndarray:
    """Random RGBA, taller than one band."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)


def test_transparent_pixels_change_no_byte() -> None:
    """Also the colours under full transparency stay: the old picture comes back bit for bit."""
    canvas, picture = noise(1), noise(2)
    picture[..., 3] = 0
    before = canvas.copy()
    lay_over(canvas, picture, 0, 0)
    assert (canvas == before).all()


def test_opaque_pixels_replace_every_byte() -> None:
    """What was below does not shine through."""
    canvas, picture = noise(1), noise(2)
    picture[..., 3] = 255
    lay_over(canvas, picture, 0, 0)
    assert (canvas == picture).all()


def test_agrees_with_pillow() -> None:
    """Half transparent pixels over each other, to the last but one bit of visible colour."""
    canvas, picture = noise(1), noise(2)
    canvas[..., 3] |= 128
    below, above = (Image.fromarray(pixels, "RGBA") for pixels in (canvas.copy(), picture))
    below.alpha_composite(above)
    lay_over(canvas, picture, 0, 0)
    difference = np.abs(np.asarray(below).astype(int) - canvas)
    assert difference.max() <= 2


@given(top=st.integers(-12, 12), left=st.integers(-12, 12))
def test_what_reaches_beyond_the_canvas_is_cut(top: int, left: int) -> None:
    """A layer may lie partly or wholly outside."""
    canvas, picture = transparent(8, 8), np.full((5, 6, 4), 255, np.uint8)
    lay_over(canvas, picture, top, left)
    expected = np.zeros((40, 40), bool)
    expected[16 + top : 21 + top, 16 + left : 22 + left] = True
    assert ((canvas[..., 3] == 255) == expected[16:24, 16:24]).all()


@pytest.mark.parametrize(("first", "second", "both"), [(0, 0, 0), (255, 9, 255), (128, 128, 192)])
def test_two_layers_cover_more_than_one(first: int, second: int, both: int) -> None:
    """Coverage adds up as paint does."""
    alpha = (np.full((2, 2), value, np.uint8) for value in (first, second))
    assert (union_alpha(*alpha) == both).all()
