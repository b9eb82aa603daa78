"""Group norms of a whole picture, computed from bands."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Affine:
    """A group norm whose statistics are known: values * scale + shift, [B, C, 1, 1] each."""

    scale: Tensor
    shift: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        wide = torch.promote_types(values.dtype, self.scale.dtype)
        return (values.to(wide) * self.scale).add_(self.shift).to(values.dtype)


class PooledStatistics:
    """Mean and variance of each group of a norm, pooled over bands that do not overlap.

    mean = sum p m and variance = sum p (v + m^2) - mean^2, where p is a band's share of all cells,
    m and v its own mean and variance; in float64. (Leaving out the means of the bands, as tiled
    decoders do, loses the variance between them, and with it contrast.)
    """

    def __init__(self, norm: nn.GroupNorm) -> None:
        self._norm = norm
        self._cells = 0
        self._sum = self._sum_of_squares = torch.zeros((), dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Count a band [B, C, H, W]."""
        wide = values.to(torch.promote_types(values.dtype, torch.float32))
        groups = wide.unflatten(1, (self._norm.num_groups, -1)).flatten(2)
        variance, mean = torch.var_mean(groups, dim=2, correction=0)
        variance, mean = variance.cpu().double(), mean.cpu().double()
        cells = groups.shape[2]
        self._cells += cells
        self._sum = self._sum + cells * mean
        self._sum_of_squares = self._sum_of_squares + cells * (variance + mean**2)

    def affine(self, device: torch.device, dtype: torch.dtype) -> Affine:
        """The norm with these statistics, for values of this type; never less than float32."""
        mean = self._sum / self._cells
        variance = self._sum_of_squares / self._cells - mean**2
        each = self._norm.num_channels // self._norm.num_groups
        factor = (variance.clamp(min=0) + self._norm.eps).rsqrt().repeat_interleave(each, dim=1)
        scale = self._norm.weight.cpu().double() * factor
        shift = self._norm.bias.cpu().double() - mean.repeat_interleave(each, dim=1) * scale
        wide = torch.promote_types(dtype, torch.float32)
        return Affine(*(t[:, :, None, None].to(wide).to(device) for t in (scale, shift)))
