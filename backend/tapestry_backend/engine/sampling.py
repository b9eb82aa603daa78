"""From noise to a picture's latents, step by step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .jumps import Jump, Renoising, restart
from .layers import Layers
from .noise_schedule import (
    SamplingStep,
    begin,
    level,
    model_input,
    noised,
    pure_noise,
    sampling_steps,
)

Denoise = Callable[[Tensor, SamplingStep], Tensor]
"""(latents [L, C, H, W] scaled for the model, the step) -> prediction [L, C, H, W]."""

Steer = Callable[[Tensor, SamplingStep], Tensor]
"""(the picture [L, C, H, W] as the model sees it behind the noise, the step) -> a better one."""


class Step(NamedTuple):
    """What the caller sees after each step.

    latents, denoised: the state [L, C, H, W], and the guess of the end that it came from, fused
    [1, C, H, W]. number, num_steps: the first step that is taken has the number 1, the last one
    `num_steps`; steps that are taken again count again.
    """

    number: int
    num_steps: int
    latents: Tensor
    denoised: Tensor


@dataclass(frozen=True)
class Preserved:
    """A picture that is there already: latents [1, C, H, W], and how long each cell is preserved.

    until [H, W] in 0..1, or [L, 1, H, W] for each row of latents: the share of the steps during
    which a cell follows the picture. 1 is preserved to the end, 0 is free from the start; 0.6 for
    all is a start from the picture with 40 % of the noise to go (SDEdit, Meng et al. 2022).
    """

    latents: Tensor
    until: Tensor


@torch.no_grad()
def sample(
    denoise: Denoise,
    scheduler: Any,
    noise: Tensor,
    num_inference_steps: int,
    generator: torch.Generator,
    preserved: Preserved | None = None,
    steer: Sequence[Steer] = (),
    layers: Layers | None = None,
    jumps: Sequence[Jump] = (),
) -> Iterator[Step]:
    """Sample with a scheduler of diffusers; the last step's latents are the picture.

    noise [L, C, H, W] is standard normal, with a row for each of the `layers`, or one. With
    `preserved`, every step sees that picture at its own noise level, always with the same noise
    (Blended Latent Diffusion, Avrahami et al. 2023; for a fixed noise it equals clamping the clean
    prediction); steps in which no cell is free are left out. `steer` may change the clean estimate,
    one after the other, before the step. `jumps`, in their order, take the whole canvas back, and
    what is preserved with it, which has another noise from there on; those to before the run
    began are left out.
    """
    scheduler.set_timesteps(num_inference_steps, device=noise.device)
    preserved_by_all = 0.0 if preserved is None else float(preserved.until.min())
    first = begin(scheduler, 1 - preserved_by_all) if preserved_by_all else 0
    steps = sampling_steps(scheduler)
    latents = pure_noise(scheduler, noise)
    if preserved is not None:
        latents = torch.where(
            preserved.until > 0, noised(scheduler, preserved.latents, noise, first), latents
        )
    if layers is not None:
        latents = layers.spread(latents)
    extra = _step_arguments(scheduler, generator)
    due = [jump for jump in jumps if jump.to >= first]
    total = len(steps) - first + sum(jump.steps for jump in due)
    index = first
    for number in range(1, total + 1):
        step = steps[index]
        if preserved is not None:
            follows = preserved.until > step.step_index / len(steps)
            latents = torch.where(
                follows, noised(scheduler, preserved.latents, noise, step.step_index), latents
            )
        seen = model_input(scheduler, latents, step.timestep)
        prediction, denoised = _steered(denoise(seen, step), seen, step, steer)
        latents = scheduler.step(prediction, step.timestep, latents, **extra).prev_sample
        if preserved is not None:
            denoised = torch.where(preserved.until >= 1, preserved.latents, denoised)
            if step.step_index == len(steps) - 1:
                latents = torch.where(preserved.until >= 1, preserved.latents, latents)
        if layers is not None:
            latents, denoised = layers.spread(latents), layers.fused(denoised)
        yield Step(number, total, latents, denoised)
        index += 1
        if due and due[0].after == step.step_index:
            index = due.pop(0).to
            late = level(scheduler, step.step_index + 1)
            restart(scheduler, num_inference_steps, index, noise.device)
            steps = sampling_steps(scheduler)
            back = Renoising.between(late, level(scheduler, index))
            fresh = _fresh_noise(noise, generator)
            latents, noise = back.latents(latents, fresh), back.noise(noise, fresh)


def _steered(
    prediction: Tensor, seen: Tensor, step: SamplingStep, steer: Sequence[Steer]
) -> tuple[Tensor, Tensor]:
    """The model's prediction and the picture that it means, [L, C, H, W], after all changes."""
    denoised = step.clean(prediction, seen)
    for change in steer:
        denoised = change(denoised, step)
    return (step.prediction(denoised, seen) if steer else prediction), denoised


def _fresh_noise(noise: Tensor, generator: torch.Generator) -> Tensor:
    """As much as is in one row of `noise`: [1, C, H, W], the same for all of them."""
    return torch.randn(noise[:1].shape, generator=generator, dtype=noise.dtype).to(noise.device)


def _step_arguments(scheduler: Any, generator: torch.Generator) -> dict[str, Any]:
    """A generator for schedulers that draw noise on the way; others do not take the argument."""
    names = inspect.signature(scheduler.step).parameters
    return {"generator": generator} if "generator" in names else {}
