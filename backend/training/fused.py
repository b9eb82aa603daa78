"""The plainest fusion of windows, to measure obedience to regions."""

from __future__ import annotations

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

WINDOW, STRIDE = 16, 8


def _encode(pipeline: StableDiffusionPipeline, prompt: str) -> Tensor:
    tokens = pipeline.tokenizer(
        [prompt, ""], padding="max_length", truncation=True, return_tensors="pt"
    ).input_ids
    return pipeline.text_encoder(tokens).last_hidden_state


@torch.inference_mode()
def fused_picture(
    pipeline: StableDiffusionPipeline,
    regions: list[tuple[str, Tensor]],
    seed: int,
    steps: int,
    guidance: float,
) -> Tensor:
    """One picture [height, width, 3] in 0..1 of prompts with masks [height / 8, width / 8] of 0, 1.

    The masks cover the canvas; both sides are whole multiples of half a window.
    """
    height, width = regions[0][1].shape
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(1, pipeline.unet.config.in_channels, height, width, generator=generator)
    texts = [_encode(pipeline, prompt) for prompt, _ in regions]
    pipeline.scheduler.set_timesteps(steps)
    for time in pipeline.scheduler.timesteps:
        total, weight = torch.zeros_like(latents), torch.zeros(1, 1, height, width)
        for top in range(0, height - WINDOW + 1, STRIDE):
            for left in range(0, width - WINDOW + 1, STRIDE):
                place = (..., slice(top, top + WINDOW), slice(left, left + WINDOW))
                for (_, mask), text in zip(regions, texts, strict=True):
                    part = mask[place]
                    if not part.any():
                        continue
                    made = pipeline.unet(latents[place].repeat(2, 1, 1, 1), time, text).sample
                    wanted, plain = made.chunk(2)
                    velocity = plain + guidance * (wanted - plain)
                    moved = pipeline.scheduler.step(velocity, time, latents[place]).prev_sample
                    total[place] += moved * part
                    weight[place] += part
        latents = total / weight
    picture = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    return (picture[0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1)
