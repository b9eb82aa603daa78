"""Regions: which patches lie whole in an area, and how far what is seen there agrees."""

from __future__ import annotations

import numpy as np


def whole_patches(labels: np.ndarray, patch: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """The label at the corner of every patch of labels [H, W], and whether it holds no other."""
    view = np.lib.stride_tricks.sliding_window_view(labels, (patch, patch))
    patches = view[::stride, ::stride]
    corner = patches[..., 0, 0]
    return corner, (patches == corner[..., None, None]).all(axis=(-1, -2))


def intersection_over_union(seen: np.ndarray, truth: np.ndarray) -> dict[int, float]:
    """For each number in `truth`: places where both have it, over places where either has it."""
    return {
        int(number): float(
            ((seen == number) & (truth == number)).sum()
            / ((seen == number) | (truth == number)).sum()
        )
        for number in np.unique(truth)
    }
