"""Objects and specks: what of another colour lies in a picture, and how often."""

from __future__ import annotations

import numpy as np

_OBJECT = 0.04
"""The side of the smallest object, as a part of the picture's shorter side."""

_RED = 50
"""Levels that red has more than the two others."""

_NEAR = 2
"""Pixels of a first stage around a place whose colours may be there in the larger picture."""

_STRANGE = 24
"""Levels beyond all of them from which on a colour is none of these."""

_SPECK_PX = 6
"""Pixels of a larger picture that a speck has at least."""


def red_objects(picture: np.ndarray) -> int:
    """How many red things there are in uint8 [H, W, 3]; what is smaller than one does not count."""
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    least = (_OBJECT * min(picture.shape[:2])) ** 2
    return int((component_sizes(red - np.maximum(green, blue) > _RED) >= least).sum())


def specks(larger: np.ndarray, first: np.ndarray) -> int:
    """How many spots there are of a colour that is not near there in what was enlarged.

    uint8 [H, W, 3] and [h, w, 3]. What is finer counts as one where it is beyond the darkest and
    the brightest of its surroundings, in any channel.
    """
    height, width = larger.shape[:2]
    rows = np.arange(height) * first.shape[0] // height
    columns = np.arange(width) * first.shape[1] // width
    values = first.astype(int)
    low, high = (_around(values, of)[rows][:, columns] for of in (np.minimum, np.maximum))
    strange = (larger < low - _STRANGE) | (larger > high + _STRANGE)
    return int((component_sizes(strange.any(axis=-1)) >= _SPECK_PX).sum())


def component_sizes(mask: np.ndarray) -> np.ndarray:
    """How many pixels each part of a mask [H, W] has that hangs together, edge by edge."""
    count = int(mask.sum())
    numbers = np.full(mask.shape, -1)
    numbers[mask] = np.arange(count)
    beside, below = mask[:, 1:] & mask[:, :-1], mask[1:] & mask[:-1]
    one = np.concatenate([numbers[:, :-1][beside], numbers[:-1][below]])
    other = np.concatenate([numbers[:, 1:][beside], numbers[1:][below]])
    roots = np.arange(count)
    while True:  # each pair takes the lower of its roots, until all are those of their part
        lower = np.minimum(roots[one], roots[other])
        joined = roots.copy()
        for ends in (one, other):
            np.minimum.at(joined, roots[ends], lower)
        joined = joined[joined]
        if np.array_equal(joined, roots):
            return np.bincount(roots, minlength=1)[np.unique(roots)]
        roots = joined


def _around(values: np.ndarray, of: np.ufunc) -> np.ndarray:
    """The least or the greatest of [h, w, C] around each place."""
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (_NEAR, _NEAR)
        padded = np.pad(values, pad, mode="edge")
        length = values.shape[axis]
        moved = [padded.take(range(i, i + length), axis) for i in range(2 * _NEAR + 1)]
        values = of.reduce(moved)
    return values
