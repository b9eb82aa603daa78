"""From noise to a picture's latents, step by step; no progress bar, no cancelling, no previews."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(latents [1, C, H, W] scaled for the model, timestep []) -> prediction [1, C, H, W]."""


class Step(NamedTuple):
    """What the caller sees after each step: the state, and the guess of the end it came from."""

    latents: Tensor
    denoised: Tensor


@dataclass(frozen=True)
class Known:
    """A picture that is there already: latents [1, C, H, W], and how long each cell keeps to it.

    keep [H, W] in 0..1: the share of the steps during which a cell follows the known picture. 1 is
    kept to the end, 0 is free from the start.
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
) -> Iterator[Step]:
    """Sample with a scheduler of diffusers; the last step's latents are the picture.

    noise [1, C, H, W] is standard normal. With `known`, every step sees the known picture at its
    own noise level, always with the same noise (Blended Latent Diffusion, Avrahami et al. 2023;
    for a fixed noise it equals clamping the clean prediction), and the free cells start from the
    known latents too, so that colour and light carry on.
    """
    scheduler.set_timesteps(num_inference_steps, device=noise.device)
    timesteps = scheduler.timesteps
    latents = noise * scheduler.init_noise_sigma
    if known is not None:
        latents = scheduler.add_noise(known.latents, noise, timesteps[:1])
    extra = _step_arguments(scheduler, generator)
    for i, timestep in enumerate(timesteps):
        if known is not None:
            noised = scheduler.add_noise(known.latents, noise, timesteps[i : i + 1])
            latents = torch.where(known.keep > i / len(timesteps), noised, latents)
        model_input = scheduler.scale_model_input(latents, timestep)
        prediction = denoise(model_input, timestep)
        denoised = clean_estimate(scheduler, prediction, model_input, timestep)
        latents = scheduler.step(prediction, timestep, latents, **extra).prev_sample
        if known is not None:
            denoised = torch.where(known.keep >= 1, known.latents, denoised)
            if i == len(timesteps) - 1:
                latents = torch.where(known.keep >= 1, known.latents, latents)
        yield Step(latents, denoised)


def clean_estimate(
    scheduler: Any, prediction: Tensor, model_input: Tensor, timestep: Tensor
) -> Tensor:
    """The picture's latents as the model sees them behind the noise.

    A model's input always has the form alpha x0 + sigma n with alpha^2 + sigma^2 = 1, whatever
    scale the scheduler keeps its own latents in, so one formula per kind of prediction serves all.
    Raises ValueError for a prediction_type other than epsilon, v_prediction and sample.
    """
    alpha_squared = _alpha_squared(scheduler, timestep).to(model_input)
    alpha, sigma = alpha_squared.sqrt(), (1 - alpha_squared).sqrt()
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return (model_input - sigma * prediction) / alpha
    if kind == "v_prediction":
        return alpha * model_input - sigma * prediction
    if kind == "sample":
        return prediction
    raise ValueError(f"prediction_type {kind!r} is unknown")


def _alpha_squared(scheduler: Any, timestep: Tensor) -> Tensor:
    """The signal's share of the variance at a timestep, which may lie between two trained ones."""
    table = scheduler.alphas_cumprod
    position = timestep.to("cpu", torch.float64).clamp(0, len(table) - 1)
    below = int(position.floor())
    above = min(below + 1, len(table) - 1)
    return torch.lerp(table[below].double().cpu(), table[above].double().cpu(), position - below)


def _step_arguments(scheduler: Any, generator: torch.Generator) -> dict[str, Any]:
    """A generator for schedulers that draw noise on the way; others do not know the argument."""
    names = inspect.signature(scheduler.step).parameters
    return {"generator": generator} if "generator" in names else {}
