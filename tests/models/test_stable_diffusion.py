"""The bundled checkpoint behind the Denoiser protocol, and checkpoints that are damaged."""

import shutil
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models import latent_model, stable_diffusion
from tapestry_backend.models.autoencoder import tiled_vae
from tapestry_backend.models.stable_diffusion import StableDiffusion
from tapestry_protocol.errors import ErrorCode, TapestryError


@pytest.mark.parametrize(
    "prompt", ["", "red bricks", "zażółć gęślą jaźń 🌊", "word " * 400, "\n\t"]
)
def test_any_prompt_can_be_encoded(model, prompt: str) -> None:
    """Prompts of any language and length become conditions of one shape."""
    conditions = model.encode_prompts([prompt, "blue sky"])

    assert conditions.shape[0] == 2
    assert bool(torch.isfinite(conditions).all())


def test_pixels_survive_the_autoencoder(model) -> None:
    """A picture of plain colours comes back with its colours."""
    colours = torch.tensor([[-0.25, 0.25, 0.85], [0.4, -0.45, -0.55]])  # a sky and a brick
    pixels = colours.repeat_interleave(64, dim=0).T[None, :, :, None].expand(1, 3, 128, 128)
    decoded = model.decode(model.encode(pixels))

    assert decoded.shape == pixels.shape
    assert float((decoded - pixels).abs().mean()) < 0.1


def test_the_preview_has_the_pictures_colours(model) -> None:
    """The linear map gives, at one pixel per cell, about what the autoencoder would."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 3, 4, 4, generator=generator) * 2 - 1
    pixels = torch.nn.functional.interpolate(coarse, (128, 128), mode="bilinear")
    preview = model.preview(model.encode(pixels))
    small = torch.nn.functional.avg_pool2d(pixels, model.cell_px)

    assert preview.shape == (1, 3, 16, 16)
    assert float((preview - small).abs().mean()) < 0.2


def test_a_text_is_encoded_once_and_alone(catalogue: Catalogue, monkeypatch) -> None:
    """Whatever is encoded beside it, its numbers are the same, and another job has them at once."""
    model = StableDiffusion(catalogue.find("sample"), torch.device("cpu"), torch.float32)
    both = model.encode_prompts(["red bricks", "lava"])
    anew = []
    monkeypatch.setattr(model, "_encode_anew", anew.append)

    assert torch.equal(model.encode_prompts(["lava", "red bricks", "lava"]), both[[1, 0, 1]])
    assert not anew


def test_the_text_that_was_used_longest_ago_is_forgotten(model, monkeypatch) -> None:
    """No more than so many are kept, and one that is asked for again stays."""
    anew = []

    def encode_anew(text: str):
        anew.append(text)
        return StableDiffusion._encode_anew(model, text)

    monkeypatch.setattr(latent_model, "_MOST_TEXTS", 2)
    monkeypatch.setattr(model, "_texts", OrderedDict())
    monkeypatch.setattr(model, "_encode_anew", encode_anew)
    first = model.encode_prompts(["lava"])
    model.encode_prompts(["snow"])
    model.encode_prompts(["lava"])
    model.encode_prompts(["bamboo"])
    assert [key[0] for key in model._texts] == ["lava", "bamboo"]

    model.encode_prompts(["lava"])
    assert anew == ["lava", "snow", "bamboo"], "what was asked for again is still there"
    model.encode_prompts(["snow", "bamboo"])
    assert torch.equal(model.encode_prompts(["lava"]), first)
    assert anew[3:] == ["snow", "bamboo", "lava"], "each in its turn was forgotten"


def test_a_batch_is_as_large_as_memory_allows(model, monkeypatch) -> None:
    """One row at the least, and no more than what makes a row cheaper."""
    sizes = []
    for spare in (0, 60 * 2**20, 2**40):
        monkeypatch.setattr(stable_diffusion, "spare_bytes", lambda _device, spare=spare: spare)
        sizes.append(model.batch_size)

    assert sizes == [1, 6, 16]


def test_a_long_picture_is_decoded_in_bands_as_if_it_were_whole(model, monkeypatch) -> None:
    """Less memory, the same pixels; here from one window on."""
    latents = torch.randn(1, model.channels, 16, 48, generator=torch.Generator().manual_seed(0))
    whole = model.decode(latents)
    monkeypatch.setattr(model, "_frugal_bytes", tiled_vae.frugal_bytes(model._vae, 16 * 16))
    pieces = []
    in_bands = tiled_vae._in_bands
    monkeypatch.setattr(tiled_vae, "_in_bands", lambda *_: pieces.append(1) or in_bands(*_))
    bands = model.decode(latents)

    assert pieces, "it must have been another way to the same numbers"
    torch.testing.assert_close(bands, whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize("damage", ["truncated", "pickle only", "no scheduler"])
def test_damaged_weights_get_a_sentence(catalogue: Catalogue, tmp_path: Path, damage: str) -> None:
    """A folder whose configuration is fine but whose weights are not is refused, with advice."""
    folder = tmp_path / "model"
    shutil.copytree(catalogue.find("sample").path, folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "pickle only":
        weights.rename(weights.with_suffix(".bin"))
    else:
        shutil.rmtree(folder / "scheduler")
    entry = Catalogue([str(folder)]).find(str(folder))
    with pytest.raises(TapestryError) as caught:
        StableDiffusion(entry, torch.device("cpu"), torch.float32)

    assert caught.value.code is ErrorCode.MODEL_BROKEN
    assert "safetensors" in caught.value.advice
