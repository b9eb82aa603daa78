"""Inputs for models of every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from tapestry_backend.engine.noise import canvas_noise
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.messages import Request
from tests.models.latents_of_run import latents_of_run
from tests.models.tiny_checkpoints import FACTOR, WINDOW

SIDE = WINDOW * FACTOR


STEPS = 3


def latents_of(
    model_cache: ModelCache, folder: Path, *, blobs: Any = None, **fields: Any
) -> Tensor:
    """What a request ends with."""
    settings = {"num_inference_steps": STEPS, "guidance_scale": 5.0, "model": str(folder)}
    settings |= {"height": SIDE, "width": SIDE, "prompt": "snow", **fields}
    return latents_of_run(Request("generate", **settings), blobs or {}, model_cache)


def of_window(pipeline: Any, family: str, **asked: Any) -> Tensor:
    """What the pipeline of a transformer ends with, as latents of a window."""
    noise = canvas_noise(0, 4, Size(WINDOW, WINDOW))
    if family == "flux":
        noise = pipeline._pack_latents(noise, 1, 4, WINDOW, WINDOW)
    made = pipeline(
        "snow",
        latents=noise,
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        height=SIDE,
        width=SIDE,
        output_type="latent",
        **asked,
    ).images
    if family == "flux":
        made = pipeline._unpack_latents(made, SIDE, SIDE, FACTOR)
    return made
