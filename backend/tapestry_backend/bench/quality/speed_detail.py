"""Detail of every speed: how much of the fine detail of "quality" it keeps."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ..common.painter import Painter
from ..common.prompts import detailed
from ..metrics.detail import detail_energy, mean_ratio
from .captioned import CaptionedPicture
from .workbench import Measured, Workbench

SPEEDS = ("quality", "balanced", "fast")

_COLUMNS = 2
"""Windows beside each other; as many single ones to compare with."""

_SHOWN = 8


def measure_detail(bench: Workbench) -> Measured:
    """Fine detail of pictures on several windows over that of "quality", and of single windows.

    Over all prompts; energies are averaged over the seeds of a prompt before they are compared,
    because pictures of one prompt differ threefold in their detail.
    """
    prompts = detailed(bench.painter.settings.model)
    prompts = prompts[::5] if bench.scope.quick else prompts
    seeds = range(1 if bench.scope.quick else 3)
    bench.say(f"detail: {len(prompts)} prompts at {len(SPEEDS)} speeds")
    energies: dict[str, list[float]] = {name: [] for name in (*SPEEDS, "single")}
    rows = []
    for i, prompt in enumerate(prompts):
        numbers = [47_000 + 100 * i + 10 * seed for seed in seeds]
        row = []
        for speed in SPEEDS:
            made = [_picture(bench.painter, prompt, number, speed) for number in numbers]
            energies[speed].append(float(np.mean([inner_energy(p, bench.painter) for p in made])))
            row.append(CaptionedPicture(f"{prompt}, {speed}", made[0]))
        singles = [
            bench.painter.plain(prompt, number + j)
            for number, j in itertools.product(numbers, range(_COLUMNS))
        ]
        single = np.mean([inner_energy(picture, bench.painter) for picture in singles])
        energies["single"].append(float(single))
        rows.append(row)
    figures, errors = ratios(energies)
    by_prompt = {name: dict(zip(prompts, each, strict=True)) for name, each in energies.items()}
    return Measured(figures, rows[:_SHOWN], errors, {"energy": by_prompt})


def ratios(energies: Mapping[str, Sequence[float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Of each speed over "quality", of "quality" over single windows, and the lowest of the first.

    energies: for each speed, and "single", one number for each prompt.
    """
    figures: dict[str, float] = {}
    errors: dict[str, float] = {}
    for name, against in (("quality", "single"), ("balanced", "quality"), ("fast", "quality")):
        each = np.array(energies[name]) / np.array(energies[against])
        figures[name], errors[name] = mean_ratio(each)
        if name != "quality":
            figures[f"worst_{name}"] = float(each.min())
    return figures, errors


def inner_energy(picture: np.ndarray, painter: Painter) -> float:
    """Detail away from the edges, where an autoencoder paints a frame around a single window."""
    rim = painter.window_px // 8
    return detail_energy(picture[rim:-rim, rim:-rim])


def _picture(painter: Painter, prompt: str, seed: int, speed: str) -> np.ndarray:
    side = painter.window_px
    return painter.paint(painter.request(side, _COLUMNS * side, prompt, seed, speed=speed))[..., :3]
