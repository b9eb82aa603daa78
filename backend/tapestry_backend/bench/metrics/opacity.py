"""Opacity: does more paint show more of its material, evenly and without jumps."""

from __future__ import annotations

import numpy as np


def shares_by_opacity(
    share: np.ndarray, opacity: np.ndarray, tenths: int = 10, least: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Mean opacity and mean share of the pixels in each step of opacity, both [n].

    share and opacity [H, W]. Steps with fewer than `least` pixels are left out.
    """
    steps = np.minimum((opacity * tenths).astype(int), tenths - 1)
    counted = [step for step in range(tenths) if (steps == step).sum() >= least]
    means = [(opacity[steps == step].mean(), share[steps == step].mean()) for step in counted]
    opacities, shares = np.array(means).reshape(-1, 2).T
    return opacities, shares


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's: 1 where both rise together, however steeply; 0 where one of them stands still.

    Raises ValueError for fewer than two numbers.
    """
    if len(first) < 2:
        raise ValueError("a correlation takes two pairs at least")
    ranks = [_ranks(np.asarray(each)) for each in (first, second)]
    spreads = [each.std() for each in ranks]
    if min(spreads) == 0:
        return 0.0
    return float(
        ((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())).mean()
        / spreads[0]
        / spreads[1]
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0; equal ones have the mean of theirs."""
    return (
        (values[:, None] > values).sum(axis=1) + (values[:, None] >= values).sum(axis=1) - 1
    ) / 2


def largest_step(shares: np.ndarray) -> float:
    """The largest change from one step of opacity to the next."""
    return float(np.abs(np.diff(shares)).max())
