"""Sharpness of few-step pictures: fused windows against a single one."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from diffusers import LCMScheduler

from ..common.prompts import textures
from ..metrics.detail import mean_ratio
from ..peers.paper import PaperLoop
from .captioned import CaptionedPicture
from .speed_detail import inner_energy
from .workbench import Measured, Workbench

_SHOWN = 9
"""Pictures on the contact sheet."""

_COLUMNS = 3
"""Windows beside each other in the fused pictures; as many single ones to compare with."""

_PICTURES = 3
"""Of each prompt and number of steps: pictures of one prompt differ threefold in their detail."""


def measure_sharpness(bench: Workbench) -> Measured:
    """Fine detail of fused pictures over that of single windows, with few-step sampling.

    Beside it: windows that each take a noisy step of their own and are averaged after it, as the
    paper's loop does.
    """
    quick, painter = bench.scope.quick, bench.painter
    prompts = textures(painter.settings.model)[: 8 if quick else 16]
    steps = (4,) if quick else (4, 6, 8)
    bench.say(f"sharpness: {len(prompts)} prompts in {' and '.join(map(str, steps))} steps")
    ratios: dict[str, list[float]] = {"few_step": [], "averaged_steps": []}
    rows = []
    for i, (prompt, count) in enumerate(itertools.product(prompts, steps)):
        seeds = [6000 + 100 * i + 10 * j for j in range(_PICTURES)]
        single = np.mean([_single_energy(bench, prompt, seed, count) for seed in seeds])
        made = [fused_pictures(bench, prompt, seed, count) for seed in seeds]
        for name in made[0]:
            energies = [inner_energy(pictures[name], painter) for pictures in made]
            ratios[name].append(float(np.mean(energies) / single))
        rows.append(
            [CaptionedPicture(f"{prompt}, {count} steps: {name}", p) for name, p in made[0].items()]
        )
    means = {name: mean_ratio(found) for name, found in ratios.items() if found}
    return Measured(
        {name: mean for name, (mean, _) in means.items()},
        rows[:_SHOWN],
        errors={name: error for name, (_, error) in means.items()},
    )


def fused_pictures(
    bench: Workbench, prompt: str, seed: int, steps: int, **fields: Any
) -> dict[str, np.ndarray]:
    """A prompt on three windows, uint8 [H, W, 3]: by Tapestry, and by averaging after each step."""
    painter = bench.painter
    made = {"few_step": _few_steps(bench, _COLUMNS, prompt, seed, steps, **fields)}
    if not bench.scope.alone:
        loop = PaperLoop(painter.model, painter.settings, LCMScheduler, steps)
        side = painter.window_px
        made["averaged_steps"] = loop.panorama(side, _COLUMNS * side, prompt, seed)
    return made


def _few_steps(
    bench: Workbench, columns: int, prompt: str, seed: int, steps: int, **fields: Any
) -> np.ndarray:
    side = bench.painter.window_px
    chosen = {"scheduler": "lcm", "num_inference_steps": steps, **fields}
    request = bench.painter.request(side, columns * side, prompt, seed, **chosen)
    return bench.painter.paint(request)[..., :3]


def _single_energy(bench: Workbench, prompt: str, seed: int, steps: int) -> float:
    """The mean detail of as many single windows as a fused picture has."""
    singles = [_few_steps(bench, 1, prompt, seed + j, steps) for j in range(_COLUMNS)]
    return float(np.mean([inner_energy(single, bench.painter) for single in singles]))
