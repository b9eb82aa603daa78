"""The map of differences as DiffEdit's authors describe it (Couairon et al. 2023, section 3.2).

Nothing of the engine's own map takes part in it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...engine.noise_schedule import sampling_steps
from ...models.denoiser import Denoiser

NOISES, STRENGTH, CLAMP, THRESHOLD = 10, 0.5, 3.0, 0.5


@torch.no_grad()
def difference_mask(
    model: Denoiser, clean: Tensor, source: str, target: str, steps: int, seed: int
) -> np.ndarray:
    """Where the predictions for two prompts differ, bool [h, w]; clean latents [1, C, h, w]."""
    scheduler = model.make_scheduler("ddim")
    scheduler.set_timesteps(steps)
    step = sampling_steps(scheduler)[round((1 - STRENGTH) * steps)]
    conditions = model.encode_prompts([target, source])
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(NOISES, *clean.shape[1:], generator=generator).to(clean)
    total = torch.zeros(clean.shape[-2:])
    for each in noise[:, None]:
        seen = (step.alpha * clean + step.sigma * each).repeat(2, 1, 1, 1)
        wanted, own = model.predict(seen, step.timestep, conditions).float().cpu()
        total += (wanted - own).abs().mean(dim=0)
    mean = total / NOISES
    clamped = mean.clamp(0, CLAMP * float(mean.mean())) / (CLAMP * float(mean.mean()))
    return (clamped > THRESHOLD).numpy()
