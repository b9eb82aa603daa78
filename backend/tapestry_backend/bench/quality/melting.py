"""Collages: what is pasted melts into what is around it, and each part keeps its place.

Each is a thing, cut out of its own picture as a box, that stands on a ground before a sky. Once its
layers are painted each by itself, once together as one picture without their words' places, once
with them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tapestry_protocol.messages import PixelsRef, Region
from tapestry_protocol.pixels import Bounds, Pixels

from ..common.painter import as_regions
from ..common.prompts import collages
from ..metrics.structure import edge_agreement
from .brush import means
from .captioned import CaptionedPicture
from .seams import box_ratio
from .workbench import Measured, Workbench

_STRENGTH = 0.7
"""Of every layer: how far it goes from its paint."""

_WAYS = {"apart": 0.0, "together": 1e-6, "melted": 0.5}
"""A melt that is all but 0 is one path whose words look everywhere."""

_BESIDE_PX = 10
"""Beside an outline of the collage, which need not stay where it is, nothing is judged."""


def measure_melting(bench: Workbench) -> Measured:
    """What shows where by its colours, the collage's edges, and change across a box's outline."""
    found: dict[str, list[float]] = {}
    rows = []
    cases = collages(bench.painter.settings.model)
    count = len(cases) * (1 if bench.scope.quick else 3)
    bench.say(f"melting: {count} collages")
    for number in range(count):
        prompts = cases[number % len(cases)]
        collage = _Collage(bench, prompts, 58_000 + 10 * number)
        row = [CaptionedPicture(", ".join(prompts), collage.picture)]
        for way, melt in _WAYS.items():
            picture = collage.painted(melt)
            figures = collage.judged(picture)
            for name, value in figures.items():
                found.setdefault(f"{way}_{name}", []).append(value)
            said = " ".join(f"{value:.2f}" for value in figures.values())
            row.append(CaptionedPicture(f"{way} {said}", picture))
        rows.append(row)
    figures, errors = means(found)
    return Measured(figures, rows, errors)


class _Collage:
    """A thing in a box, a ground and a sky, each from a picture of its own."""

    def __init__(self, bench: Workbench, prompts: tuple[str, str, str], seed: int) -> None:
        self._bench = bench
        self._prompts = prompts
        self._seed = seed
        side, cell = bench.painter.window_px, bench.painter.model.cell_px
        half = side // 2
        left = (side // 8 + seed // 10 % 3 * side // 8) // cell * cell
        top = side // 4 // cell * cell
        self._box = Bounds(top, left, top + half, left + half)
        self._masks = [np.zeros((side, side), dtype=bool) for _ in range(2)]
        self._masks[0][top : top + half, left : left + half] = True
        self._masks[1][side * 5 // 8 :] = True
        thing, ground, self._sky = (
            bench.painter.plain(prompt, seed + i) for i, prompt in enumerate(prompts)
        )
        small = thing.reshape(half, side // half, half, side // half, 3).mean(axis=(1, 3))
        pasted = np.zeros_like(thing)
        pasted[top : top + half, left : left + half] = small.round()
        self._paints = [pasted, ground]
        self.picture = self._sky.copy()
        for mask, paint in reversed(list(zip(self._masks, self._paints, strict=True))):
            self.picture[mask] = paint[mask]

    def painted(self, melt: float) -> np.ndarray:
        """Its picture, uint8 [H, W, 3], by layers that start from their own paint."""
        everything = np.ones_like(self._masks[0])
        masks, paints = [*self._masks, everything], [*self._paints, self._sky]
        regions, blobs = as_regions(masks, self._prompts)
        started: list[Region] = []
        side = self._bench.painter.window_px
        for region, mask, paint in zip(regions, masks, paints, strict=True):
            rgba = np.dstack([paint, mask.astype(np.uint8) * 255])
            pixels = Pixels(side, side, 4, rgba.tobytes())
            blobs[pixels.sha256] = pixels.data
            started.append(replace(region, strength=_STRENGTH, paint=PixelsRef.of(pixels)))
        request = self._bench.painter.request(
            *(side, side, "", self._seed + 5), regions=tuple(started), melt=melt
        )
        return self._bench.painter.paint(request, blobs)[..., :3]

    def judged(self, picture: np.ndarray) -> dict[str, float]:
        """Its adherence, kept structure, and how much the outline of the box shows."""
        area = self._box
        inside = slice(area.top, area.bottom), slice(area.left, area.right)
        return {
            "adherence": self._adherence(picture),
            "structure": edge_agreement(self.picture[inside], picture[inside]),
            "outline": box_ratio(picture, area, self._bench.painter.model.cell_px),
        }

    def _adherence(self, picture: np.ndarray) -> float:
        """The share of ground and sky, away from outlines, that has the colours of its own."""
        named = self._bench.colours.name(picture, self._prompts[1:])
        box, ground = self._masks
        judged = ~_dilated(box, _BESIDE_PX) & ~(
            _dilated(ground, _BESIDE_PX) & _dilated(~ground, _BESIDE_PX)
        )
        return float((named == np.where(ground, 0, 1))[judged].mean())


def _dilated(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """A mask [H, W] and the squares around its pixels."""
    for axis in (0, 1):
        padded = np.pad(mask, [(pixels, pixels) if a == axis else (0, 0) for a in (0, 1)])
        shifted = (np.roll(padded, shift, axis) for shift in range(-pixels, pixels + 1))
        grown = np.logical_or.reduce(list(shifted))
        mask = np.take(grown, range(pixels, grown.shape[axis] - pixels), axis)
    return mask
