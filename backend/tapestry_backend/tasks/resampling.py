"""Pictures of another size, by the filters that Pillow calls by the same names.

What a worker does with pixels needs no library that also decodes image files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from ..engine.windows import Size

FilterName = Literal["box", "bilinear", "bicubic", "lanczos"]


class _Taps(NamedTuple):
    """Which values [out, taps] make each new one, and each one's share [out, taps]."""

    places: np.ndarray
    shares: np.ndarray


def resized(
    values: np.ndarray, size: Size, rows: tuple[float, float], how: FilterName
) -> np.ndarray:
    """The part of values float32 [C, h, w] that lies in `rows`, from and to, as [C, *size].

    The filter sees what lies beyond the rows, so that bands fit each other.
    """
    _, height, width = values.shape
    down = _taps(height, size.height, (max(0.0, rows[0]), min(float(height), rows[1])), how)
    across = _taps(width, size.width, (0.0, float(width)), how)
    first, last = int(down.places.min()), int(down.places.max())
    seen = _along(values[:, first : last + 1], across, axis=2)
    return _along(seen, down._replace(places=down.places - first), axis=1)


def _along(values: np.ndarray, taps: _Taps, axis: int) -> np.ndarray:
    """Values float32 [C, h, w] resampled along one axis."""
    shape = [1, 1, 1]
    shape[axis] = len(taps.places)
    made = list(values.shape)
    made[axis] = len(taps.places)
    total = np.zeros(made, np.float32)
    for places, shares in zip(taps.places.T, taps.shares.T, strict=True):
        part = values.take(places, axis)
        part *= shares.reshape(shape)
        total += part
    return total


def _taps(length: int, new_length: int, part: tuple[float, float], how: FilterName) -> _Taps:
    """How `new_length` values come of a part, from and to, of this many.

    Shrinking widens the filter, so that each old value counts; at the ends its shares are those of
    the values that are there.
    """
    reach, weight = _FILTERS[how]
    scale = (part[1] - part[0]) / new_length
    wide = max(1.0, scale)
    middle = part[0] + (np.arange(new_length)[:, None] + 0.5) * scale
    first = np.floor(middle - reach * wide + 0.5)
    places = first + np.arange(int(np.ceil(2 * reach * wide)) + 1)
    end = np.floor(middle + reach * wide + 0.5)
    shares = weight((places - middle + 0.5) / wide)
    shares[(places < 0) | (places >= np.minimum(end, length))] = 0
    shares /= shares.sum(axis=1, keepdims=True)
    return _Taps(places.clip(0, length - 1).astype(np.intp), shares.astype(np.float32))


def _box(x: np.ndarray) -> np.ndarray:
    return ((x > -0.5) & (x <= 0.5)).astype(float)


def _bilinear(x: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1 - np.abs(x))


def _bicubic(x: np.ndarray) -> np.ndarray:
    """Keys 1981, with -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


_FILTERS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "box": (0.5, _box),
    "bilinear": (1.0, _bilinear),
    "bicubic": (2.0, _bicubic),
    "lanczos": (3.0, _lanczos),
}
"""How far each reaches, and how much what is so far away counts."""
