"""Structure: whether two pictures have their edges in the same places, whatever their colours."""

from __future__ import annotations

import numpy as np

_BRIGHTNESS = np.array([0.299, 0.587, 0.114])
_BLUR_PX = 5
"""Edges that are further apart than this are different ones."""


def edge_agreement(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of how steep two pictures [H, W, 3] are at each place, from -1 to 1.

    A picture agrees with itself to 1, with what has nothing to do with it to 0.
    """
    steep = np.stack([_steepness(picture).ravel() for picture in (one, other)])
    return float(np.corrcoef(steep)[0, 1]) if steep.std(axis=1).all() else 0.0


def _steepness(picture: np.ndarray) -> np.ndarray:
    """The slope of brightness at each pixel of [H, W, 3], blurred a little: [h, w]."""
    slopes = np.gradient(picture.astype(np.float64) @ _BRIGHTNESS)
    steep = np.hypot(*slopes)
    for axis in (0, 1):
        sums = np.cumsum(steep, axis=axis)
        front, back = (
            np.take(sums, range(start, stop), axis=axis)
            for start, stop in ((_BLUR_PX, sums.shape[axis]), (0, sums.shape[axis] - _BLUR_PX))
        )
        steep = (front - back) / _BLUR_PX
    return steep
