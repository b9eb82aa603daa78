"""Fusion: overlapping predictions become one, by least squares; no model, no scheduler."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .windows import Size, Window, add_at


def fuse(
    predictions: Tensor, weights: Sequence[Tensor], windows: Sequence[Window], canvas: Size
) -> Tensor:
    """The least-squares mean of overlapping predictions (Bar-Tal et al. 2023, eq. 5).

    predictions [K, C, h, w], weights K times [h, w] >= 0  ->  [1, C, H, W], in float32 or the
    predictions' own type where that is wider. A cell without any weight is 0: the caller sees to it
    that nobody reads it.
    """
    dtype = torch.promote_types(predictions.dtype, torch.float32)
    device = predictions.device
    total = torch.zeros(1, predictions.shape[1], *canvas, dtype=dtype, device=device)
    weight_sum = torch.zeros(*canvas, dtype=dtype, device=device)
    for prediction, weight, window in zip(predictions, weights, windows, strict=True):
        add_at(total[0], window, prediction.to(dtype) * weight.to(dtype))
        add_at(weight_sum, window, weight.to(dtype))
    return total / torch.where(weight_sum > 0, weight_sum, 1)
