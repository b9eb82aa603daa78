"""What a faster picture lost against the best one."""

from __future__ import annotations

import numpy as np

from ..metrics.detail import detail_energy


def loss(picture: np.ndarray, best: np.ndarray) -> dict[str, float]:
    """How unlike two pictures uint8 [H, W, 3] of one request are.

    pixels   mean difference, in 0..1: another picture is not a worse one, the same has 0
    detail   energy of fine detail over that of the best; below 1 is blur
    """
    differ = np.abs(picture.astype(np.float64) - best).mean() / 255
    return {"pixels": float(differ), "detail": detail_energy(picture) / detail_energy(best)}
