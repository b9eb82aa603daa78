"""Tiny checkpoints with random weights in diffusers' folder layout; tests nothing itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from tapestry_backend.models.catalogue import SAMPLE, Catalogue

BLOCKS = (16, 16, 16)
FACTOR = 4
"""Pixels on a side of a cell, after as many blocks."""
WINDOW = 16
"""The model's own size, in cells."""


def save_checkpoint(
    folder: Path,
    *,
    prediction_type: str = "epsilon",
    channels: int = 3,
    in_channels: int | None = None,
    scheduler: Any = None,
) -> Path:
    """A checkpoint with an AutoencoderKL of factor 4 and the bundled model's tokenizer."""
    torch.manual_seed(0)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(
        Catalogue().find(SAMPLE).path / "tokenizer"
    )
    inpaints = in_channels is not None and in_channels > channels
    pipeline = "StableDiffusionInpaintPipeline" if inpaints else "StableDiffusionPipeline"
    getattr(diffusers, pipeline)(
        vae=_autoencoder(channels),
        text_encoder=_text_encoder(tokenizer),
        tokenizer=tokenizer,
        unet=_unet(in_channels or channels, channels),
        scheduler=scheduler or _ddim(prediction_type),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def _autoencoder(channels: int) -> diffusers.AutoencoderKL:
    return diffusers.AutoencoderKL(
        block_out_channels=BLOCKS,
        down_block_types=("DownEncoderBlock2D",) * len(BLOCKS),
        up_block_types=("UpDecoderBlock2D",) * len(BLOCKS),
        latent_channels=channels,
        norm_num_groups=8,
    )


def _text_encoder(tokenizer: transformers.CLIPTokenizer) -> transformers.CLIPTextModel:
    return transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def _unet(in_channels: int, out_channels: int) -> diffusers.UNet2DConditionModel:
    return diffusers.UNet2DConditionModel(
        sample_size=WINDOW,
        in_channels=in_channels,
        out_channels=out_channels,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=8,
        layers_per_block=1,
        norm_num_groups=8,
    )


def _ddim(prediction_type: str) -> diffusers.DDIMScheduler:
    return diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
