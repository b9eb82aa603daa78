"""Horizons: how often a picture begins again from top to bottom, by the height of its patches."""

from __future__ import annotations

import numpy as np

FALL_BACK = 0.2
"""A picture that goes back by this share of a single picture's height shows a part of it twice.

Single windows go back by up to 0.05, two stacked ones by 0.6 and more.
"""

_TOP, _BOTTOM = 0.35, 0.65


def has_one_horizon(heights: np.ndarray, block: int, smooth: int) -> bool:
    """Whether every part of a picture goes from sky to ground once, and never back.

    heights [h, w]: for each patch, where it would lie in a single picture of the same prompt, 0 at
    the top and 1 at the bottom. Judged in parts `block` patches wide; rows are averaged across
    a part and over `smooth` rows, so that single patches do not count.
    """
    count = max(1, round(heights.shape[1] / block))
    parts = np.array_split(heights, count, axis=1)
    return all(_goes_down_once(_profile(part, smooth)) for part in parts)


def fall_back(profile: np.ndarray) -> float:
    """The most by which a profile [h] goes back up after it had come down."""
    return float((np.maximum.accumulate(profile) - profile).max())


def _profile(heights: np.ndarray, smooth: int) -> np.ndarray:
    return np.convolve(heights.mean(axis=1), np.full(smooth, 1 / smooth), "valid")


def _goes_down_once(profile: np.ndarray) -> bool:
    begins, ends = profile[0] < _TOP, profile[-1] > _BOTTOM
    return bool(begins and ends and fall_back(profile) < FALL_BACK)
