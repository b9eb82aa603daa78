"""Strokes: does a thin line show its material, all along and as wide as it was painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..common.layouts import RegionLayout
from ..common.prompts import contrasting
from ..metrics.outlines import relative_width, stroke_recall
from .brush import Paint, means, painters
from .brush_shapes import STROKES, stroke
from .captioned import CaptionedPicture
from .colour_judge import ColourJudge
from .outlines import perfect
from .workbench import Measured, Workbench

WIDTHS_PX = (4, 8, 12, 16, 24)

_REACH_PX = 8
"""How far beside a stroke its material counts as the stroke."""


@dataclass(frozen=True)
class Stroke:
    """How one stroke came out: the share of it that shows, and its width over the painted one."""

    recall: float
    width: float


def stroke_layouts(
    model: str, side_px: int, width_px: int, count: int | None
) -> list[RegionLayout]:
    """A stroke of this width in each of the first `count` pairs of materials."""
    layouts = []
    for i, (painted, ground) in enumerate(contrasting(model)[:count]):
        line = STROKES[i % len(STROKES)]
        mask = stroke(line, side_px, width_px)
        layouts.append(RegionLayout(f"{width_px} px {painted}", (mask,), (painted,), ground))
    return layouts


def measure_strokes(bench: Workbench) -> Measured:
    """Recall along strokes and their relative width, for every width and pair of materials."""
    count, seeds = (4, 1) if bench.scope.quick else (None, 2)
    side, model = bench.painter.window_px, bench.painter.settings.model
    found: dict[str, list[float]] = {"judge": [], "judge_width": []}
    worst: dict[str, float] = {}
    rows: list[list[CaptionedPicture]] = []
    details: dict[str, object] = {}
    for width in WIDTHS_PX:
        layouts = stroke_layouts(model, side, width, count)
        row: list[list[CaptionedPicture]] = [[] for _ in layouts]
        for name, paint in painters(bench).items():
            bench.say(f"strokes: {len(layouts)} of {width} pixels, {name}")
            strokes = [
                _painted(bench, paint, layout, [42_000 + 100 * s + i for s in range(seeds)], shown)
                for i, (layout, shown) in enumerate(zip(layouts, row, strict=True))
            ]
            found |= _figures(name, width, strokes)
            if name == "tapestry":
                recalls = [float(np.mean([each.recall for each in pair])) for pair in strokes]
                worst[f"worst_{width}"] = min(recalls)
                details[f"{width}_px"] = _by_prompt(layouts, strokes)
        cut = [judged(bench.colours, layout, perfect(bench.colours, layout)) for layout in layouts]
        found["judge"] += [each.recall for each in cut]
        found["judge_width"] += [abs(each.width - 1) for each in cut]
        rows += row
    figures, errors = means(found)
    return Measured({**figures, **worst}, rows, errors, details)


def judged(judge: ColourJudge, layout: RegionLayout, picture: np.ndarray) -> Stroke:
    """How the stroke of a layout came out in a picture, uint8 [H, W, 3]."""
    mask, prompts = layout.masks[0], (*layout.prompts, layout.background)
    along = judge.name(picture, prompts, layout.labels) == 0
    seen = judge.name(picture, prompts) == 0
    return Stroke(stroke_recall(along, mask), relative_width(seen, mask, _REACH_PX))


def _painted(
    bench: Workbench,
    paint: Paint,
    layout: RegionLayout,
    seeds: Sequence[int],
    shown: list[CaptionedPicture],
) -> list[Stroke]:
    """A stroke with each seed; the first goes to the contact sheet."""
    pictures = [paint(layout, seed) for seed in seeds]
    strokes = [judged(bench.colours, layout, picture) for picture in pictures]
    caption = f"{layout.name} {strokes[0].recall:.2f} x{strokes[0].width:.2f}"
    shown.append(CaptionedPicture(caption, pictures[0]))
    return strokes


def _figures(name: str, width: int, strokes: Sequence[Sequence[Stroke]]) -> dict[str, list[float]]:
    every = [each for pair in strokes for each in pair]
    if name != "tapestry":
        return {f"{name}_{width}": [each.recall for each in every]}
    return {
        f"recall_{width}": [each.recall for each in every],
        f"width_{width}": [abs(each.width - 1) for each in every],
    }


def _by_prompt(
    layouts: Sequence[RegionLayout], strokes: Sequence[Sequence[Stroke]]
) -> dict[str, object]:
    return {
        f"{layout.prompts[0]} on {layout.background}": {
            "recall": [round(each.recall, 3) for each in pair],
            "width": [round(each.width, 3) for each in pair],
        }
        for layout, pair in zip(layouts, strokes, strict=True)
    }
