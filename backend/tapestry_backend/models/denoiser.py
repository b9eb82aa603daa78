"""The small protocol behind which every family of checkpoints runs; no implementation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor


class Denoiser(Protocol):
    """A loaded checkpoint on `device`; its results are in `dtype`, what it is given need not be."""

    id: str
    window: int
    """The size at which the model paints best, in latent cells."""
    cell_px: int
    """Pixels on a side of a latent cell."""
    channels: int
    """Channels of the latents."""
    device: torch.device
    dtype: torch.dtype

    def make_scheduler(self) -> Any:
        """A scheduler of diffusers with the checkpoint's configuration, for one job."""
        ...

    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> conditions [N, T, D]."""
        ...

    def predict(self, latents: Tensor, timestep: Tensor, conditions: Tensor) -> Tensor:
        """The model's output [B, C, h, w] for latents [B, C, h, w] at one timestep []."""
        ...

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in -1..1 -> latents [B, C, H / cell_px, W / cell_px]."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Latents [B, C, h, w] -> pixels [B, 3, h * cell_px, w * cell_px] in -1..1."""
        ...

    def preview(self, latents: Tensor) -> Tensor:
        """Latents [B, C, h, w] -> a rough picture [B, 3, h, w] in -1..1, at hardly any cost."""
        ...
