"""Clip skip: earlier layers of CLIP's text encoders, as diffusers reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.models.text.pack_conditioning import unpack
from tapestry_backend.tasks.run import run
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Request
from tests.models.tiny_checkpoints import save_checkpoint, save_flux, save_xl

LAYERS = 4


def deeper(folder: Path, *names: str) -> Path:
    """The checkpoint with text encoders of more layers."""
    for number, name in enumerate(names):
        part = folder / name
        config = transformers.CLIPTextConfig.from_pretrained(part)
        config.num_hidden_layers = LAYERS
        torch.manual_seed(number)
        kind = "CLIPTextModelWithProjection" if name.endswith("2") else "CLIPTextModel"
        getattr(transformers, kind)(config).save_pretrained(part)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of Stable Diffusion 1.5's kind."""
    return deeper(save_checkpoint(tmp_path_factory.mktemp("skip") / "sd15"), "text_encoder")


def model_in(folder: Path, skip: int) -> Any:
    """The loaded model, for a job that leaves out so many layers."""
    model = ModelCache(Catalogue([str(folder)])).load(str(folder))
    model.clip_skip = skip
    return model


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_prompts_are_read_as_diffusers_reads_them(plain: Path, skip: int) -> None:
    """Bit for bit; each number gives other conditions."""
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        plain, safety_checker=None, local_files_only=True
    )
    encoder = pipeline.text_encoder
    if not hasattr(encoder, "text_model"):  # where this transformers has no such part any more
        object.__setattr__(encoder, "text_model", encoder)
    theirs, _ = pipeline.encode_prompt(
        "red snow", "cpu", 1, do_classifier_free_guidance=False, clip_skip=skip or None
    )
    ours = model_in(plain, skip).encode_prompts(["red snow"])
    assert torch.equal(ours, theirs)
    other = model_in(plain, (skip + 1) % 3).encode_prompts(["red snow"])
    assert not torch.equal(ours, other)


def test_two_encoders_skip_as_many(tmp_path: Path) -> None:
    """The pooled embedding stays what it is."""
    folder = deeper(save_xl(tmp_path / "xl"), "text_encoder", "text_encoder_2")
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    theirs, _, pooled, _ = pipeline.encode_prompt(
        "red snow", device="cpu", do_classifier_free_guidance=False, clip_skip=1
    )
    tokens, (own,) = unpack(model_in(folder, 1).encode_prompts(["red snow"]), (32,))
    assert torch.equal(tokens, theirs)
    assert torch.equal(own, pooled)


def notices_of(folder: Path, skip: int) -> Iterator[str]:
    """What a job says about itself."""
    request = Request(
        "generate", 64, 64, "snow", model=str(folder), num_inference_steps=1, clip_skip=skip
    )
    *_, finished = run(request, {}, ModelCache(Catalogue([str(folder)])))
    yield from finished.report["notices"]


def test_a_job_keeps_its_own_number(plain: Path) -> None:
    """The next one starts from nothing left out; too many are refused with a sentence."""
    model_cache = ModelCache(Catalogue([str(plain)]))

    def latents(skip: int) -> bytes:
        request = Request(
            "generate", 64, 64, "snow", model=str(plain), num_inference_steps=2, clip_skip=skip
        )
        *_, finished = run(request, {}, model_cache)
        return finished.pixels.data

    first, skipped, again = latents(0), latents(2), latents(0)
    assert first == again != skipped
    with pytest.raises(TapestryError, match=f"has {LAYERS} layers: {LAYERS} cannot be left out"):
        latents(LAYERS)


def test_a_model_without_clips_layers_says_so(tmp_path: Path) -> None:
    """FLUX.1 reads the pooled embedding alone."""
    folder = save_flux(tmp_path / "flux")
    told = [notice for notice in notices_of(folder, 1) if "clip skip" in notice]
    assert len(told) == 1
    assert not [notice for notice in notices_of(folder, 0) if "clip skip" in notice]
