"""Small canvases: do scenes lower or narrower than a window have all their parts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ..common.prompts import layered_scenes
from .brush import means
from .captioned import CaptionedPicture
from .workbench import Measured, Workbench

SIZES = ((5, 16), (4, 16), (16, 5), (6, 10), (5, 8), (8, 8))
"""(height, width) in eighths of a window: 80x256 and 64x256 pixels with a window of 128."""


def measure_small_canvas(bench: Workbench) -> Measured:
    """The share of pictures with the scene's top at their top, and its bottom at their bottom.

    Nothing to compare with: the paper's loop and diffusers' have no windows on such a canvas.
    """
    painter, parts = bench.painter, bench.parts
    prompts = layered_scenes(painter.settings.model)[: 3 if bench.scope.quick else None]
    sizes = small_sizes(painter.window_px, painter.model.cell_px)
    seeds = range(1 if bench.scope.quick else 3)
    bench.say(f"small_canvas: {len(prompts)} scenes at {len(sizes)} sizes")
    found: dict[str, list[float]] = {"parts": []}
    rows: list[list[CaptionedPicture]] = []
    for seed, (k, prompt), (height, width) in itertools.product(seeds, enumerate(prompts), sizes):
        number = 49_000 + 100 * seed + k
        picture = painter.paint(painter.request(height, width, prompt, number))[..., :3]
        whole = parts.is_whole(picture, prompt)
        found["parts"].append(whole)
        found.setdefault("low" if height < painter.window_px else "narrow", []).append(whole)
        if seed == 0:
            verdict = "whole" if whole else "NOT WHOLE"
            rows.append([CaptionedPicture(f"{prompt} {height}x{width} {verdict}", picture)])
    figures, errors = means({**found, **_examined(bench, prompts)})
    return Measured(figures, rows, errors)


def small_sizes(window_px: int, cell_px: int) -> list[tuple[int, int]]:
    """(height, width) in pixels, in whole cells."""

    def in_cells(side: int) -> int:
        return max(cell_px, side * window_px // 8 // cell_px * cell_px)

    return [(in_cells(height), in_cells(width)) for height, width in SIZES]


def _examined(bench: Workbench, prompts: Sequence[str]) -> dict[str, list[float]]:
    """How often unseen single windows are found whole, and their upper halves are found not."""
    parts = bench.parts
    pictures = [(parts.unseen(prompt), prompt) for prompt in prompts]
    return {
        "judge": [float(parts.is_whole(picture, prompt)) for picture, prompt in pictures],
        "judge_cut": [
            float(not parts.is_whole(picture[: len(picture) // 2], prompt))
            for picture, prompt in pictures
        ],
    }
