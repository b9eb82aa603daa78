"""Multiplies 8-bit weights by the scales beside them; see `checkpoints.fp8_scales`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...checkpoints.fp8_scales import is_packing, weight_of


def unscaled(state: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """A network's tensors without scales: each weight that has one in `dtype`, as it is meant."""
    scales = {weight: state[name] for name in state if (weight := weight_of(name))}
    return {
        name: _multiplied(tensor, scales[name], dtype) if name in scales else tensor
        for name, tensor in state.items()
        if not is_packing(name)
    }


def _multiplied(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    by_row = scale.float().reshape(-1, *[1] * (weight.ndim - 1))
    return (weight.float() * by_row).to(dtype)
