"""Group norms pooled over bands: what torch's own group norm gives on the whole."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tapestry_backend.models.autoencoder.pooled_norm import PooledStatistics


@pytest.mark.parametrize("cuts", [(64,), (1, 63), (10, 20, 34), (1,) * 64])
def test_bands_give_the_norm_of_the_whole(cuts: tuple[int, ...]) -> None:
    """However the whole is cut, and although every band has a mean of its own."""
    torch.manual_seed(0)
    norm = nn.GroupNorm(4, 16).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    values = torch.randn(2, 16, 8, 64, dtype=torch.float64) + torch.linspace(0, 100, 64)
    statistics = PooledStatistics(norm)
    for band in values.split(cuts, dim=-1):
        statistics.add(band)

    affine = statistics.affine(values.device, values.dtype)

    assert torch.allclose(affine(values), norm(values), rtol=0, atol=1e-9)


def test_half_precision_is_pooled_and_applied_in_single() -> None:
    """Squares of numbers that half precision cannot hold do not matter, and the type stays."""
    torch.manual_seed(0)
    norm = nn.GroupNorm(2, 4)
    values = torch.randn(1, 4, 32, 32) * 20 + 1000
    statistics = PooledStatistics(norm.half())
    for band in values.half().split(8, dim=-1):
        statistics.add(band)

    normalised = statistics.affine(values.device, torch.float16)(values.half())

    assert normalised.dtype == torch.float16
    expected = nn.functional.group_norm(values.half().float(), 2)
    assert torch.allclose(normalised.float(), expected, rtol=0, atol=5e-3)
