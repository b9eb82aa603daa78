"""Loads models when they are needed and keeps the last one; decides device and precision."""

from __future__ import annotations

import os

import torch

from ..engine.out_of_memory import release
from .catalogue import Catalogue
from .denoiser import Denoiser
from .stable_diffusion import StableDiffusion

DEVICE_VARIABLE = "TAPESTRY_DEVICE"
"""An environment variable: "cpu", "cuda:0", "cuda:1" ..."""


class ModelStore:
    """The models of one worker. Loading another model lets the one before go."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.device = best_device()
        self.dtype = torch.float32 if self.device.type == "cpu" else torch.float16
        self._loaded: Denoiser | None = None

    def load(self, model_id: str) -> Denoiser:
        """The model with this id; raises TapestryError when there is none or it is damaged."""
        entry = self.catalogue.find(model_id)
        if self._loaded is None or self._loaded.id != model_id:
            self._loaded = None  # before the next one is loaded: both may not fit
            release()
            self._loaded = StableDiffusion(entry, self.device, self.dtype)
        return self._loaded


def best_device() -> torch.device:
    """The device that TAPESTRY_DEVICE names, where this machine has it; else its fastest."""
    wanted = os.environ.get(DEVICE_VARIABLE, "")
    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if wanted in {"cpu", *cards}:
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def device_name(device: torch.device) -> str:
    """What an artist would call the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"cpu": "CPU", "mps": "Apple GPU"}[device.type]
