"""Opacity: does more paint show more of its material, evenly and without jumps.

How much of a material a place shows is read from its colour, between the mean colours of both
materials. A place where one in two pixels shows it and a place where every pixel is half of it
count the same: which of them looks better is for the eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..common.layouts import RegionLayout
from ..common.prompts import contrasting
from ..metrics.colours import Mixture
from ..metrics.opacity import largest_step, rank_correlation, shares_by_opacity
from ..metrics.outlines import within
from .brush import Paint, means, painters
from .brush_shapes import gradients, wash
from .captioned import CaptionedPicture
from .workbench import Measured, Workbench

WASHES = tuple(step / 10 for step in range(1, 10))

_RIM_PX = 8
"""Beside the outline of a wash, which is left out: it is its inside that is measured here."""


@dataclass(frozen=True)
class Curve:
    """A material's share by painted opacity, both [n], the opacities rising."""

    opacity: np.ndarray
    share: np.ndarray

    @property
    def rank(self) -> float:
        """Rank correlation of both."""
        return rank_correlation(self.opacity, self.share)

    @property
    def step(self) -> float:
        """The largest change of share over a tenth of opacity."""
        return largest_step(self.share)

    @property
    def error(self) -> float:
        """How far the share is from the opacity, in the mean."""
        return float(np.abs(self.share - self.opacity).mean())


def measure_opacity(bench: Workbench) -> Measured:
    """Rank correlation and the largest step of a material's share against painted opacity."""
    pairs = contrasting(bench.painter.settings.model)[1 : 3 if bench.scope.quick else 5]
    seeds = 1 if bench.scope.quick else 2
    found: dict[str, list[float]] = {}
    worst: dict[str, float] = {}
    rows: list[list[CaptionedPicture]] = []
    details: dict[str, object] = {}
    for name, paint in painters(bench).items():
        curves = []
        for number, pair in enumerate(pairs):
            bench.say(f"opacity: {pair[0]} on {pair[1]}, {name}")
            # A quick run has the washes of one pair: they are nine pictures.
            washed = number == 0 or not bench.scope.quick
            for seed in range(seeds):
                made, shown = _curves(bench, paint, pair, 43_000 + 100 * seed, washed=washed)
                curves += made
                rows += shown if seed == 0 else []
                details[f"{name}: {pair[0]}, {seed}"] = [_rounded(each) for each in made]
        prefix = "" if name == "tapestry" else f"{name}_"
        for figure in ("rank", "step", "error"):
            found[prefix + figure] = [getattr(curve, figure) for curve in curves]
        if name == "tapestry":
            worst = {"worst_rank": min(found["rank"]), "worst_step": max(found["step"])}
    found["judge"] = [_examined(bench, pair) for pair in pairs]
    figures, errors = means(found)
    return Measured({**figures, **worst}, rows, errors, details)


def _curves(
    bench: Workbench, paint: Paint, pair: Sequence[str], seed: int, *, washed: bool
) -> tuple[list[Curve], list[list[CaptionedPicture]]]:
    """One curve for each gradient, and one over all washes."""
    side, mixture = bench.painter.window_px, bench.colours.mixture(*pair)
    curves, shown = [], []
    for name, mask in gradients(side).items():
        picture = paint(RegionLayout(name, (mask,), (pair[0],), pair[1]), seed)
        curves.append(curve(picture, mask, mixture))
        shown.append(
            CaptionedPicture(f"{name} {curves[-1].rank:.2f} {curves[-1].step:.2f}", picture)
        )
    if not washed:
        return curves, [shown]
    pictures = [
        paint(RegionLayout("wash", (wash(side, opacity),), (pair[0],), pair[1]), seed)
        for opacity in WASHES
    ]
    curves.append(washes_curve(pictures, mixture))
    washes = zip(WASHES, curves[-1].share, pictures, strict=True)
    return curves, [shown, [CaptionedPicture(f"{o:.0%}: {share:.2f}", p) for o, share, p in washes]]


def curve(picture: np.ndarray, mask: np.ndarray, mixture: Mixture) -> Curve:
    """Of one picture, uint8 [H, W, 3], of opacities [H, W], by tenths."""
    return Curve(*shares_by_opacity(mixture.share(picture), mask))


def washes_curve(pictures: Sequence[np.ndarray], mixture: Mixture) -> Curve:
    """Over the pictures of all washes."""
    washed = wash(pictures[0].shape[0], 1) > 0
    inside = washed & ~within(~washed, _RIM_PX)
    shares = [mixture.share(picture)[inside].mean() for picture in pictures]
    return Curve(np.array(WASHES), np.array(shares))


def _examined(bench: Workbench, pair: Sequence[str]) -> float:
    """How far plain pictures that taught nothing are from 1 and 0, in the mean."""
    mixture = bench.colours.mixture(*pair)
    first, second = (mixture.share(bench.colours.unseen(prompt)).mean() for prompt in pair)
    return float((abs(first - 1) + abs(second)) / 2)


def _rounded(found: Curve) -> dict[str, list[float]]:
    return {"opacity": found.opacity.round(3).tolist(), "share": found.share.round(3).tolist()}
