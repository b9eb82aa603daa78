"""An autoencoder that goes beyond half precision works in single precision instead."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tapestry_backend.checkpoints.catalogue import SAMPLE, Catalogue
from tapestry_backend.models.stable_diffusion import StableDiffusion
from tests.checkpoints.hostile_folders import sound_folder

SCALES = {"decoder.layers.6.weight": 2.0**16, "decoder.layers.11.weight": 2.0**-14}
"""Between these layers, numbers go beyond what half precision holds (65,504)."""


def loaded(folder: Path, dtype: torch.dtype) -> StableDiffusion:
    """The model in a folder."""
    return StableDiffusion(Catalogue([str(folder)]).find(str(folder)), torch.device("cpu"), dtype)


@pytest.fixture(scope="module")
def folder(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model, with a decoder that goes far beyond and comes back."""
    folder = sound_folder(catalogue.find(SAMPLE).path, tmp_path_factory.mktemp("half") / "model")
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    for name, scale in SCALES.items():
        tensors[name] = tensors[name] * scale
    save_file({name: tensor.half() for name, tensor in tensors.items()}, path)
    return folder


@pytest.mark.promise("R7")
def test_an_overflowing_autoencoder_falls_back_to_single_precision(folder: Path, measured) -> None:
    """Exactly what single precision makes of the same weights, and only where that is needed."""
    half, single = loaded(folder, torch.float16), loaded(folder, torch.float32)
    latents = torch.randn(1, half.channels, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = half._vae.decode(latents.half(), return_dict=False)[0]
    assert not bool(torch.isfinite(plain).all())
    decoded = half.decode(latents.half())
    reference = single.decode(latents.half().float())
    assert bool(torch.isfinite(decoded).all())
    assert torch.equal(decoded, reference.half())
    assert half._vae.dtype == torch.float32
    assert half._unet.dtype == torch.float16
    measured("a decoder beyond 65,504: single precision, the same picture")


def test_what_is_given_is_not_blamed_on_the_decoder(catalogue: Catalogue) -> None:
    """Latents that are not finite stay what they are, and the decoder its precision."""
    half = StableDiffusion(catalogue.find(SAMPLE), torch.device("cpu"), torch.float16)
    latents = torch.full((1, half.channels, 4, 4), torch.nan, dtype=torch.float16)
    half.decode(latents)
    assert half._vae.dtype == torch.float16
