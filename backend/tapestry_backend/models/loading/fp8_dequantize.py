"""Multiplies 8-bit weights by the scales beside them; see `checkpoints.fp8_scales`."""

from __future__ import annotations

import torch
from torch import Tensor

from ...checkpoints.fp8_scales import is_packing, weight_of


def unscaled(state: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """A network's tensors without scales: each weight that has one in `dtype`, as it is meant.

    Takes them out of `state`, so that the packed ones and theirs are never all in memory at once.
    """
    scales = {weight: state[name] for name in state if (weight := weight_of(name))}
    made = {}
    for name in list(state):
        tensor = state.pop(name)
        if not is_packing(name):
            made[name] = _multiplied(tensor, scales[name], dtype) if name in scales else tensor
    return made


def in_precision(state: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Tensors with numbers of this kind, but those of GGUF files that are packed.

    Takes them out of `state` one by one.
    """
    made = {}
    for name in list(state):
        tensor = state.pop(name)
        made[name] = tensor if hasattr(tensor, "quant_type") else tensor.to(dtype)
    return made


def _multiplied(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    by_row = scale.float().reshape(-1, *[1] * (weight.ndim - 1))
    return (weight.float() * by_row).to(dtype)
