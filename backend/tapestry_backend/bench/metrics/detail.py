"""Sharpness: how much fine detail a picture holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114])


def detail_energy(picture: np.ndarray) -> float:
    """Mean square of what is finer than 3 pixels, in the brightness of [H, W, 3] (0..255).

    Each pixel less the mean of the 3 x 3 around it; the outermost pixels have none.
    """
    brightness = picture.astype(np.float64) @ _LUMA
    around = sum(
        brightness[row : row + brightness.shape[0] - 2, column : column + brightness.shape[1] - 2]
        for row in range(3)
        for column in range(3)
    )
    return float(((brightness[1:-1, 1:-1] - around / 9) ** 2).mean())


def mean_ratio(ratios: Sequence[float]) -> tuple[float, float]:
    """The geometric mean of ratios above 0, and its standard error: twice and half make 1."""
    logarithms = np.log(ratios)
    mean = float(np.exp(logarithms.mean()))
    return mean, float(mean * logarithms.std() / len(ratios) ** 0.5)
