"""The peers of upscaling against what is known of their results."""

import numpy as np
import pytest
import torch

from tapestry_backend.bench.peers import upscalers
from tapestry_backend.bench.peers.upscalers import DemoFusion, OverlappingTiles
from tapestry_backend.engine.views import WindowLayout
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.denoiser import Denoiser

SIDE = 128


@pytest.fixture
def first(painter) -> np.ndarray:
    """A picture of one window."""
    return painter.plain("snow", 3)


def shrunk(picture: np.ndarray, factor: int) -> np.ndarray:
    """The mean of each `factor` pixels both ways."""
    height, width = (side // factor for side in picture.shape[:2])
    return picture.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))


def test_tiles_overlap_by_half_and_are_evaluated_in_a_part_of_the_steps(
    model: Denoiser, settings, first: np.ndarray
) -> None:
    """The windows that Tapestry itself lays there; at half the strength half of the steps."""
    tiles = OverlappingTiles(model, settings)
    result = tiles.upscaled(first, 2, "snow", 3, strength=0.5)
    side = model.window
    grid = WindowLayout(Size(2 * side, 2 * side), Size(side, side), Size(side // 2, side // 2)).grid

    assert result.shape == (2 * SIDE, 2 * SIDE, 3)
    assert tiles._windows(torch.zeros(1, 1, 2 * side, 2 * side)) == grid
    assert tiles.evaluations == 2 * len(grid) * round(0.5 * settings.num_inference_steps)
    assert np.abs(shrunk(result, 2) - first).mean() < 25
    assert tiles.upscaled(first, 2, "snow", 3, strength=0.1).shape == result.shape, "one step"


def test_windows_that_move_leave_no_cell_out(model: Denoiser, settings) -> None:
    """Each is another quarter aside, and all stay on the canvas."""
    tiles = DemoFusion(model, settings)
    canvas = torch.zeros(1, 1, 3 * model.window, 2 * model.window)
    fixed = tiles._windows(canvas)
    for seed in range(5):
        windows = tiles._windows(canvas, upscalers.random.Random(seed))
        covered = torch.zeros(canvas.shape[-2:])
        for top, left, bottom, right in windows:
            covered[top:bottom, left:right] += 1
        assert windows != fixed
        assert bool((covered > 0).all())
        assert covered.sum() == len(fixed) * model.window**2


def test_a_lattice_is_a_picture_of_the_whole(model: Denoiser, settings) -> None:
    """Each cell is predicted once, at its place: here as twice what was seen."""
    peer = DemoFusion(model, settings)
    latents = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    peer._guided = lambda crops, _: 2 * crops
    sharp = upscalers._BLUR * 0.01  # nothing is mixed by so narrow a blur
    found = peer._dilated(latents, 2, torch.tensor(500), share=0.0)

    assert sharp < 0.1
    torch.testing.assert_close(found, 2 * latents, atol=1e-4, rtol=1e-4)


def test_blur_keeps_the_mean_and_takes_the_spread() -> None:
    """And what is alike again has both."""
    values = torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(2)) + 5
    soft = upscalers._blurred(values, 3, 0.8)
    again = upscalers._like(soft, values)

    assert float((soft.mean() - values.mean()).abs()) < 0.05
    assert float(soft.std()) < 0.7 * float(values.std())
    torch.testing.assert_close(again.std(dim=(2, 3)), values.std(dim=(2, 3)))
    torch.testing.assert_close(again.mean(dim=(2, 3)), values.mean(dim=(2, 3)))


def test_demofusion_goes_scale_by_scale(model: Denoiser, settings, first: np.ndarray) -> None:
    """In all steps at each: windows, and lattices of the whole."""
    peer = DemoFusion(model, settings)
    result = peer.enlarged(first, 3, "snow", 3)

    assert result.shape == (3 * SIDE, 3 * SIDE, 3)
    assert peer.evaluations == 2 * settings.num_inference_steps * (9 + 4 + 25 + 9)
