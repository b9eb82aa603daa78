"""Denoising backwards: from a picture's latents to the noise that becomes them, and back again.

Deterministic sampling (DDIM, Song et al. 2021) is a differential equation, so it can be followed
in both directions. `invert` goes up, `deterministic` down; the latents of each level are kept,
since editing methods blend them in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .noise_schedule import SamplingStep
from .sampling import Denoise, Step

_CLEAN = (1.0, 0.0)

Blend = Callable[[Tensor, int], Tensor]
"""(latents [L, C, H, W], the index of the step that comes next) -> the same, with parts of others.
"""


class Inverted(NamedTuple):
    """One level of an inversion: latents [L, C, H, W], in the scale of the model's input.

    step: the index of the step that begins there; that of the picture itself is their count.
    """

    step: int
    latents: Tensor


@torch.no_grad()
def invert(
    denoise: Denoise,
    steps: Sequence[SamplingStep],
    clean: Tensor,
    *,
    first: int = 0,
    iterations: int = 1,
) -> Iterator[Inverted]:
    """The levels that lead to `clean` [L, C, H, W], from the cleanest to that of step `first`.

    Each level is what one deterministic step turns into the level below it. That is an implicit
    equation, since the model is asked at the level which is sought: `iterations` of fixed point
    solve it (Pan et al. 2023), at one evaluation each. With one, this is plain DDIM inversion. The
    guess to begin with is where the prediction for the level below leads.
    """
    below, picture, noise = clean, clean, torch.zeros_like(clean)
    for index in range(len(steps) - 1, first - 1, -1):
        step = steps[index]
        alpha, sigma = _shares(steps, index + 1)
        for iteration in range(iterations + 1):
            # Of picture and noise the one is taken that the level below says less about; without
            # any picture at the first step (zero terminal SNR) only this has one solution.
            if sigma > alpha:
                noise = (below - alpha * picture) / sigma
            else:
                picture = (below - sigma * noise) / alpha
            latents = step.alpha * picture + step.sigma * noise
            if index == len(steps) - 1 and iteration == 0:
                latents = below  # nothing is known of the noise yet
            if iteration < iterations:
                picture = step.clean(denoise(latents, step), latents)
                noise = (latents - step.alpha * picture) / step.sigma
        below = latents
        yield Inverted(index, latents)


@torch.no_grad()
def deterministic(
    denoise: Denoise,
    steps: Sequence[SamplingStep],
    latents: Tensor,
    *,
    first: int = 0,
    blend: Blend = lambda latents, _: latents,
) -> Iterator[Step]:
    """Steps down from the latents [L, C, H, W] before step `first`, without any new noise.

    blend: what becomes of the latents after each step.
    """
    for index in range(first, len(steps)):
        step = steps[index]
        denoised = step.clean(denoise(latents, step), latents)
        noise = (latents - step.alpha * denoised) / step.sigma
        alpha, sigma = _shares(steps, index + 1)
        latents = blend(alpha * denoised + sigma * noise, index + 1)
        yield Step(index - first + 1, len(steps) - first, latents, denoised)


def _shares(steps: Sequence[SamplingStep], index: int) -> tuple[float, float]:
    """Alpha and sigma before the step of this index; after the last there is no noise."""
    return (steps[index].alpha, steps[index].sigma) if index < len(steps) else _CLEAN
