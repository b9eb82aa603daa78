"""Upscaling: is the larger picture the same one, with detail of its own size and no seams.

Of what is invented, red things and specks alone are seen: a face in the bricks has detail, too.
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
from ..common.prompts import RED_THINGS, even_textures, scenes
from ..metrics.detail import detail_energy, mean_ratio
from ..metrics.objects import red_objects, specks
from ..metrics.seams import seam_ratio, turned
from ..peers.upscalers import DemoFusion, OverlappingTiles
from .captioned import CaptionedPicture
from .composition import UNSEEN, HeightJudge, single_windows
from .seams import window_borders
from .workbench import Measured, Workbench

FACTOR, STRENGTH = 4, 0.3

_SHOWN = 6

_JUDGED_AT = 2
"""Times a window, when a judge of heights looks at it: it was taught such sizes."""

_SKY = 3
"""The upper part of a scene that is sky: a third. Below, thin waves and blades are detail."""

_CAPTIONS = {
    "first": "first",
    "enlarged": "enlarged",
    "moving": "Tapestry",
    "overlapping": "Tapestry, windows that overlap",
    "tiles": "overlapping tiles (SDEdit)",
    "demofusion": "DemoFusion",
}
"""What is compared, and how it is called below its picture."""


@dataclass(frozen=True)
class _UpscaledPicture:
    """A result uint8 [H, W, 3], what it took, and where windows that lie fixed have borders."""

    picture: np.ndarray
    evaluations: int
    borders: Sequence[int]


class _Figures:
    """Figures of all pictures by name."""

    def __init__(self, cell_px: int) -> None:
        self._cell_px = cell_px
        self.values: dict[str, list[float]] = {}
        self.ratios: dict[str, list[float]] = {}

    def add(
        self, name: str, result: _UpscaledPicture, first: np.ndarray, own: float | None
    ) -> None:
        """Those of one picture; own: the detail of native windows, where that can be compared."""
        self._note(f"{name}psnr", _psnr(result.picture, first))
        self._note(f"{name}seams", _seams(result, self._cell_px, even=own is not None))
        if own is not None:
            ratio = float(detail_energy(result.picture) / own)
            self.ratios.setdefault(f"{name}detail", []).append(ratio)

    def compare(self, name: str, result: _UpscaledPicture, fixed: _UpscaledPicture) -> None:
        """What it takes over what windows that overlap take."""
        self._note(f"{name}evaluations", result.evaluations / fixed.evaluations)

    def see(self, name: str, *, one_horizon: bool) -> None:
        """Whether a scene is there once."""
        self._note(f"{name}one_horizon", float(one_horizon))

    def count(self, name: str, result: _UpscaledPicture, first: np.ndarray, *, red: bool) -> None:
        """Whether red things are as many as before; or the specks in the sky of a scene."""
        if red:
            as_many = red_objects(result.picture) == red_objects(first)
            self._note(f"{name}objects", float(as_many))
        else:
            sky = first.shape[0] // _SKY
            found = specks(result.picture[: FACTOR * sky], first[:sky])
            self._note(f"{name}specks", float(found))

    def _note(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)

    def measured(self, rows: list[list[CaptionedPicture]]) -> Measured:
        """Means and their errors."""
        ratios = {name: mean_ratio(each) for name, each in self.ratios.items()}
        means = {name: float(np.mean(each)) for name, each in self.values.items()}
        errors = {
            name: float(np.std(each) / len(each) ** 0.5) for name, each in self.values.items()
        }
        return Measured(
            means
            | {"worst_psnr": min(self.values["psnr"])}
            | {name: mean for name, (mean, _) in ratios.items()},
            rows[:_SHOWN],
            errors=errors | {name: error for name, (_, error) in ratios.items()},
        )


def measure_upscaling(bench: Workbench) -> Measured:
    """Single windows made four times as large, by Tapestry and by what it is compared with."""
    quick, model = bench.scope.quick, bench.painter.settings.model
    plain = even_textures(model)[: 3 if quick else 8]
    composed = scenes(model)[: 2 if quick else 6]
    red = RED_THINGS[: 2 if quick else 6]
    prompts = [*plain, *composed, *red]
    bench.say(f"upscaling: {len(prompts)} pictures, {FACTOR} times as large")
    judge = _judge(bench, composed)
    # DemoFusion takes as long as twenty others: it paints from noise, scale by scale.
    few = 1 if quick else 3
    slow = {*plain[:few], *composed[:few], *red[:few]}
    figures = _Figures(bench.painter.model.cell_px)
    rows = []
    for number, prompt in enumerate(prompts, start=48_000):
        first = bench.painter.plain(prompt, number)
        results = _results(bench, first, prompt, number, with_demofusion=prompt in slow)
        own = None
        if prompt in plain:
            natives = [bench.painter.plain(prompt, number + i) for i in (1, 2)]
            own = float(np.mean([detail_energy(each) for each in natives]))
        for name, result in results.items():
            prefix = "" if name == "moving" else f"{name}_"
            if prompt not in red:
                figures.add(prefix, result, first, own)
            if result.evaluations and name != "overlapping":
                figures.compare(prefix, result, results["overlapping"])
            if judge is not None and prompt in composed:
                seen = _shrunk(result.picture, _JUDGED_AT / FACTOR)
                figures.see(prefix, one_horizon=judge.sees_one_horizon(seen, prompt))
            if prompt not in plain:
                figures.count(prefix, result, first, red=prompt in red)
        shown = {"first": first} | {name: each.picture for name, each in results.items()}
        rows.append(
            [CaptionedPicture(f"{prompt}, {_CAPTIONS[n]}", each) for n, each in shown.items()]
        )
    return figures.measured(rows)


def _results(
    bench: Workbench, first: np.ndarray, prompt: str, seed: int, *, with_demofusion: bool
) -> dict[str, _UpscaledPicture]:
    """One picture made larger in every way that is asked for."""
    moving = _upscale(bench, first, prompt, seed)
    fixed = _upscale(bench, first, prompt, seed, moving=False)
    size = Size(*upscaled_size(first.shape[0], first.shape[1], FACTOR))
    plain = _resized(first, size, Image.Resampling.LANCZOS)
    results = {
        "enlarged": _UpscaledPicture(plain, 0, fixed.borders),
        "moving": moving,
        "overlapping": fixed,
    }
    if bench.scope.alone:
        return results
    model, settings = bench.painter.model, bench.painter.settings
    tiles = OverlappingTiles(model, settings)
    picture = tiles.upscaled(first, FACTOR, prompt, seed, STRENGTH)
    results["tiles"] = _UpscaledPicture(picture, tiles.evaluations, fixed.borders)
    if with_demofusion:
        demofusion = DemoFusion(model, settings)
        picture = demofusion.enlarged(first, FACTOR, prompt, seed)
        results["demofusion"] = _UpscaledPicture(picture, demofusion.evaluations, fixed.borders)
    return results


def _judge(bench: Workbench, prompts: Sequence[str]) -> HeightJudge | None:
    """Knows at which height what of these scenes lies; None where there is no scene."""
    if not prompts:
        return None
    singles = single_windows(bench, prompts)[:, :-UNSEEN]
    return HeightJudge.taught(singles, prompts, bench.painter.settings.seed)


def _upscale(
    bench: Workbench, first: np.ndarray, prompt: str, seed: int, *, moving: bool = True
) -> _UpscaledPicture:
    painter = bench.painter
    height, width = first.shape[:2]
    request = painter.request(height, width, prompt, seed, task="upscale", strength=STRENGTH)
    opaque = np.full((height, width, 1), 255, np.uint8)
    rgba = np.concatenate([first, opaque], axis=2)
    *made, end = upscale(rgba, request, FACTOR, {}, painter.model_cache, moving=moving)
    if not isinstance(end, Upscaled):
        raise TypeError("upscaling must end with its report")
    picture = np.concatenate([band.pixels for band in made if isinstance(band, Band)])
    size = Size(*upscaled_size(height, width, FACTOR))
    expert = replace(request.expert, windows="shift" if moving else "overlap")
    larger = replace(request, height=size.height, width=size.width, expert=expert)
    borders = window_borders(make_plan(larger, painter.model))
    return _UpscaledPicture(picture[..., :3], end.report["unet_evaluations"], borders)


def _seams(larger: _UpscaledPicture, cell_px: int, *, even: bool) -> float:
    """Across the borders of windows; both ways if the picture is `even`: a horizon is no seam."""
    borders = [cell * cell_px for cell in larger.borders]
    pictures = (larger.picture, turned(larger.picture)) if even else (larger.picture,)
    return float(np.mean([seam_ratio(each, borders, cell_px) for each in pictures]))


def _psnr(larger: np.ndarray, first: np.ndarray) -> float:
    """In decibels, how near the result shrunk again is to what it was made of."""
    shrunk = _resized(larger, Size(*first.shape[:2]), Image.Resampling.BOX)
    error = ((shrunk.astype(np.float64) - first) ** 2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-6)))


def _shrunk(picture: np.ndarray, by: float) -> np.ndarray:
    height, width = (round(side * by) for side in picture.shape[:2])
    return _resized(picture, Size(height, width), Image.Resampling.BOX)


def _resized(picture: np.ndarray, size: Size, how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize(size[::-1], how))
