"""Inputs for networks of control pictures."""

from __future__ import annotations

import torch

from tapestry_backend.engine.noise import canvas_noise
from tapestry_backend.engine.windows import Size
from tests.models.adapters.conftest import CHANNELS
from tests.models.tiny_checkpoints import FACTOR, WINDOW

SIDE = WINDOW * FACTOR


SETTINGS = {
    "num_inference_steps": 4,
    "guidance_scale": 5.0,
    "height": SIDE,
    "width": SIDE,
    "output_type": "latent",
}


def noise() -> torch.Tensor:
    """What a run with the seed 0 begins with."""
    return canvas_noise(0, CHANNELS, Size(WINDOW, WINDOW))
