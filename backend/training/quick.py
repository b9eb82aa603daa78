"""Distils the model into a LoRA for four steps: latent consistency (LCM, arXiv:2310.04378)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# The solver's steps and the guidance that are learned along, as LCMScheduler takes them.
SOLVER_STEPS, GUIDANCE = 50, 5.0
_STRIDE = 1000 // SOLVER_STEPS


def clean_and_noise(noisy: Tensor, velocity: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
    """The clean latents and the noise that a velocity means; `keep` [B, 1, 1, 1] is the alpha."""
    clean = keep.sqrt() * noisy - (1 - keep).sqrt() * velocity
    return clean, keep.sqrt() * velocity + (1 - keep).sqrt() * noisy


def consistency_loss(
    trainer: Any, latents: Tensor, text: Tensor, plain: Tensor, places: Tensor
) -> Tensor:
    """How far apart the clean pictures are that the LoRA sees from two neighbouring noise levels.

    trainer: has `velocity(noisy, times, text)`, `adapter.laid_on()` and `alphas` [1000]
    latents: clean [B, C, h, w]; text and plain: features [B, T, D] of captions and of no words
    places: steps [B] of the solver, 1 (nearly clean) to 50 (noise)
    """
    times = places * _STRIDE - 1
    keep = trainer.alphas[times].view(-1, 1, 1, 1)
    noisy = keep.sqrt() * latents + (1 - keep).sqrt() * torch.randn_like(latents)
    with torch.no_grad():
        both = trainer.velocity(noisy.repeat(2, 1, 1, 1), times.repeat(2), torch.cat([text, plain]))
        wanted, unguided = both.chunk(2)
        guided = unguided + GUIDANCE * (wanted - unguided)
        clean, noise = clean_and_noise(noisy, guided, keep)
        before = times - _STRIDE
        first = (before < 0).view(-1, 1, 1, 1)
        keep_before = trainer.alphas[before.clamp(min=0)].view(-1, 1, 1, 1)
        nearer = keep_before.sqrt() * clean + (1 - keep_before).sqrt() * noise
        with trainer.adapter.laid_on():
            seen = trainer.velocity(nearer, before.clamp(min=0), text)
        aim, _ = clean_and_noise(nearer, seen, keep_before)
        aim = torch.where(first, clean, aim)
    with trainer.adapter.laid_on():
        made, _ = clean_and_noise(noisy, trainer.velocity(noisy, times, text), keep)
    return functional.huber_loss(made, aim, delta=0.1)
