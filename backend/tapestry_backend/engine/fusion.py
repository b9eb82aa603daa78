"""Fusion: overlapping predictions become one, by least squares."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .windows import Size, Window, add_at


def fuse(
    predictions: Sequence[Tensor],
    weights: Sequence[Tensor],
    windows: Sequence[Window],
    canvas: Size,
    rows: Sequence[int] | None = None,
    count: int = 1,
) -> Tensor:
    """The least-squares mean of overlapping predictions (Bar-Tal et al. 2023, eq. 5).

    predictions K times [C, h, w], weights K times [h, w] -> [count, C, H, W], in float32 or the
    predictions' own type where that is wider. Weights are >= 0; those of overlaps that count twice
    otherwise are negative (DiffCollage's rule, `windows.factors`). rows: which row of the result
    each prediction is of; None: there is one. A cell without any weight is 0: the caller sees to it
    that it is never read.
    """
    dtype = torch.promote_types(predictions[0].dtype, torch.float32)
    device = predictions[0].device
    total = torch.zeros(count, len(predictions[0]), *canvas, dtype=dtype, device=device)
    weight_sum = torch.zeros(count, 1, *canvas, dtype=dtype, device=device)
    where = [0] * len(predictions) if rows is None else rows
    for row, prediction, weight, window in zip(where, predictions, weights, windows, strict=True):
        add_at(total[row], window, prediction.to(dtype) * weight.to(dtype))
        add_at(weight_sum[row, 0], window, weight.to(dtype))
    return total / torch.where(weight_sum > 0, weight_sum, 1)
