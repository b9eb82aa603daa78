"""Coherence: how far colour and texture drift from one part of a picture to another."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

_OPPONENT = np.array([[0.299, 0.587, 0.114], [0.5, 0.0, -0.5], [-0.25, 0.5, -0.25]]).T
"""RGB to brightness, red against blue, green against both."""

_SCALES = (1, 2, 4)


def crops(picture: np.ndarray, side: int) -> list[np.ndarray]:
    """Squares of [H, W, 3] that do not overlap, in reading order; what is left over is cut off."""
    return [
        picture[top : top + side, left : left + side]
        for top in range(0, picture.shape[0] - side + 1, side)
        for left in range(0, picture.shape[1] - side + 1, side)
    ]


def style(picture: np.ndarray) -> np.ndarray:
    """Colour and texture of [H, W, 3] as twelve numbers.

    Mean and deviation of three opponent colours, and the deviation of brightness from its
    surroundings up and down and across, at three scales.
    """
    values = picture.astype(np.float64) @ _OPPONENT
    numbers = [*values.mean(axis=(0, 1)), *values.std(axis=(0, 1))]
    brightness = values[..., 0]
    for scale in _SCALES:
        small = _reduced(brightness, scale)
        numbers += [np.abs(np.diff(small, axis=axis)).mean() for axis in (0, 1)]
    return np.array(numbers)


def spread(picture: np.ndarray, side: int, unit: np.ndarray) -> float:
    """Mean distance between the styles of a picture's squares, in `unit`s of each number."""
    return mean_distance([style(crop) / unit for crop in crops(picture, side)])


def mean_distance(styles: Sequence[np.ndarray]) -> float:
    """Mean Euclidean distance over all pairs; raises ValueError for less than two."""
    if len(styles) < 2:
        raise ValueError("a spread takes two crops at least")
    return float(np.mean([np.linalg.norm(a - b) for a, b in itertools.combinations(styles, 2)]))


def style_unit(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """How much each number of a style varies among pictures of different things."""
    return np.std([style(picture) for picture in pictures], axis=0)


def _reduced(values: np.ndarray, factor: int) -> np.ndarray:
    height, width = (side // factor * factor for side in values.shape)
    blocks = values[:height, :width].reshape(height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(1, 3))
