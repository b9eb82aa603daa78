"""Decoding and encoding in bands: the same numbers as whole, in bounded memory."""

from __future__ import annotations

import diffusers
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_backend.models.autoencoder import tiled_vae
from tapestry_backend.models.autoencoder.vae_layers import decoder_chain
from tests.models.autoencoder.autoencoders import changing_latents, make_autoencoder
from tests.models.live_tensors import Costs

ONE_LEVEL = 2 / 255
"""The smallest difference that an 8-bit picture can show, in -1..1."""

KIB = 1024
BUDGETS = (0, 50 * KIB, 500 * KIB, 3_000 * KIB)
"""From bands as short as they can be to activations that are kept after almost every part."""


@pytest.fixture(scope="module")
def autoencoder() -> diffusers.AutoencoderKL:
    """Three sizes, as many layers as Stable Diffusion's."""
    return make_autoencoder((8, 16, 16), layers=2)


@torch.no_grad()
def whole(autoencoder: diffusers.AutoencoderKL, latents: Tensor) -> Tensor:
    """What diffusers decodes."""
    return autoencoder.decode(latents).sample


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize(("height", "width"), [(9, 83), (83, 9), (40, 40)])
def test_bands_are_the_whole_picture(autoencoder, height: int, width: int, budget: int) -> None:
    """Group norms, attention, real borders: to the last digits, at every size and budget."""
    latents = changing_latents(height, width)

    decoded = tiled_vae.decode(autoencoder, latents, budget)

    assert decoded.shape == (1, 3, height * 4, width * 4)
    assert torch.allclose(decoded, whole(autoencoder, latents), rtol=0, atol=1e-10)


def test_other_depths_are_the_whole_picture_too() -> None:
    """Two and four sizes of blocks, one layer each; a batch of two with statistics of their own."""
    for blocks in ((8, 8), (4, 8, 8, 16)):
        autoencoder = make_autoencoder(blocks, layers=1)
        latents = torch.cat([changing_latents(8, 50), changing_latents(8, 50).flip(-1) * 2])

        decoded = tiled_vae.decode(autoencoder, latents, 100 * KIB)

        assert torch.allclose(decoded, whole(autoencoder, latents), rtol=0, atol=1e-10)


def test_single_precision_shows_no_difference(autoencoder) -> None:
    """In the precision of a real run, a hundredth of what eight bits can show."""
    single = make_autoencoder((8, 16, 16), layers=2).float()
    latents = changing_latents(12, 100).float()

    decoded = tiled_vae.decode(single, latents, 100 * KIB)

    assert float((decoded - whole(single, latents)).abs().max()) < ONE_LEVEL / 100


def test_bands_with_statistics_of_their_own_would_show(autoencoder) -> None:
    """The check above is worth something: plain bands, with all they reach around them, fail it."""
    latents = changing_latents(9, 83)
    expected = whole(autoencoder, latents)
    naive = [
        whole(autoencoder, latents[..., max(0, start - 20) : start + 40])[
            ..., min(start, 20) * 4 : (min(start, 20) + 20) * 4
        ]
        for start in range(0, 80, 20)
    ]

    difference = torch.cat(naive, dim=-1) - expected[..., : 80 * 4]

    assert float(difference.abs().max()) > ONE_LEVEL


def test_a_picture_that_wraps_is_the_same_in_bands(autoencoder) -> None:
    """Continued around its edges, decoded and cut: in bands as whole, on both sides of the wrap."""
    latents = functional.pad(changing_latents(10, 60), (8, 8, 0, 0), mode="circular")
    cut = slice(8 * 4, -8 * 4)

    decoded = tiled_vae.decode(autoencoder, latents, 100 * KIB)[..., cut]

    assert torch.allclose(decoded, whole(autoencoder, latents)[..., cut], rtol=0, atol=1e-10)


def test_latents_that_fit_are_decoded_whole(autoencoder) -> None:
    """Bit for bit what diffusers decodes; and without a budget, so is every small picture."""
    latents = changing_latents(8, 16)

    for budget in (10**9, None):
        decoded = tiled_vae.decode(autoencoder, latents, budget)
        assert torch.equal(decoded, whole(autoencoder, latents))


