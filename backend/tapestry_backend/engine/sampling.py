"""From noise to a picture's latents, step by step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .layers import Layers
from .noise_schedule import SamplingStep, begin, model_input, noised, pure_noise, sampling_steps

Denoise = Callable[[Tensor, SamplingStep], Tensor]
"""(latents [L, C, H, W] scaled for the model, the step) -> prediction [L, C, H, W]."""

Steer = Callable[[Tensor, SamplingStep], Tensor]
"""(the picture [L, C, H, W] as the model sees it behind the noise, the step) -> a better one."""


class Step(NamedTuple):
    """What the caller sees after each step.

    latents, denoised: the state [L, C, H, W], and the guess of the end that it came from, fused
    [1, C, H, W]. number, count: the first step that is taken has the number 1, the last one the
    count.
    """

    number: int
    count: int  # type: ignore[assignment]  # in the place of tuple's own method
    latents: Tensor
    denoised: Tensor


@dataclass(frozen=True)
class Known:
    """A picture that is there already: latents [1, C, H, W], and how long each cell keeps to it.

    keep [H, W] in 0..1, or [L, 1, H, W] for each row of latents: the share of the steps during
    which a cell follows the known picture. 1 is kept to the end, 0 is free from the start; 0.6 for
    all is a start from the picture with 40 % of the noise to go (SDEdit, Meng et al. 2022).
    """

    latents: Tensor
    keep: Tensor


@torch.no_grad()
def sample(
    denoise: Denoise,
    scheduler: Any,
    noise: Tensor,
    num_inference_steps: int,
    generator: torch.Generator,
    known: Known | None = None,
    steer: Sequence[Steer] = (),
    layers: Layers | None = None,
) -> Iterator[Step]:
    """Sample with a scheduler of diffusers; the last step's latents are the picture.

    noise [L, C, H, W] is standard normal, with a row for each of the `layers`, or one. With
    `known`, every step sees the known picture at its own noise level, always with the same noise
    (Blended Latent Diffusion, Avrahami et al. 2023; for a fixed noise it equals clamping the clean
    prediction); steps in which no cell is free are left out. `steer` may change the clean estimate,
    one after the other, before the step.
    """
    scheduler.set_timesteps(num_inference_steps, device=noise.device)
    kept_by_all = 0.0 if known is None else float(known.keep.min())
    first = begin(scheduler, 1 - kept_by_all) if kept_by_all else 0
    steps = sampling_steps(scheduler)
    latents = pure_noise(scheduler, noise)
    if known is not None:
        begun = noised(scheduler, known.latents, noise, first)
        latents = torch.where(known.keep > 0, begun, latents)
    if layers is not None:
        latents = layers.spread(latents)
    extra = _step_arguments(scheduler, generator)
    for step in steps[first:]:
        if known is not None:
            kept = known.keep > step.index / len(steps)
            latents = torch.where(
                kept, noised(scheduler, known.latents, noise, step.index), latents
            )
        seen = model_input(scheduler, latents, step.timestep)
        prediction = denoise(seen, step)
        denoised = step.clean(prediction, seen)
        for change in steer:
            denoised = change(denoised, step)
        if steer:
            prediction = step.prediction(denoised, seen)
        latents = scheduler.step(prediction, step.timestep, latents, **extra).prev_sample
        if known is not None:
            denoised = torch.where(known.keep >= 1, known.latents, denoised)
            if step.index == len(steps) - 1:
                latents = torch.where(known.keep >= 1, known.latents, latents)
        if layers is not None:
            latents, denoised = layers.spread(latents), layers.fused(denoised)
        yield Step(step.index - first + 1, len(steps) - first, latents, denoised)


def _step_arguments(scheduler: Any, generator: torch.Generator) -> dict[str, Any]:
    """A generator for schedulers that draw noise on the way; others do not know the argument."""
    names = inspect.signature(scheduler.step).parameters
    return {"generator": generator} if "generator" in names else {}
