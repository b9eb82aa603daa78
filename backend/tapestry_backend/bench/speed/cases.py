"""What is timed beside what, and the goal of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tapestry_protocol.messages import Expert, PixelsRef, Request
from tapestry_protocol.pixels import Margins, Pixels

from ..common.goals import Goal
from ..common.layouts import RegionLayout
from ..common.painter import Painter, as_regions

PEERS = ("diffusers", "paper")

MOST_OVERHEAD = 0.03
MOST_OVER_FLOOR = 1.10
SAME_PICTURE = 1e-4
"""Goals that hold for every case, and the largest difference between latents that are equal."""


@dataclass(frozen=True)
class Effort:
    """How much is measured: steps of each picture, pairs of each case, and the longest canvas.

    The paper's loop takes a minute for a step on a processor: its case has fewer of both.

    layouts    of the quality benchmark, to see how faster settings obey; panoramas: how many, for
               their seams
    """

    steps: int
    pairs: int
    paper_steps: int
    paper_pairs: int
    quick: bool = False
    many_windows: int = 32
    layouts: tuple[str, ...] = ("2x2 quarters", "2x2 boxes", "2x2 circles")
    panoramas: int = 3


FULL = Effort(
    steps=20,
    pairs=5,
    paper_steps=5,
    paper_pairs=3,
    layouts=("2x2 quarters", "2x2 boxes", "2x2 circles", "2x2 letter", "2x2 checkerboard"),
    panoramas=8,
)
QUICK = Effort(steps=20, pairs=1, paper_steps=2, paper_pairs=1, quick=True)


@dataclass(frozen=True)
class Asked:
    """A request and its blobs."""

    request: Request
    blobs: Mapping[str, bytes] = field(default_factory=dict)

    def in_steps(self, number: int) -> Asked:
        """The same in fewer steps."""
        return Asked(replace(self.request, num_inference_steps=number), self.blobs)


@dataclass(frozen=True)
class Case:
    """One comparison.

    peer     who paints the other picture: one of `PEERS`, or Tapestry itself with `reference`
    goal     of the ratio, and what the ratio is: how many times as fast as a peer, or as costly as
             the reference
    of_memory       the ratio is one of peaks of memory, not of seconds
    of_worth        seams and drift are measured, of our picture and of the peer's
    same_picture    the peer's latents are compared with ours
    lossy    what the picture lost against the reference is measured
    long     a quick run leaves it out, unless it is named
    """

    name: str
    asked: Asked
    peer: str
    goal: Goal
    reference: Asked | None = None
    layout: RegionLayout | None = None
    of_memory: bool = False
    of_worth: bool = False
    same_picture: bool = False
    lossy: bool = False
    long: bool = False


def make_cases(painter: Painter, prompts: Sequence[str], effort: Effort) -> list[Case]:
    """All cases; those that are not long stand for all."""
    return [
        *(_default_panorama(painter, prompts[0], width) for width in (4, 8)),
        *(_faster(painter, prompts[0], speed) for speed in ("balanced", "fast")),
        _same_windows(painter, prompts[0]),
        _small_regions(painter, prompts),
        _extension(painter, prompts[0]),
        _memory(painter, prompts[0], effort.many_windows),
        _eight_regions(painter, prompts, effort.paper_steps),
    ]


def _default_panorama(painter: Painter, prompt: str, windows: int) -> Case:
    goal = Goal("times as fast as diffusers, default settings of both", at_least=5)
    asked = _panorama(painter, prompt, windows)
    return Case(f"panorama_{windows}", asked, "diffusers", goal, of_worth=True, long=windows > 4)


def _faster(painter: Painter, prompt: str, speed: str) -> Case:
    goal = Goal(f'times as costly as "quality": the speed "{speed}"')
    asked = _panorama(painter, prompt, 4, speed=speed)
    best = _panorama(painter, prompt, 4)
    return Case(f"speed_{speed}", asked, "quality", goal, reference=best, lossy=True)


def _same_windows(painter: Painter, prompt: str) -> Case:
    """Windows and stride of the peer, its scheduler, its way to fuse them, and nothing besides."""
    stride = max(1, painter.model.window // 8) * painter.model.cell_px
    expert = Expert(stride_px=stride, window_weighting="flat")
    goal = Goal("times as fast as diffusers, the same windows", at_least=1.3)
    asked = _panorama(painter, prompt, 4, expert=expert, scheduler="ddim", coherence=0.0)
    return Case("same_windows", asked, "diffusers", goal, same_picture=True)


def _eight_regions(painter: Painter, prompts: Sequence[str], steps: int) -> Case:
    layout = board(2 * painter.window_px, prompts, 2, 4)
    asked = of_layout(painter, layout, num_inference_steps=steps)
    goal = Goal("times as fast as the paper's loop, 8 regions on 2 x 2 windows", at_least=6)
    return Case("regions_8", asked, "paper", goal, layout=layout)


def _small_regions(painter: Painter, prompts: Sequence[str]) -> Case:
    layout = board(2 * painter.window_px, prompts, 4, 5)
    one = Asked(painter.request(layout.height, layout.width, prompts[0], 0))
    asked = of_layout(painter, layout)
    goal = Goal("times as costly as one prompt, 20 regions of 5 %", at_most=2)
    return Case("small_regions_20", asked, "one prompt", goal, reference=one)


def _extension(painter: Painter, prompt: str) -> Case:
    side = painter.window_px
    values = np.random.default_rng(0).integers(0, 256, (side, side, 4), dtype=np.uint8)
    values[..., 3] = 255
    pixels = Pixels(side, side, 4, values.tobytes())
    extension = {
        "task": "extend",
        "margins": Margins(right=side // 2),
        "image": PixelsRef.of(pixels),
    }
    asked = Asked(painter.request(side, side, prompt, 0, **extension), {pixels.sha256: pixels.data})
    window = Asked(painter.request(side, side, prompt, 0))
    goal = Goal("times as costly as one window, extension by half a window", at_most=1.3)
    return Case("extension_half", asked, "one window", goal, reference=window)


def _memory(painter: Painter, prompt: str, windows: int) -> Case:
    few = {"num_inference_steps": 2}
    large, small = (_panorama(painter, prompt, count, **few) for count in (windows, 4))
    goal = Goal(f"times the memory of 4 windows, {windows} windows", at_most=1.3)
    return Case(f"memory_{windows}", large, "4 windows", goal, reference=small, of_memory=True)


def _panorama(painter: Painter, prompt: str, windows: int, **fields: Any) -> Asked:
    side = painter.window_px
    return Asked(painter.request(side, windows * side, prompt, 0, **fields))


def board(side: int, prompts: Sequence[str], rows: int, columns: int) -> RegionLayout:
    """A square of `side` pixels of so many regions, which leave nothing to the background."""
    row, column = np.indices((side, side))
    number = (row * rows // side) * columns + column * columns // side
    count = rows * columns
    masks = tuple(number == i for i in range(count))
    names = tuple(prompts[i % len(prompts)] for i in range(count))
    return RegionLayout(f"board {rows} x {columns}", masks, names, prompts[-1])


def of_layout(painter: Painter, layout: RegionLayout, **fields: Any) -> Asked:
    """The request for a layout's picture."""
    regions, blobs = as_regions(layout.masks, layout.prompts)
    request = painter.request(
        layout.height, layout.width, layout.background, 0, regions=regions, **fields
    )
    return Asked(request, blobs)
