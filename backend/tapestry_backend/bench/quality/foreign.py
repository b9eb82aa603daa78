"""Foreign material: does a region's core show anything of another region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..common.layouts import RegionLayout
from ..common.prompts import contrasting, house
from ..metrics.outlines import within
from .brush import Paint, means, painters
from .brush_shapes import Square
from .captioned import CaptionedPicture
from .colour_judge import ColourJudge
from .outlines import perfect
from .workbench import Measured, Workbench

FEATHER_PX = 32

_CORE_PX = 16
"""Beyond the softened part, how far inside its outline a region's core begins."""


@dataclass(frozen=True)
class ForeignScene:
    """What is painted on two by two windows, and what each core must show.

    cores   [H, W]: the number of the region whose core a pixel is in, the background as the last;
            -1 between the cores
    """

    layout: RegionLayout
    cores: np.ndarray
    fields: dict[str, object] = field(default_factory=dict)


def measure_foreign(bench: Workbench) -> Measured:
    """The share of pixels in the cores of regions that show another region's material.

    With the default coherence. The paper's loop has no feather: it is given the hard masks of the
    same scenes.
    """
    seeds = 1 if bench.scope.quick else 3
    count = 2 if bench.scope.quick else 6
    kinds = foreign_scenes(bench.painter.settings.model, bench.painter.window_px, count)
    found: dict[str, list[float]] = {}
    rows: list[list[CaptionedPicture]] = []
    for kind, scenes in kinds.items():
        bench.say(f"foreign: {len(scenes)} scenes, {kind}")
        for i, scene in enumerate(scenes):
            made = [
                bench.painter.layout(scene.layout, 44_000 + 100 * s + i, **scene.fields)
                for s in range(seeds)
            ]
            shares = [foreign_share(bench.colours, scene, picture) for picture in made]
            found.setdefault(kind, []).extend(shares)
            rows.append([CaptionedPicture(f"{kind}: {scene.layout.name} {shares[0]:.3f}", made[0])])
    others: Sequence[tuple[str, Paint]] = [*painters(bench).items()][1:]
    for name, paint in others:
        scenes = kinds["hard"] if not bench.scope.quick else kinds["hard"][:1]
        bench.say(f"foreign: {len(scenes)} scenes, {name}")
        made = [paint(scene.layout, 44_000 + i) for i, scene in enumerate(scenes)]
        shares = [foreign_share(bench.colours, s, p) for s, p in zip(scenes, made, strict=True)]
        found[name] = shares
        rows.append(
            [
                CaptionedPicture(f"{name} {share:.3f}", p)
                for share, p in zip(shares, made, strict=True)
            ]
        )
    found["judge"] = [
        foreign_share(bench.colours, scene, perfect(bench.colours, scene.layout))
        for scene in kinds["hard"]
    ]
    figures, errors = means(found)
    figures["worst"] = max(max(found[kind]) for kind in kinds)
    return Measured(figures, rows, errors)


def foreign_scenes(model: str, window_px: int, count: int) -> dict[str, list[ForeignScene]]:
    """Scenes with hard masks, with feathered ones, and with gradients painted by an airbrush."""
    side = 2 * window_px
    pairs = sorted(contrasting(model), key=lambda pair: pair[0] != "sunset sky")[:count]
    hard = [_quarters(house(model), side), *(_shape(pair, side) for pair in pairs[: count - 1])]
    feathered = [
        ForeignScene(
            scene.layout,
            core_labels(scene.layout.labels, _CORE_PX + FEATHER_PX),
            {"feather_px": FEATHER_PX},
        )
        for scene in hard
    ]
    return {"hard": hard, "feather": feathered, "soft": [_gradient(p, side) for p in pairs]}


def foreign_share(judge: ColourJudge, scene: ForeignScene, picture: np.ndarray) -> float:
    """The share of one picture, uint8 [H, W, 3]."""
    prompts = (*scene.layout.prompts, scene.layout.background)
    seen = judge.name(picture, prompts, scene.cores)
    inside = scene.cores >= 0
    return float((seen != scene.cores)[inside].mean())


def _quarters(prompts: Sequence[str], side_px: int) -> ForeignScene:
    draw = Square(side_px)
    masks = tuple((draw.y // 0.5 * 2 + draw.x // 0.5) == i for i in range(3))
    layout = RegionLayout("quarters", masks, tuple(prompts[:3]), prompts[3])
    return ForeignScene(layout, core_labels(layout.labels, _CORE_PX))


def _shape(pair: Sequence[str], side_px: int) -> ForeignScene:
    mask = Square(side_px).blob(0.5, 0.5, 0.34)
    layout = RegionLayout(f"{pair[0]} on {pair[1]}", (mask,), tuple(pair[:1]), pair[1])
    return ForeignScene(layout, core_labels(layout.labels, _CORE_PX))


def _gradient(pair: Sequence[str], side_px: int) -> ForeignScene:
    """A gradient across the whole width; its cores are the outer thirds."""
    draw = Square(side_px)
    cores = np.full((side_px, side_px), -1)
    cores[draw.x < 1 / 3], cores[draw.x > 2 / 3] = 0, 1
    layout = RegionLayout(f"{pair[0]} to {pair[1]}", (1 - draw.x,), tuple(pair[:1]), pair[1])
    return ForeignScene(layout, cores)


def core_labels(labels: np.ndarray, distance_px: float) -> np.ndarray:
    """Labels [H, W] where none of another number lies within a distance; -1 elsewhere."""
    cores = labels.copy()
    for number in np.unique(labels):
        inside = labels == number
        cores[inside & within(~inside, distance_px)] = -1
    return cores
