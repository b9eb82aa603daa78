"""From latents to pixels: a picture that wraps has no beginning, one window is the model's own."""

from __future__ import annotations

import torch

from tapestry_backend.tasks import decoding
from tapestry_backend.tasks.decoding import decode_canvas


def latents(model, height: int, width: int) -> torch.Tensor:
    """Latents of a picture of coarse random colours."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, height, width, generator=generator) * 2 - 1
    return model.encode(coarse.repeat_interleave(8, dim=-1).repeat_interleave(8, dim=-2))


def test_one_window_is_what_the_model_decodes(model) -> None:
    """The very picture of the model's own pipeline."""
    one = latents(model, model.window, model.window)

    decoded = decode_canvas(model, one, wrap=False)

    assert torch.equal(decoded, (model.decode(one) / 2 + 0.5).clamp(0, 1))


def test_a_picture_that_wraps_may_begin_anywhere(model) -> None:
    """Turned around, it is the same picture turned around: to less than a level of eight bits."""
    canvas = latents(model, 16, 40)

    decoded = decode_canvas(model, canvas, wrap=True)
    turned = decode_canvas(model, canvas.roll(13, dims=-1), wrap=True)

    difference = (turned.roll(-13 * model.cell_px, dims=-1) - decoded).abs()
    assert float(difference.max()) < 0.5 / 255


def test_a_picture_that_does_not_wrap_would_show_where_it_begins(model) -> None:
    """The check above is worth something."""
    canvas = latents(model, 16, 40)

    decoded = decode_canvas(model, canvas, wrap=False)
    turned = decode_canvas(model, canvas.roll(13, dims=-1), wrap=False)

    difference = (turned.roll(-13 * model.cell_px, dims=-1) - decoded).abs()
    assert float(difference.max()) > 1 / 255


def test_what_lies_further_off_than_the_halo_moves_nothing(model, monkeypatch) -> None:
    """Twice as many cells beyond the edges change no pixel by half a level of eight bits."""
    canvas = latents(model, 16, 24)

    decoded = decode_canvas(model, canvas, wrap=False)
    monkeypatch.setattr(decoding, "_HALO_CELLS", 2 * decoding._HALO_CELLS)
    further = decode_canvas(model, canvas, wrap=False)

    assert 0 < float((further - decoded).abs().max()) < 0.5 / 255
