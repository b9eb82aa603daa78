"""What the adapters are trained on, and how they begin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tapestry_backend.models.model_cache import ModelCache
from training.adapter_data import INK, PAPER, POOL, in_ink, scribble
from training.draw import draw_one
from training.evaluate_adapters import agreement, cases, colours_apart, distance_to_ink, paint
from training.train_adapters import (
    ADAPTERS_FOLDER,
    LORA_NAME,
    T2I_NAME,
    Trainer,
    UnetLora,
    brushed,
    build_t2i,
)


def a_square() -> torch.Tensor:
    """White on black: [3, 64, 64] in 0..1."""
    picture = torch.zeros(3, 64, 64)
    picture[:, 16:48, 16:48] = 1
    return picture


def drawing(number: int) -> torch.Tensor:
    """A drawn picture [3, 144, 144] in 0..1."""
    pixels, _ = draw_one(3, POOL, number)
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def test_ink_has_its_colours_and_a_picture_has_not() -> None:
    """All between ink and paper, and both of them."""
    pictures = torch.stack([drawing(number) for number in range(4)])
    inked = in_ink(pictures)

    assert inked.shape == pictures.shape
    assert distance_to_ink(inked[0]) < 1e-5
    assert distance_to_ink(pictures[0]) > 0.05
    for colour in (INK, PAPER):
        apart = (inked - torch.tensor(colour)[:, None, None]).abs().amax(dim=1)
        assert float(apart.min()) < 0.01


def test_a_scribble_is_the_outline() -> None:
    """Thick, black and white, and nothing where nothing is."""
    lines = scribble(a_square())

    assert set(lines.unique().tolist()) == {0.0, 1.0}
    assert bool((lines[0, 30:34, 12:20].sum(dim=1) >= 3).all())
    assert not bool(lines[0, 28:36, 26:38].any())
    assert not bool(scribble(torch.full((3, 64, 64), 0.5)).any())


def test_a_picture_agrees_with_its_own_scribble_alone() -> None:
    """From 0 to 1."""
    square = a_square()
    other = square.roll((20, 20), dims=(1, 2))

    assert agreement(square, scribble(square)) > 0.99
    assert agreement(other, scribble(square)) < 0.6
    assert agreement(torch.zeros(3, 64, 64), scribble(square)) < 0.01


def test_colours_are_compared_where_they_are() -> None:
    """Finer things do not count; another place does."""
    square = a_square()
    fine = square.clone()
    fine[:, 16:48:2, 16:48] = 0.5
    fine[:, 17:48:2, 16:48] = 1

    assert colours_apart(square, square) == 0
    assert 0 < colours_apart(fine, square) < colours_apart(square.roll(16, dims=1), square)


def test_the_bundled_ones_are_small() -> None:
    """A LoRA of less than 1 MB, a T2I-Adapter of less than 3.6 MB."""
    scribbles = (ADAPTERS_FOLDER / T2I_NAME).iterdir()

    assert 10_000 < (ADAPTERS_FOLDER / LORA_NAME).stat().st_size < 1_000_000
    assert 10_000 < sum(path.stat().st_size for path in scribbles) < 3_600_000


def test_the_bundled_scribbles_are_obeyed(model_cache: ModelCache) -> None:
    """Outlines of pictures agree with scribbles of drawings that no training has seen.

    A weight of 0 equals none.
    """
    without, obeying = [], []
    for number, (unseen, words) in enumerate(cases(4, seed=123)):
        hint = scribble(unseen)
        plain = paint(model_cache, words, number)
        without.append(agreement(plain, hint))
        obeying.append(agreement(paint(model_cache, words, number, hint), hint))
        if number == 0:
            assert torch.equal(paint(model_cache, words, number, hint, weight=0), plain)

    assert np.mean(obeying) > np.mean(without) + 0.03


def test_a_lora_begins_as_none_and_learns(model) -> None:
    """Its second half is zero, and has a gradient."""
    unet = model._unet
    lora = UnetLora(unet)
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(1, 10, 8, 8, generator=generator)
    told = (torch.tensor([500]), torch.randn(1, 4, 128, generator=generator))
    plain = unet(given, *told).sample
    with lora.laid_on():
        laid = unet(given, *told).sample
    laid.square().mean().backward()

    assert torch.equal(laid, plain)
    assert all(bool(up.grad.abs().any()) for up in lora.ups.values())
    unet.zero_grad(set_to_none=True)


def test_a_t2i_adapter_fits_the_models_levels(model) -> None:
    """One feature for each of the U-Net's three, and one for its middle."""
    made = build_t2i()(torch.zeros(1, 1, 128, 128))

    sizes = [(96, 8, 8), (128, 8, 8), (160, 4, 4), (160, 4, 4)]
    assert [tuple(part.shape[1:]) for part in made] == sizes
    assert [part.shape[1] for part in made[:3]] == list(model._unet.config.block_out_channels)
    assert np.isfinite(made[0].detach().numpy()).all()


def test_lines_are_thicker_now_and_then() -> None:
    """And never thinner."""
    rng, lines = np.random.default_rng(0), scribble(a_square())
    drawn = [brushed(rng, lines) for _ in range(40)]
    thicker = [made for made in drawn if not torch.equal(made, lines)]

    assert 4 < len(thicker) < 20
    assert all(bool((made >= lines).all()) for made in drawn)
    assert all(made.sum() > 1.5 * lines.sum() for made in thicker)


@pytest.mark.parametrize("what", ["lora", "t2i"])
def test_the_adapter_alone_learns(what: str) -> None:
    """The model beside it stands still."""
    torch.manual_seed(0)
    trainer = Trainer(what)
    latents, hints = torch.randn(2, 10, 16, 16), (torch.rand(2, 1, 128, 128) > 0.9).float()
    trainer.loss(latents, hints, torch.ones(2, 40, dtype=torch.long)).backward()
    learning = {name for name, p in trainer.adapter.named_parameters() if p.grad is not None}

    assert learning == {name for name, _ in trainer.adapter.named_parameters()}
    assert all(p.grad is None for p in trainer.unet.parameters())
    assert all(p.grad is None for p in trainer.text_encoder.parameters())