def test_memory_keeps_to_the_budget_and_work_within_reason(autoencoder) -> None:
    """With half or a quarter of the memory, less than twice or four times the work."""
    latents = changing_latents(16, 256)
    with Costs() as plain:
        whole(autoencoder, latents)
    for share, work in ((1 / 2, 2), (1 / 4, 4)):
        budget = int(plain.peak_bytes * share)
        with Costs() as bands:
            tiled_vae.decode(autoencoder, latents, budget)

        assert bands.peak_bytes < 1.2 * budget
        assert bands.multiplications < work * plain.multiplications


def test_memory_is_bounded_along_the_picture(autoencoder) -> None:
    """Where nothing large may be kept, four times the length takes hardly more for the bands."""
    peaks = []
    for width in (128, 512):
        latents = changing_latents(4, width)
        with Costs() as bands:
            decoded = tiled_vae.decode(autoencoder, latents, 0)
        start = decoder_chain(autoencoder).before(latents)
        at_latent_size = 6 * start.nbytes  # attention: queries, keys, values, sums
        peaks.append(bands.peak_bytes - decoded.nbytes - at_latent_size)

    assert peaks[1] <= peaks[0] + at_latent_size


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize(("height", "width"), [(36, 332), (332, 36)])
def test_encoding_in_bands_is_encoding_whole(
    autoencoder, height: int, width: int, budget: int
) -> None:
    """The encoder halves with zeros on one side alone; bands begin where the whole would."""
    pixels = changing_latents(height, width).tanh()
    before = pixels.clone()
    with torch.no_grad():
        expected = autoencoder.encode(pixels).latent_dist.mode()

    encoded = tiled_vae.encode(autoencoder, pixels, budget)

    assert torch.allclose(encoded, expected, rtol=0, atol=1e-10)
    assert torch.equal(pixels, before)


@pytest.mark.parametrize(("height", "width"), [(4, 75), (75, 4)])
def test_the_bundled_autoencoder_is_exact_in_bands(double_model, height: int, width: int) -> None:
    """Without group norms, as much beyond the ends of a band as the layers reach is enough."""
    autoencoder = double_model._vae
    latents = changing_latents(height, width, channels=double_model.channels)
    with torch.no_grad():
        pixels = autoencoder.decode(latents).sample
        expected = autoencoder.encode(pixels).latents

    assert torch.allclose(tiled_vae.decode(autoencoder, latents, 0), pixels, rtol=0, atol=1e-10)
    assert torch.allclose(tiled_vae.encode(autoencoder, pixels, 0), expected, rtol=0, atol=1e-10)


def test_the_bundled_autoencoder_needs_all_of_its_reach(double_model) -> None:
    """One cell less around the bands, and they are not exact any more."""
    autoencoder = double_model._vae
    (part,) = decoder_chain(autoencoder).parts
    latents = changing_latents(8, 3 * part.reach, channels=double_model.channels)
    with torch.no_grad():
        pixels = autoencoder.decode(latents).sample
        shorter = autoencoder.decode(latents[..., 3:]).sample

    seen = (part.reach + 3) * double_model.cell_px
    assert torch.allclose(shorter[..., part.reach * 8 :], pixels[..., seen:], rtol=0, atol=1e-10)
    nearer = (part.reach - 4) * double_model.cell_px
    assert not torch.allclose(shorter[..., nearer:], pixels[..., nearer + 24 :], rtol=0, atol=1e-10)


def test_the_bundled_autoencoder_takes_less_memory_in_bands(model) -> None:
    """A panorama of the bundled model in half of the memory with less than half as much again."""
    latents = changing_latents(8, 600, channels=model.channels).float()
    with Costs() as plain, torch.no_grad():
        model._vae.decode(latents)
    with Costs() as bands:
        tiled_vae.decode(model._vae, latents, plain.peak_bytes // 2)

    assert bands.peak_bytes < plain.peak_bytes * 0.6
    assert bands.multiplications < 1.5 * plain.multiplications


def test_a_decoder_of_another_build_is_decoded_whole() -> None:
    """Attention at full size sees everything: no band could be right."""
    autoencoder = diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        up_block_types=("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=3,
        norm_num_groups=4,
    ).eval()
    latents = changing_latents(8, 24).float()
    with torch.no_grad():
        expected = autoencoder.encode(whole(autoencoder, latents)).latent_dist.mode()

    assert torch.equal(tiled_vae.decode(autoencoder, latents, 0), whole(autoencoder, latents))
    assert torch.equal(tiled_vae.encode(autoencoder, whole(autoencoder, latents), 0), expected)
