"""A small picture on the way: what the word means now, and the curve of the loss below it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapestry_protocol.pixels import Pixels

_SHARE = 4
"""The curve is so many times lower than the picture."""

_PAPER, _INK = (38, 38, 42, 255), (235, 180, 90, 255)


def curve_beside(picture: Pixels, losses: Sequence[float]) -> Pixels:
    """The picture with the curve below it, RGBA; high is much loss, from left to right in time."""
    rgba = np.frombuffer(picture.data, np.uint8).reshape(picture.height, picture.width, 4)
    strip = _strip(losses, max(8, picture.height // _SHARE), picture.width)
    whole = np.concatenate([rgba, strip])
    return Pixels(whole.shape[0], whole.shape[1], 4, whole.tobytes())


def _strip(losses: Sequence[float], height: int, width: int) -> np.ndarray:
    strip = np.empty((height, width, 4), np.uint8)
    strip[:] = _PAPER
    if len(losses) < 2:
        return strip
    parts = np.array_split(np.array(losses), min(len(losses), max(2, width // 3)))
    means = np.array([part.mean() for part in parts])
    low, high = float(means.min()), float(means.max())
    places = np.linspace(0, len(means) - 1, width)
    values = np.interp(places, np.arange(len(means)), means)
    share = (values - low) / (high - low) if high > low else np.zeros(width)
    rows = np.round((1 - share) * (height - 3)).astype(int) + 1
    before = rows[0]
    for column, row in enumerate(rows):
        strip[min(before, row) : max(before, row) + 1, column] = _INK
        before = row
    return strip
