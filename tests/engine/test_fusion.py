"""Fusion: the least-squares mean, exactly."""

import torch

from tapestry_backend.engine.fusion import fuse
from tapestry_backend.engine.windows import Size, Window

WINDOWS = [Window(0, 0, 2, 4), Window(0, 2, 2, 6)]


def test_overlap_is_the_weighted_mean_and_the_rest_its_own() -> None:
    """Where two windows overlap both count by weight; elsewhere each has its say alone."""
    predictions = torch.stack([torch.full((1, 2, 4), 1.0), torch.full((1, 2, 4), 5.0)])
    weights = [torch.full((2, 4), 3.0), torch.full((2, 4), 1.0)]
    fused = fuse(predictions, weights, WINDOWS, Size(2, 6))

    assert fused[0, 0, 0].tolist() == [1, 1, 2, 2, 5, 5]


def test_fusion_solves_the_least_squares_problem() -> None:
    """No other canvas is closer to all windows: the gradient of the weighted error is zero."""
    generator = torch.Generator().manual_seed(0)
    predictions = torch.randn(2, 3, 2, 4, generator=generator, dtype=torch.float64)
    weights = [torch.rand(2, 4, generator=generator, dtype=torch.float64) + 0.1 for _ in WINDOWS]
    fused = fuse(predictions, weights, WINDOWS, Size(2, 6)).requires_grad_()
    error = sum(
        (weight * (fused[0, :, :, w.left : w.right] - prediction) ** 2).sum()
        for prediction, weight, w in zip(predictions, weights, WINDOWS, strict=True)
    )
    error.backward()

    assert fused.grad.abs().max() < 1e-12


def test_half_precision_is_summed_in_single() -> None:
    """Sums of many small weights must not lose bits."""
    predictions = torch.ones(2, 1, 2, 4, dtype=torch.float16)
    fused = fuse(predictions, [torch.full((2, 4), 1e-4)] * 2, WINDOWS, Size(2, 6))

    assert fused.dtype == torch.float32
    torch.testing.assert_close(fused, torch.ones(1, 1, 2, 6))


def test_a_cell_without_weight_is_zero() -> None:
    """Cells that no view covers stay empty instead of becoming NaN."""
    fused = fuse(torch.ones(1, 1, 2, 4), [torch.ones(2, 4)], WINDOWS[:1], Size(2, 6))

    assert fused[0, 0, 0].tolist() == [1, 1, 1, 1, 0, 0]
