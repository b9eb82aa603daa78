"""Extension: does the new part go on with what lies beside it, on all four sides.

What each place should show is what the nearest pixel of the old picture was painted with. Ground
near the line between two of them is left out: a hill may rise beyond the edge.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from tapestry_protocol.pixels import Margins

from ..common.layouts import RegionLayout
from ..common.painter import as_regions
from ..common.prompts import contrasting, house, layered_scenes
from .brush import means
from .brush_shapes import Square
from .captioned import CaptionedPicture
from .colour_judge import ColourJudge
from .foreign import core_labels
from .outlines import perfect
from .scene_parts import TOP
from .seams import extended
from .workbench import Measured, Workbench

SIDES = ("left", "right", "top", "bottom")

_BORDER_PX = 10
"""Beside the line between two areas, carried on into the new part, nothing is judged."""


@dataclass(frozen=True)
class Continuation:
    """How one new part goes on: the share of pixels that show what lies beside them.

    regions     where that is a region
    background  where it is the background; None where there is none
    """

    regions: float | None
    background: float | None

    def __str__(self) -> str:
        shares = (self.regions, self.background)
        return " ".join(f"{share:.2f}" for share in shares if share is not None)


def measure_extension(bench: Workbench) -> Measured:
    """The share of the new part that goes on with the region, or background, beside it.

    And scenes that grow upwards: how much of their new part shows what the old top shows.
    """
    layouts = ground_layouts(bench.painter.settings.model, bench.painter.window_px)
    asked = [*itertools.product(range(1 if bench.scope.quick else 3), layouts, SIDES)]
    bench.say(f"extension: {len(asked)} sides of {len(layouts)} pictures")
    found: dict[str, list[float]] = {}
    details: dict[str, object] = {}
    rows = []
    for seed, layout, where in asked:
        margins = margins_at(where, bench.painter.window_px // 2)
        picture = _extend(bench, layout, margins, 45_000 + seed)
        extended = continued(bench.colours, layout, picture, margins)
        for name, share in (("continues", extended.regions), ("background", extended.background)):
            if share is not None:
                found.setdefault(name, []).append(share)
        if extended.regions is not None:
            found.setdefault(where, []).append(extended.regions)
        details[f"{layout.name}, {where}, {seed}"] = [extended.regions, extended.background]
        rows.append([CaptionedPicture(f"{layout.name}, {where} {extended}", picture)])
    found["upwards"], shown = _upwards(bench)
    figures, errors = means(found)
    return Measured(figures, [*rows, shown], errors, details)


def _extend(bench: Workbench, layout: RegionLayout, margins: Margins, seed: int) -> np.ndarray:
    """A picture of a layout, extended as the request of its document says: uint8 [H, W, 3].

    The old picture is plain pictures cut to the pixel, so that only the extension is measured.
    """
    old = perfect(bench.colours, layout)
    regions, blobs = as_regions(layout.masks, layout.prompts)
    opaque = np.dstack([old, np.full(old.shape[:2], 255, np.uint8)])
    return extended(bench, opaque, margins, layout.background, seed, blobs, regions=regions)


def _upwards(bench: Workbench) -> tuple[list[float], list[CaptionedPicture]]:
    """Scenes of one window, extended at the top: the share of the new part that shows their top."""
    side = bench.painter.window_px
    prompts = layered_scenes(bench.painter.settings.model)
    bench.say(f"extension: {len(prompts)} scenes grow upwards")
    shares, shown = [], []
    for i, prompt in enumerate(prompts):
        old = bench.painter.paint(bench.painter.request(side, side, prompt, 46_000 + i))
        picture = extended(bench, old, margins_at("top", side // 2), prompt, 46_000 + i)
        shares.append(float((bench.parts.name(picture, prompt) == TOP)[: side // 2].mean()))
        shown.append(CaptionedPicture(f"{prompt}, up {shares[-1]:.2f}", picture))
    return shares, shown


def ground_layouts(model: str, side_px: int) -> list[RegionLayout]:
    """Pictures whose regions touch their edges."""
    draw = Square(side_px)
    source, other = contrasting(model)[1], contrasting(model)[9 % len(contrasting(model))]
    door, roof, wall, sky = house(model)
    hill = draw.y > 0.68 + 0.05 * np.sin(5 * draw.x)
    wood = (draw.y > 0.3 + 0.04 * np.cos(4 * draw.x)) & ~hill
    river = np.abs(draw.x - 0.5 - 0.08 * np.sin(6 * draw.y)) < 0.16
    quarters = tuple((draw.y // 0.5 * 2 + draw.x // 0.5) == i for i in range(4))
    return [
        RegionLayout("lawn and wood", (hill, wood), (other[1], door), sky),
        RegionLayout("river", (river,), (other[0],), other[1]),
        RegionLayout("quarters", quarters, (door, roof, wall, sky), source[1]),
    ]


def margins_at(where: str, grown_px: int) -> Margins:
    """A margin on one side alone."""
    return Margins(**{where: grown_px})


def continued(
    judge: ColourJudge, layout: RegionLayout, picture: np.ndarray, margins: Margins
) -> Continuation:
    """How the new part of an extended picture, uint8 [H, W, 3], goes on."""
    around = ((margins.top, margins.bottom), (margins.left, margins.right))
    labels = np.pad(layout.labels, around, mode="edge")
    new = np.pad(np.zeros(layout.labels.shape, dtype=bool), around, constant_values=True)
    expected = np.where(new, core_labels(labels, _BORDER_PX), -1)
    prompts = (*layout.prompts, layout.background)
    right = judge.name(picture, prompts, labels) == expected
    background = expected == len(layout.masks)
    regions = (expected >= 0) & ~background
    return Continuation(
        *(float(right[area].mean()) if area.any() else None for area in (regions, background))
    )
