"""A tiny checkpoint with its adapters, and what a request makes of them before it is decoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.engine.noise import canvas_noise
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.messages import Request
from tests.models.adapters.tiny_adapters import (
    save_controlnet,
    save_ip_adapter,
    save_kohya_lora,
    save_peft_lora,
    save_t2i_adapter,
)
from tests.models.latents_of_run import latents_of_run
from tests.models.tiny_checkpoints import WINDOW, save_checkpoint

CHANNELS = 4
LatentsOf = Callable[..., Tensor]


def open_pipeline(folder: Path, kind: str = "StableDiffusionPipeline", **parts: Any) -> Any:
    """Diffusers' own pipeline of the checkpoint."""
    pipeline = getattr(diffusers, kind).from_pretrained(
        folder, safety_checker=None, local_files_only=True, **parts
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def painted(pipeline: Any) -> Tensor:
    """What diffusers ends with: the latents of one window."""
    return pipeline(
        "snow",
        latents=canvas_noise(0, CHANNELS, Size(WINDOW, WINDOW)),
        num_inference_steps=3,
        guidance_scale=5.0,
        height=64,
        width=64,
        output_type="latent",
    ).images


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A tiny checkpoint with two blocks."""
    return save_checkpoint(tmp_path_factory.mktemp("adapters") / "tiny", channels=CHANNELS)


@pytest.fixture(scope="session")
def adapters(tmp_path_factory, checkpoint: Path) -> Path:
    """A folder with one adapter of each kind and format."""
    folder = tmp_path_factory.mktemp("adapters") / "adapters"
    folder.mkdir()
    save_peft_lora(folder / "peft.safetensors", open_pipeline(checkpoint))
    save_peft_lora(folder / "rs.safetensors", open_pipeline(checkpoint), rslora=True)
    pipeline = open_pipeline(checkpoint)
    twin = folder / "peft.safetensors"
    save_kohya_lora(folder / "kohya.safetensors", twin, ("unet",))
    save_kohya_lora(folder / "kohya-all.safetensors", twin, ("unet", "text_encoder"))
    save_controlnet(folder / "edges", pipeline.unet)
    save_controlnet(folder / "depth", pipeline.unet, seed=8)
    save_t2i_adapter(folder / "sketch", pipeline.unet)
    save_ip_adapter(folder / "look.safetensors", pipeline.unet)
    save_ip_adapter(folder / "look-plus.safetensors", pipeline.unet, plus=True)
    save_t2i_adapter(folder / "grey", pipeline.unet, in_channels=1, seed=9)
    return folder


@pytest.fixture(scope="session")
def adapted_cache(checkpoint: Path, adapters: Path) -> ModelCache:
    """A model cache with the tiny checkpoint and all adapters."""
    return ModelCache(Catalogue([str(checkpoint)], adapters=[str(adapters)]))


@pytest.fixture
def latents_of(checkpoint: Path, adapted_cache: ModelCache) -> LatentsOf:
    """The latents that a request ends with; its fields, and the blobs it refers to."""

    def paint(blobs: dict[str, bytes] | None = None, **fields: Any) -> Tensor:
        settings = {"height": 64, "width": 64, "prompt": "snow", "num_inference_steps": 3}
        request = Request("generate", **{**settings, "model": str(checkpoint), **fields})
        return latents_of_run(request, blobs or {}, adapted_cache)

    return paint


def near(ours: Tensor, theirs: Tensor) -> None:
    """Raises AssertionError when they differ by more than rounding."""
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
