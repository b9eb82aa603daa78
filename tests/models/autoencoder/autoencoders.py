"""Autoencoders with random weights, and latents for them."""

from __future__ import annotations

import diffusers
import torch
from torch import Tensor, nn


def make_autoencoder(blocks: tuple[int, ...], layers: int) -> diffusers.AutoencoderKL:
    """An AutoencoderKL with attention and random weights, its norms' too, in double precision."""
    torch.manual_seed(0)
    autoencoder = diffusers.AutoencoderKL(
        block_out_channels=blocks,
        down_block_types=("DownEncoderBlock2D",) * len(blocks),
        up_block_types=("UpDecoderBlock2D",) * len(blocks),
        latent_channels=3,
        norm_num_groups=4,
        layers_per_block=layers,
    )
    for module in autoencoder.modules():
        if isinstance(module, nn.GroupNorm):
            nn.init.normal_(module.weight, mean=1, std=0.3)
            nn.init.normal_(module.bias, std=0.3)
    return autoencoder.double().eval()


def changing_latents(height: int, width: int, channels: int = 3) -> Tensor:
    """Latents whose mean and spread change along both axes: no band has the whole's statistics."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(1, channels, height, width, generator=generator, dtype=torch.float64)
    down = torch.linspace(-1, 1, height, dtype=torch.float64)[:, None]
    right = torch.linspace(-2, 2, width, dtype=torch.float64)
    return noise * (1 + right.abs()) + down + right
