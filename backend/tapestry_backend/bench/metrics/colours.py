"""Colours: which material each pixel shows, by the colours that plain pictures of it have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BINS = 32
"""Of each channel: eight levels of 255 make no difference."""

_SPREADS = ((0.7, 0.9), (3.0, 0.09), (8.0, 0.01))
"""Widths in bins, and shares, of what is laid around each colour that was seen.

The narrow one holds the material's own colours; the wide ones say what a colour that no picture
has, such as a mixture of two materials, is nearest to."""

_NEVER = 1e-9


def colour_table(pictures: np.ndarray) -> np.ndarray:
    """The log-likelihood of every colour, [32, 32, 32], in pictures uint8 [..., 3]."""
    found = np.zeros((BINS,) * 3)
    np.add.at(found, tuple((pictures.reshape(-1, 3) // (256 // BINS)).T), 1)
    spread = sum(share * _spread(found, width) for width, share in _SPREADS)
    return np.log(spread / found.sum() + _NEVER)


def _spread(found: np.ndarray, width: float) -> np.ndarray:
    """A histogram with a bell laid around each entry."""
    places = np.arange(BINS)
    bell = np.exp(-(((places[:, None] - places) / width) ** 2) / 2)
    bell /= bell.sum(axis=1, keepdims=True)
    return np.einsum("ia,jb,kc,abc->ijk", bell, bell, bell, found, optimize=True)


def log_likelihoods(picture: np.ndarray, tables: Sequence[np.ndarray]) -> np.ndarray:
    """How likely each pixel's colour is for each table: uint8 [H, W, 3] -> [K, H, W]."""
    red, green, blue = np.moveaxis(picture // (256 // BINS), -1, 0)
    return np.stack([table[red, green, blue] for table in tables])


def named(
    picture: np.ndarray, tables: Sequence[np.ndarray], sides: np.ndarray | None = None
) -> np.ndarray:
    """The number of the likeliest table at each pixel of uint8 [H, W, 3]: [H, W].

    Each pixel by itself; where `sides` [H, W] is given, together with those of the 3 x 3 around it
    that have its own number: what lies across an outline does not count on this side of it.
    """
    likely = log_likelihoods(picture, tables)
    return (likely if sides is None else mean_around(likely, sides)).argmax(axis=0)


def mean_around(values: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """The mean of [K, H, W] over the 3 x 3 around each pixel, over pixels on its own side."""
    height, width = sides.shape
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    beside = np.pad(sides, 1, constant_values=np.iinfo(sides.dtype).min)
    total, count = np.zeros_like(values), np.zeros(sides.shape)
    for row in range(3):
        for column in range(3):
            place = (slice(row, row + height), slice(column, column + width))
            same = beside[place] == sides
            total += padded[:, *place] * same
            count += same
    return total / count


class Mixture:
    """Tells how much of one material is mixed with another, by colour.

    The direction between their mean colours in which both vary least (Fisher's discriminant): what
    is mixed in the colour of each pixel and what lies side by side in patches counts the same.
    """

    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        """Plain pictures of both, uint8 [..., 3]."""
        colours = [each.reshape(-1, 3).astype(np.float64) for each in (first, second)]
        one, other = (each.mean(axis=0) for each in colours)
        scatter = sum(np.cov(each.T) for each in colours) + np.eye(3)
        direction = np.linalg.solve(scatter, one - other)
        self._direction = direction / max((one - other) @ direction, 1e-9)
        self._zero = other @ self._direction

    def share(self, picture: np.ndarray) -> np.ndarray:
        """The first one's share at each pixel of uint8 [H, W, 3]: 1 = all; not cut to 0..1."""
        return picture.astype(np.float64) @ self._direction - self._zero
