"""Distils the model into a LoRA for four steps: each aims at where five of the model's own lead.

Progressive distillation (Salimans and Ho, 2022, arXiv:2202.00512) in one stage, along paths that
are painted beforehand: a path is deterministic, so that what the learner aims at never moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torch import Tensor
from torch.nn import functional

from .captions import caption
from .common import pick_device
from .labels import KINDS, sample_label

# What is learned along: as many steps of the model, at this guidance, for one of each four.
PATH_STEPS, STEPS, GUIDANCE = 20, 4, 5.0
PATHS_NAME = "paths.pt"
# Windows of native area [height, width], by how many of ten have it; and weights of `KINDS`.
SHAPES = (((16, 16), 6), ((12, 20), 2), ((20, 12), 2))
SHARES = (0.25, 0.35, 0.1, 0.3)
_BATCH = 16


class Jump(NamedTuple):
    """One step of DDIM at a time of 0..999: `after = stay * noisy + move * velocity`."""

    time: int
    stay: float
    move: float


def jumps(scheduler: DDIMScheduler) -> list[Jump]:
    """The four steps from noise to the picture, for a scheduler that predicts velocities."""
    scheduler.set_timesteps(STEPS)
    times = [int(time) for time in scheduler.timesteps]
    result = []
    for now, then in zip(times, [*times[1:], None], strict=True):
        keep = scheduler.alphas_cumprod[now]
        later = scheduler.final_alpha_cumprod if then is None else scheduler.alphas_cumprod[then]
        noise, later_noise = 1 - keep, 1 - later
        stay = later.sqrt() * keep.sqrt() + later_noise.sqrt() * noise.sqrt()
        move = later_noise.sqrt() * keep.sqrt() - later.sqrt() * noise.sqrt()
        result.append(Jump(now, float(stay), float(move)))
    return result


@torch.inference_mode()
def paint_path(pipeline: StableDiffusionPipeline, tokens: Tensor, noise: Tensor) -> Tensor:
    """Scaled latents [B, 5, C, h, w] of noise [B, C, h, w] on its way: noise, ..., picture."""
    scheduler, count = pipeline.scheduler, len(noise)
    no_words = pipeline.tokenizer("", padding="max_length", return_tensors="pt").input_ids
    both = torch.cat([tokens, no_words.expand(count, -1)]).to(noise.device)
    text = pipeline.text_encoder(both).last_hidden_state
    scheduler.set_timesteps(PATH_STEPS)
    kept, latents = [noise], noise
    for number, time in enumerate(scheduler.timesteps):
        worded, plain = pipeline.unet(latents.repeat(2, 1, 1, 1), time, text).sample.chunk(2)
        velocity = plain + GUIDANCE * (worded - plain)
        latents = scheduler.step(velocity, time, latents).prev_sample
        if (number + 1) % (PATH_STEPS // STEPS) == 0:
            kept.append(latents)
    return torch.stack(kept, dim=1)


def _batches(count: int) -> Iterator[tuple[tuple[int, int], int]]:
    for shape, tenths in SHAPES:
        left = max(1, count * tenths // 10)
        while left > 0:
            yield shape, min(_BATCH, left)
            left -= _BATCH


def paint_paths(model: Path, work: Path, count: int, seed: int) -> None:
    """Writes `paths.pt`: for every shape, paths [N, 5, C, h, w] and the tokens [N, T] they follow.

    What was painted by the time of a stop is kept, and the next call goes on behind it.
    """
    path = work / PATHS_NAME
    content = torch.load(path, weights_only=True) if path.exists() else []
    pipeline = StableDiffusionPipeline.from_pretrained(model, safety_checker=None).to(pick_device())
    for number, ((height, width), many) in enumerate(_batches(count)):
        if number < len(content):
            continue
        rng = np.random.default_rng([seed, number])
        labels = [sample_label(rng, str(rng.choice(KINDS, p=SHARES))) for _ in range(many)]
        tokens = pipeline.tokenizer(
            [caption(rng, label) for label in labels],
            padding="max_length",
            truncation=True,
            return_tensors="pt",
        ).input_ids
        drawn = torch.Generator().manual_seed(seed + number)
        shape = (many, pipeline.unet.config.in_channels, height, width)
        noise = torch.randn(shape, generator=drawn).to(pipeline.device)
        content.append((paint_path(pipeline, tokens, noise).half().cpu(), tokens))
        if number % 8 == 0:
            _write(content, path)
    _write(content, path)


def _write(content: list[tuple[Tensor, Tensor]], path: Path) -> None:
    aside = path.with_suffix(".new")
    torch.save(content, aside)
    aside.replace(path)


class Paths:
    """The paths that were painted; each batch is of one shape."""

    def __init__(self, work: Path) -> None:
        self.content = torch.load(work / PATHS_NAME, weights_only=True)

    def sample(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Paths [B, 5, C, h, w] and their tokens [B, T]."""
        first = self.content[int(rng.integers(len(self.content)))]
        alike = [part for part in self.content if part[0].shape[-2:] == first[0].shape[-2:]]
        found = [alike[int(rng.integers(len(alike)))] for _ in range(count)]
        places = [int(rng.integers(len(paths))) for paths, _ in found]
        chosen = list(zip(found, places, strict=True))
        return (
            torch.stack([paths[place] for (paths, _), place in chosen]).float(),
            torch.stack([tokens[place] for (_, tokens), place in chosen]),
        )


def path_loss(trainer: Any, paths: Tensor, text: Tensor, steps: Tensor) -> Tensor:
    """How far the velocities are from those that lead to the next place on the path.

    trainer: has `velocity(noisy, times, text)`, `adapter.laid_on()` and `jumps`
    paths: [B, 5, C, h, w]; text: features [B, T, D]; steps: [B], 0 (from noise) to 3
    """
    rows = torch.arange(len(paths), device=paths.device)
    chosen = torch.tensor([trainer.jumps[int(step)] for step in steps], device=paths.device)
    times, stay, move = chosen[:, 0].long(), *(chosen[:, i, None, None, None] for i in (1, 2))
    now, then = paths[rows, steps], paths[rows, steps + 1]
    with trainer.adapter.laid_on():
        velocity = trainer.velocity(now, times, text)
    return functional.huber_loss(velocity, (then - stay * now) / move, delta=0.5)
