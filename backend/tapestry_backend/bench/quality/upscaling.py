"""Upscaling: is the larger picture the same one, with detail of its own size and no seams.

Blind for what is invented: a face in the bricks has detail, too, and shrunk again it is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from tapestry_protocol.request_checks import upscaled_size

from ...engine.windows import Size
from ...tasks.plan import make_plan
from ...tasks.upscaling import Band, Upscaled, upscale
from ..common.prompts import even_textures, scenes
from ..metrics.detail import detail_energy, mean_ratio
from ..metrics.seams import seam_ratio, turned
from .captioned import CaptionedPicture
from .seams import window_borders
from .workbench import Measured, Workbench

FACTOR, STRENGTH = 4, 0.3

_SHOWN = 6


@dataclass(frozen=True)
class _UpscaledPicture:
    """A result uint8 [H, W, 3], what it took, and where windows that lie fixed have borders."""

    picture: np.ndarray
    evaluations: int
    borders: Sequence[int]


def measure_upscaling(bench: Workbench) -> Measured:
    """Single windows made four times as large, in moving windows and in ones that overlap."""
    quick, model = bench.scope.quick, bench.painter.settings.model
    plain = even_textures(model)[: 3 if quick else 8]
    prompts = [*plain, *scenes(model)[: 2 if quick else 6]]
    bench.say(f"upscaling: {len(prompts)} pictures, {FACTOR} times as large")
    values: dict[str, list[float]] = {}
    detail: dict[str, list[float]] = {"detail": [], "enlarged": []}
    rows = []
    for number, prompt in enumerate(prompts, start=48_000):
        first = bench.painter.plain(prompt, number)
        moving = _upscale(bench, first, prompt, number)
        fixed = _upscale(bench, first, prompt, number, moving=False)
        size = Size(*upscaled_size(first.shape[0], first.shape[1], FACTOR))
        enlarged = _resized(first, size, Image.Resampling.LANCZOS)
        cell_px = bench.painter.model.cell_px
        figures = {
            "psnr": _psnr(moving.picture, first),
            "seams": _seams(moving, cell_px),
            "overlapping_seams": _seams(fixed, cell_px),
            "enlarged_seams": _seams(replace(moving, picture=enlarged), cell_px),
            "evaluations": moving.evaluations / fixed.evaluations,
        }
        for name, figure in figures.items():
            values.setdefault(name, []).append(figure)
        if prompt in plain:
            own = np.mean([detail_energy(bench.painter.plain(prompt, number + i)) for i in (1, 2)])
            detail["detail"].append(float(detail_energy(moving.picture) / own))
            detail["enlarged"].append(float(detail_energy(enlarged) / own))
        row = {"first": first, "enlarged": enlarged, "moving": moving.picture}
        rows.append([CaptionedPicture(f"{prompt}, {name}", each) for name, each in row.items()])
    ratios = {name: mean_ratio(each) for name, each in detail.items()}
    return Measured(
        {name: float(np.mean(each)) for name, each in values.items()}
        | {"worst_psnr": min(values["psnr"])}
        | {name: mean for name, (mean, _) in ratios.items()},
        rows[:_SHOWN],
        errors={name: float(np.std(each) / len(each) ** 0.5) for name, each in values.items()}
        | {name: error for name, (_, error) in ratios.items()},
    )


def _upscale(
    bench: Workbench, first: np.ndarray, prompt: str, seed: int, *, moving: bool = True
) -> _UpscaledPicture:
    painter = bench.painter
    height, width = first.shape[:2]
    request = painter.request(height, width, prompt, seed, task="refine", strength=STRENGTH)
    opaque = np.full((height, width, 1), 255, np.uint8)
    rgba = np.concatenate([first, opaque], axis=2)
    *made, end = upscale(rgba, request, FACTOR, {}, painter.model_cache, moving=moving)
    if not isinstance(end, Upscaled):
        raise TypeError("upscaling must end with its report")
    picture = np.concatenate([band.pixels for band in made if isinstance(band, Band)])
    size = Size(*upscaled_size(height, width, FACTOR))
    plan = make_plan(replace(request, height=size.height, width=size.width), painter.model)
    return _UpscaledPicture(picture[..., :3], end.report["unet_evaluations"], window_borders(plan))


def _seams(larger: _UpscaledPicture, cell_px: int) -> float:
    """Across the borders of windows, both ways."""
    borders = [cell * cell_px for cell in larger.borders]
    pictures = (larger.picture, turned(larger.picture))
    return float(np.mean([seam_ratio(each, borders, cell_px) for each in pictures]))


def _psnr(larger: np.ndarray, first: np.ndarray) -> float:
    """In decibels, how near the result shrunk again is to what it was made of."""
    shrunk = _resized(larger, Size(*first.shape[:2]), Image.Resampling.BOX)
    error = ((shrunk.astype(np.float64) - first) ** 2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-6)))


def _resized(picture: np.ndarray, size: Size, how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize(size[::-1], how))
