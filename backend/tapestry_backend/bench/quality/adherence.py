"""Region adherence: does each region show its prompt, and nowhere else.

The figure is the mean intersection over union of what a patch classifier sees and what the masks
say, over the regions of a layout and its background, then over the layouts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..common.layouts import RegionLayout, make_layouts, quick_layouts
from ..metrics.regions import intersection_over_union, whole_patches
from .captioned import CaptionedPicture
from .contact_sheet import coloured
from .judge import PATCH_PX, STRIDE_PX, Judge
from .workbench import Measured, Workbench

Paint = Callable[[RegionLayout, int], np.ndarray]
"""(layout, seed) -> its picture, uint8 [H, W, 3]."""


@dataclass(frozen=True)
class Obedience:
    """How one picture obeys its layout: an IoU for each region that has whole patches.

    areas are in windows; the background has the number len(layout.masks).
    """

    layout: RegionLayout
    ious: dict[int, float]
    areas: dict[int, float]
    upper_wins: float | None = None
    """Share of the patches in overlaps that show the topmost region; None without overlaps."""

    @property
    def mean(self) -> float:
        """Over the regions and the background."""
        return float(np.mean(list(self.ious.values())))


@dataclass(frozen=True)
class Adherence:
    """How all pictures of one painter obey."""

    each: list[Obedience] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Mean IoU over the layouts."""
        return float(np.mean([found.mean for found in self.each]))

    @property
    def large(self) -> float:
        """Mean IoU of the areas of at least a quarter of a window."""
        return self._mean_of(lambda found, number: found.areas[number] >= 0.25)

    @property
    def thin(self) -> float:
        """Mean IoU of the thin strokes."""
        return self._mean_of(lambda found, number: number in found.layout.thin)

    @property
    def upper_wins(self) -> float | None:
        """Share of the patches in overlaps that show the topmost region; None without any."""
        shares = [found.upper_wins for found in self.each if found.upper_wins is not None]
        return float(np.mean(shares)) if shares else None

    def _mean_of(self, wanted: Callable[[Obedience, int], bool]) -> float:
        return float(np.mean([o.ious[n] for o in self.each for n in o.ious if wanted(o, n)]))


def measure(
    paint: Paint, layouts: Sequence[RegionLayout], judge: Judge, window_px: int, seed: int = 0
) -> Adherence:
    """Paint every layout and judge it; seeds count on from `seed`."""
    result = Adherence()
    for number, layout in enumerate(layouts):
        picture = paint(layout, seed + number)
        result.pictures.append(picture)
        result.each.append(obedience(picture, layout, judge, window_px))
    return result


def obedience(picture: np.ndarray, layout: RegionLayout, judge: Judge, window_px: int) -> Obedience:
    """Judge one picture, uint8 [H, W, 3].

    A patch counts when it lies within one area whole: across an edge there is nothing to be right
    about. Patches where masks overlap are counted apart (`upper_wins`): the paper averages there,
    so it would be wrong whatever it showed.
    """
    prompts = (*layout.prompts, layout.background)
    seen = _numbers(judge.name(picture), [judge.prompts.index(prompt) for prompt in prompts])
    truth, whole = whole_patches(layout.labels, PATCH_PX, STRIDE_PX)
    _, clear = whole_patches(layout.overlap, PATCH_PX, STRIDE_PX)
    overlap = layout.overlap[::STRIDE_PX, ::STRIDE_PX][: truth.shape[0], : truth.shape[1]]
    counted = whole & clear & ~overlap
    upper = whole & clear & overlap
    return Obedience(
        layout,
        intersection_over_union(seen[counted], truth[counted]),
        {n: float((layout.labels == n).sum()) / window_px**2 for n in range(len(prompts))},
        float((seen[upper] == truth[upper]).mean()) if upper.any() else None,
    )


def _numbers(seen: np.ndarray, classes: Iterable[int]) -> np.ndarray:
    """Classes of the judge as numbers of the layout's areas; -1 for what is in none of them."""
    numbers = np.full_like(seen, -1)
    for number, found in enumerate(classes):
        numbers[seen == found] = number
    return numbers


def measure_adherence(bench: Workbench) -> Measured:
    """Tapestry's adherence beside that of the paper's loop, on the same noise."""
    make = quick_layouts if bench.scope.quick else make_layouts
    painter = bench.painter
    layouts = make(bench.prompts, painter.window_px)
    judge = bench.judge
    painters: dict[str, Paint] = {"tapestry": painter.layout}
    if not bench.scope.alone:
        painters["paper"] = bench.paper.layout
    found: dict[str, Adherence] = {}
    for name, paint in painters.items():
        bench.say(f"adherence: {len(layouts)} layouts, {name}")
        found[name] = measure(_announced(bench, paint), layouts, judge, painter.window_px)
    return Measured(
        {
            **{name: result.mean for name, result in found.items()},
            "thin": found["tapestry"].thin,
            "large": found["tapestry"].large,
            **_overlaps(found["tapestry"]),
            **(_beside(found["tapestry"], found["paper"]) if "paper" in found else {}),
            "judge": bench.judge_accuracy(judge),
        },
        _rows(layouts, found),
        errors={name: _error(result) for name, result in found.items()},
        details={
            layout.name: {name: round(r.each[i].mean, 4) for name, r in found.items()}
            for i, layout in enumerate(layouts)
        },
    )


def _error(found: Adherence) -> float:
    """Of the mean over the layouts."""
    return float(np.std([each.mean for each in found.each]) / len(found.each) ** 0.5)


def _overlaps(found: Adherence) -> dict[str, float]:
    """Nothing where no overlap holds a whole patch, as with a window of 64 pixels."""
    return {} if found.upper_wins is None else {"upper_wins": found.upper_wins}


def _beside(ours: Adherence, theirs: Adherence) -> dict[str, float]:
    return {
        "above_paper": ours.mean - theirs.mean,
        "paper_thin": theirs.thin,
        "paper_large": theirs.large,
    }


def _announced(bench: Workbench, paint: Paint) -> Paint:
    def announced(layout: RegionLayout, seed: int) -> np.ndarray:
        picture = paint(layout, seed)
        found = obedience(picture, layout, bench.judge, bench.painter.window_px)
        bench.say(f"    {layout.name}: {found.mean:.3f}")
        return picture

    return announced


def _rows(
    layouts: Sequence[RegionLayout], found: Mapping[str, Adherence]
) -> list[list[CaptionedPicture]]:
    return [
        [
            CaptionedPicture(layout.name, coloured(layout.labels)),
            *(
                CaptionedPicture(f"{name} {result.each[i].mean:.2f}", result.pictures[i])
                for name, result in found.items()
            ),
        ]
        for i, layout in enumerate(layouts)
    ]
