"""Painting live: how little of a picture a stroke computes, and whether the result is as true.

Blind for what an artist feels: whether a shape that grew stroke by stroke is the shape one would
have got at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...engine.layers import MARGIN
from ...tasks.decoding import LESSER_HALO_CELLS
from ...tasks.events import Finished
from ...tasks.live import LivePasses
from ...tasks.run import run
from ..common.layouts import RegionLayout
from ..common.painter import as_regions
from .adherence import obedience
from .captioned import CaptionedPicture
from .contact_sheet import coloured
from .workbench import Measured, Workbench

STROKE_PX = 16

_STEPS = 6
"""The docker's own number."""

_STROKES = 8

_SEEN_LEVELS = 2
"""A decoder that sees other neighbours rounds differently by this much, of 255."""


@dataclass(frozen=True)
class _TimedPicture:
    """A picture uint8 [H, W, 3] and what it took.

    first_s, seconds: from the request to the first preview, and to the picture
    """

    picture: np.ndarray
    evaluations: int
    first_s: float
    seconds: float
    denoising_s: float


def measure_live(bench: Workbench) -> Measured:
    """Strokes on three layers of a canvas of two by three windows, one after the other."""
    paintings = 2 if bench.scope.quick else 6
    bench.say(f"live: {paintings} paintings of {_STROKES} strokes")
    values: dict[str, list[float]] = {}
    rows = []
    for number in range(paintings):
        prompts = [bench.prompts[(5 * number + i) % len(bench.prompts)] for i in range(4)]
        live, anew = _LayoutPainter(bench, f"painting{number}"), _LayoutPainter(bench, "")
        shown = []
        before = whole = None
        for layout, stroke in _painting(bench.painter.window_px, prompts, number):
            now = live.paint(layout, number)
            # A stroke that lies underneath another layer changes nothing, and costs nothing.
            if before is not None and whole is not None and now.evaluations:
                far = ~_near(stroke, bench.painter.model.cell_px)
                change = np.abs(now.picture.astype(int) - before.picture).max(axis=-1)
                second_s = whole.denoising_s / whole.evaluations * now.evaluations
                figures = {
                    "evaluations": now.evaluations / whole.evaluations,
                    "flicker": float((change[far] > _SEEN_LEVELS).mean()),
                    "first": now.first_s / second_s,
                    "latency": now.seconds / second_s,
                }
                for name, figure in figures.items():
                    values.setdefault(name, []).append(figure)
            whole = whole or now
            before = now
            shown.append(now.picture)
        fresh = anew.paint(layout, number)
        window = bench.painter.window_px
        for name, picture in (("adherence", shown[-1]), ("anew", fresh.picture)):
            found = obedience(picture, layout, bench.judge, window).mean
            values.setdefault(name, []).append(found)
        rows.append(
            [
                CaptionedPicture("painted", coloured(layout.labels)),
                CaptionedPicture("first", shown[0]),
                CaptionedPicture(f"after {_STROKES} strokes", shown[-1]),
                CaptionedPicture("painted anew", fresh.picture),
            ]
        )
    median = {"first", "latency"}
    return Measured(
        {
            name: float(np.median(each) if name in median else np.mean(each))
            for name, each in values.items()
        }
        | {"worst_evaluations": max(values["evaluations"])},
        rows,
        errors={
            name: float(np.std(each) / len(each) ** 0.5)
            for name, each in values.items()
            if name not in median
        },
    )


class _LayoutPainter:
    """Paints layouts one after the other, live where it has a name."""

    def __init__(self, bench: Workbench, name: str) -> None:
        self._painter = bench.painter
        self._name = name
        self._passes = LivePasses()

    def paint(self, layout: RegionLayout, seed: int) -> _TimedPicture:
        regions, blobs = as_regions(layout.masks, layout.prompts)
        request = self._painter.request(
            layout.height, layout.width, layout.background, seed, regions=regions
        )
        request = replace(request, live=self._name, num_inference_steps=_STEPS)
        began = time.perf_counter()
        first_s = 0.0
        for event in run(request, blobs, self._painter.model_cache, self._passes):
            if isinstance(event, Finished):
                finished = event
            elif event.preview and not first_s:
                event.preview()
                first_s = time.perf_counter() - began
        pixels, report = finished.pixels, finished.report
        picture = np.frombuffer(pixels.data, np.uint8).reshape(pixels.height, pixels.width, 4)
        return _TimedPicture(
            picture[..., :3],
            report["unet_evaluations"],
            first_s,
            time.perf_counter() - began,
            report["seconds"]["denoise"],
        )


def _painting(
    window_px: int, prompts: Sequence[str], seed: int
) -> Iterator[tuple[RegionLayout, np.ndarray]]:
    """A layout, and the same with one more stroke each time; the stroke [H, W] bool is beside it.

    Three layers: a box, a disc, and a band at the bottom. Strokes go on from any of them.
    """
    height, width = 2 * window_px, 3 * window_px
    random = np.random.default_rng(seed)
    rows, columns = np.indices((height, width))
    box = (abs(rows - height * 0.3) < height * 0.15) & (abs(columns - width * 0.25) < width * 0.12)
    disc = np.hypot(rows - height * 0.4, columns - width * 0.7) < height * 0.2
    masks = [box, disc, rows > height * 0.8]
    *names, background = prompts
    yield RegionLayout("live", tuple(masks), tuple(names), background), np.zeros_like(box)
    for number in range(_STROKES):
        layer = number % len(masks)
        inside = np.argwhere(masks[layer])
        start = inside[random.integers(len(inside))]
        angle, length = random.uniform(0, 2 * np.pi), window_px * random.uniform(0.2, 0.6)
        along = np.array([np.sin(angle), np.cos(angle)])
        offset = np.stack([rows, columns], axis=-1) - start
        at = np.clip(offset @ along, 0, length)
        stroke = np.hypot(*np.moveaxis(offset - at[..., None] * along, -1, 0)) < STROKE_PX / 2
        masks[layer] = masks[layer] | stroke
        yield RegionLayout("live", tuple(masks), tuple(names), background), stroke


def _near(stroke: np.ndarray, cell_px: int) -> np.ndarray:
    """[H, W] bool: where a stroke may change the picture."""
    reach = (MARGIN + LESSER_HALO_CELLS + 1) * cell_px
    rows, columns = np.flatnonzero(stroke.any(axis=1)), np.flatnonzero(stroke.any(axis=0))
    near = np.zeros_like(stroke)
    top, left = max(0, rows[0] - reach), max(0, columns[0] - reach)
    near[top : rows[-1] + 1 + reach, left : columns[-1] + 1 + reach] = True
    return near
