"""Whether edges lie in the same places."""

import numpy as np
import pytest

from tapestry_backend.bench.metrics.structure import edge_agreement


def square(left: int, inside: int, outside: int) -> np.ndarray:
    """A picture of 48 x 48 pixels with a square in it."""
    picture = np.full((48, 48, 3), outside, np.uint8)
    picture[12:30, left : left + 18] = inside
    return picture


def test_edges_agree_whatever_the_colours() -> None:
    """Light on dark or dark on light."""
    assert edge_agreement(square(10, 200, 40), square(10, 30, 220)) == pytest.approx(1)


def test_edges_elsewhere_agree_less() -> None:
    """The further, the less."""
    here, near, far = (square(left, 200, 40) for left in (8, 10, 28))
    assert edge_agreement(here, far) < 0.3 < edge_agreement(here, near) < 0.95


def test_a_flat_picture_agrees_with_nothing() -> None:
    """It has no edges."""
    assert edge_agreement(square(8, 200, 40), np.zeros((48, 48, 3), np.uint8)) == 0
