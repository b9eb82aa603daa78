"""Qwen-Image's autoencoder for films: pictures in bands, with the same numbers as whole."""

from __future__ import annotations

import diffusers
import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tapestry_backend.models.autoencoder import tiled_vae
from tapestry_backend.models.autoencoder.banded_attention import attend_in_bands
from tapestry_backend.models.autoencoder.one_frame import OneFrame
from tests.models.autoencoder.autoencoders import changing_latents
from tests.models.live_tensors import Costs

KIB = 1024
BUDGETS = (0, 200 * KIB, 3_000 * KIB)


def make_film_autoencoder(dims: tuple[int, ...] = (1, 2, 2)) -> diffusers.AutoencoderKLQwenImage:
    """Two ways of making larger, in time as well and not; random weights, in double precision."""
    torch.manual_seed(0)
    made = diffusers.AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=3,
        dim_mult=list(dims),
        num_res_blocks=1,
        temperal_downsample=[number % 2 == 1 for number in range(len(dims) - 1)],
        latents_mean=[0.0] * 3,
        latents_std=[1.0] * 3,
    )
    for name, weights in made.named_parameters():
        if name.endswith("gamma"):
            nn.init.normal_(weights, mean=1, std=0.3)
    return made.double().eval()


@pytest.fixture(scope="module")
def autoencoder() -> diffusers.AutoencoderKLQwenImage:
    """Three sizes."""
    return make_film_autoencoder()


@torch.no_grad()
def decoded_whole(autoencoder: diffusers.AutoencoderKLQwenImage, latents: Tensor) -> Tensor:
    """What diffusers decodes of a film of one."""
    return autoencoder.decode(latents[:, :, None]).sample[:, :, 0]


@torch.no_grad()
def encoded_whole(autoencoder: diffusers.AutoencoderKLQwenImage, pixels: Tensor) -> Tensor:
    """What diffusers encodes it to."""
    return autoencoder.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0]


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize(("height", "width"), [(5, 60), (60, 5), (16, 16)])
def test_bands_are_the_whole_picture(autoencoder, height: int, width: int, budget: int) -> None:
    """Decoded and encoded, at every size and budget, with real borders."""
    latents = changing_latents(height, width) / 4
    expected = decoded_whole(autoencoder, latents)
    made = tiled_vae.decode(OneFrame(autoencoder), latents, budget)

    assert made.shape == (1, 3, height * 4, width * 4)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-6)
    assert float((expected.abs() < 1).double().mean()) > 0.5
    read = tiled_vae.encode(OneFrame(autoencoder), expected, budget)
    torch.testing.assert_close(read, encoded_whole(autoencoder, expected), rtol=0, atol=1e-6)


def test_other_depths_and_several_pictures() -> None:
    """Two and four sizes of blocks, and a batch of two."""
    for dims in ((1, 2), (1, 1, 2, 2)):
        autoencoder = make_film_autoencoder(dims)
        latents = torch.cat([changing_latents(4, 40), changing_latents(4, 40).flip(-1)]) / 4
        expected = decoded_whole(autoencoder, latents)

        made = tiled_vae.decode(OneFrame(autoencoder), latents, 100 * KIB)
        torch.testing.assert_close(made, expected, rtol=0, atol=1e-6)


def test_bands_that_saw_less_would_show(autoencoder) -> None:
    """The check above is worth something: plain bands side by side fail it."""
    latents = changing_latents(5, 60) / 4
    naive = [decoded_whole(autoencoder, part) for part in latents.split(20, dim=-1)]

    difference = torch.cat(naive, dim=-1) - decoded_whole(autoencoder, latents)
    assert float(difference.abs().max()) > 1e-3


def test_what_fits_is_diffusers_own(autoencoder) -> None:
    """Bit for bit, and so is every small picture."""
    latents = changing_latents(8, 16) / 4
    for budget in (10**9, None):
        made = tiled_vae.decode(OneFrame(autoencoder), latents, budget)
        assert torch.equal(made, decoded_whole(autoencoder, latents))


def test_memory_keeps_to_the_budget_and_work_within_reason() -> None:
    """Half or a quarter of the memory, less than half as much work again: nothing needs norms."""
    autoencoder = make_film_autoencoder()
    latents = changing_latents(8, 256) / 4
    with Costs() as plain:
        decoded_whole(autoencoder, latents)
    for share in (1 / 2, 1 / 4):
        budget = int(plain.peak_bytes * share)
        with Costs() as bands:
            tiled_vae.decode(OneFrame(autoencoder), latents, budget)

        assert bands.peak_bytes < 1.2 * budget
        assert bands.multiplications < 1.5 * plain.multiplications


def test_attention_sees_all_of_a_picture(autoencoder) -> None:
    """So a part of it is not decoded by itself."""
    assert not tiled_vae.decodes_locally(OneFrame(autoencoder))
    assert tiled_vae.frugal_bytes(OneFrame(autoencoder), 64) == float("inf")


@pytest.mark.parametrize("frames", [1, 3])
def test_attention_in_bands_is_attention(frames: int) -> None:
    """Of every frame alone, and without a number for every pair of cells."""
    autoencoder = make_film_autoencoder()
    block = autoencoder.decoder.mid_block.attentions[0]
    film = torch.randn(
        2, 16, frames, 6, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        expected = block(film)
        attend_in_bands(autoencoder)
        assert torch.equal(block(film), expected)
        with Costs() as whole:
            block(film)
        attend_in_bands(autoencoder, (6 * 20) ** 2 // 10)
        with Costs() as bands:
            made = block(film)

    torch.testing.assert_close(made, expected)
    assert bands.peak_bytes < whole.peak_bytes


def test_another_build_is_decoded_whole(autoencoder) -> None:
    """Blocks that are not known may see everything."""
    other = make_film_autoencoder()
    other.encoder.down_blocks.append(nn.Identity())
    other.decoder.up_blocks.append(nn.Identity())

    assert OneFrame(other).decoder_chain is None
    assert OneFrame(other).encoder_chain is None
