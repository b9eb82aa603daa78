"""Noise: keyed to the document, whatever canvas surrounds it."""

import pytest
import torch

from tapestry_backend.engine.noise import canvas_noise, coarse, job_generator
from tapestry_backend.engine.windows import Size


@pytest.mark.parametrize("origin", [Size(0, 0), Size(3, 0), Size(0, 45), Size(33, 70)])
def test_the_old_part_keeps_its_noise_when_the_canvas_grows(origin: Size) -> None:
    """A canvas extended to any side has the same noise where the document was."""
    old = canvas_noise(7, 4, Size(20, 50))
    extended = canvas_noise(7, 4, Size(20 + origin.height + 9, 50 + origin.width + 40), origin)

    part = extended[..., origin.height : origin.height + 20, origin.width : origin.width + 50]
    assert torch.equal(part, old)


def test_noise_is_standard_normal_and_different_for_other_seeds() -> None:
    """Mean 0 and deviation 1 over many tiles; another seed is another noise."""
    noise = canvas_noise(1, 4, Size(128, 128))

    assert abs(float(noise.mean())) < 0.01
    assert abs(float(noise.std()) - 1) < 0.01
    assert not torch.equal(noise, canvas_noise(2, 4, Size(128, 128)))


def test_tiles_do_not_repeat() -> None:
    """Neighbouring tiles are independent: their correlation is that of chance."""
    noise = canvas_noise(3, 4, Size(64, 64))[0]
    tiles = noise.reshape(4, 2, 32, 2, 32).permute(1, 3, 0, 2, 4).reshape(4, -1)
    correlation = torch.corrcoef(tiles) - torch.eye(4)

    assert correlation.abs().max() < 0.08


def test_the_steps_have_their_own_generator() -> None:
    """What a scheduler draws on the way does not repeat the canvas' first noise."""
    drawn = torch.randn(4, 32, 32, generator=job_generator(5))

    assert not torch.equal(drawn, canvas_noise(5, 4, Size(32, 32))[0])


def test_coarse_noise_has_slopes_and_no_checkerboard() -> None:
    """What changes from cell to cell is fine; also where the cells are no whole pairs."""
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(24), indexing="ij")
    board = 1.0 - 2 * ((rows + columns) % 2)[None, None]
    slope = (columns / 24)[None, None]

    assert float(coarse(board).abs().max()) == 0
    assert float((coarse(slope) - slope)[..., 2:-2].abs().max()) < 0.01
    assert coarse(board[..., 1:, 1:]).shape == (1, 1, 15, 23)
