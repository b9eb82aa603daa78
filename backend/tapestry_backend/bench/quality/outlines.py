"""Outlines: does a shape end where it was painted, to the pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..common.layouts import RegionLayout
from ..common.prompts import contrasting, house
from ..metrics.outlines import beside_outlines, outline_share
from .brush import means, painters
from .brush_shapes import outline_shapes
from .captioned import CaptionedPicture
from .colour_judge import ColourJudge
from .workbench import Measured, Workbench

BAND_PX = 4
"""How far from the painted line pixels count."""

_SEEDS = 3


def outline_layouts(model: str, side_px: int, turn: int = 0) -> list[RegionLayout]:
    """Every shape in a pair of materials; another `turn` pairs them otherwise."""
    pairs = contrasting(model)
    layouts = []
    for number, (name, masks) in enumerate(outline_shapes(side_px).items()):
        prompts = house(model) if name == "house" else pairs[(number + 5 * turn) % len(pairs)]
        layouts.append(RegionLayout(name, tuple(masks), prompts[:-1], prompts[-1]))
    return layouts


def measure_outlines(bench: Workbench) -> Measured:
    """The share of pixels beside outlines that show what was painted there.

    On canvases of one window; a full run also paints canvases of two by two, by Tapestry alone.
    """
    side, model, judge = bench.painter.window_px, bench.painter.settings.model, bench.colours
    turns = range(1 if bench.scope.quick else _SEEDS)
    small = [layout for turn in turns for layout in outline_layouts(model, side, turn)]
    large = [] if bench.scope.quick else outline_layouts(model, 2 * side)
    shares: dict[str, list[float]] = {}
    pictures: dict[str, list[np.ndarray]] = {}
    for name, paint in painters(bench).items():
        layouts = [*small, *large] if name == "tapestry" else small
        bench.say(f"outlines: {len(layouts)} shapes, {name}")
        pictures[name] = [paint(layout, 41_000 + i) for i, layout in enumerate(layouts)]
        made = [*zip(layouts, pictures[name], strict=True)]
        prefix = "" if name == "tapestry" else f"{name}_"
        shares[name] = [judged(judge, layout, picture) for layout, picture in made]
        shares[f"{prefix}halo"] = [halo(judge, layout, picture) for layout, picture in made]
    shares["judge"] = [judged(judge, layout, perfect(judge, layout)) for layout in small]
    figures, errors = means(shares)
    figures["worst"] = min(shares["tapestry"])
    layouts = [*small, *large]
    return Measured(
        figures, _rows(layouts, pictures, shares), errors, details=_by_shape(layouts, shares)
    )


def judged(judge: ColourJudge, layout: RegionLayout, picture: np.ndarray) -> float:
    """The share of one picture, uint8 [H, W, 3]."""
    labels = layout.labels
    seen = judge.name(picture, (*layout.prompts, layout.background), labels)
    return outline_share(seen, labels, BAND_PX)


def halo(judge: ColourJudge, layout: RegionLayout, picture: np.ndarray) -> float:
    """How much more of what lies beside outlines than elsewhere has a colour of neither material.

    In shares of pixels of uint8 [H, W, 3]: a rim of a third colour along all outlines would be 1.
    """
    near = beside_outlines(layout.labels, BAND_PX)
    strange = judge.strange(picture, (*layout.prompts, layout.background))
    return float(strange[near].mean() - strange[~near].mean())


def perfect(judge: ColourJudge, layout: RegionLayout) -> np.ndarray:
    """Plain pictures cut along the painted lines: what the judge finds there is the most it can."""
    return judge.cut((*layout.prompts, layout.background), layout.labels)


def _by_shape(layouts: Sequence[RegionLayout], shares: dict[str, list[float]]) -> dict[str, object]:
    """For each shape, the share of each picture of it."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, each in shares.items():
        for layout, share in zip(layouts, each, strict=False):
            found.setdefault(layout.name, {}).setdefault(name, []).append(round(share, 4))
    return dict(found)


def _rows(
    layouts: Sequence[RegionLayout],
    pictures: dict[str, list[np.ndarray]],
    shares: dict[str, list[float]],
) -> list[list[CaptionedPicture]]:
    return [
        [
            CaptionedPicture(f"{layout.name}, {name} {shares[name][i]:.3f}", made[i])
            for name, made in pictures.items()
            if i < len(made)
        ]
        for i, layout in enumerate(layouts)
    ]
