"""Arrangements of regions to be obeyed: masks in pixels and the prompts they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

THIN_PX = 24
"""Width of the thin diagonals, whatever the window: three cells of most models."""

WindowBox = tuple[float, float, float, float]
"""(top, left, bottom, right) in windows."""


@dataclass(frozen=True)
class RegionLayout:
    """Masks [H, W], topmost first, with a prompt each; the background is all the rest.

    Masks are bool; those of an airbrush are opacities in 0..1, and have neither labels nor overlap.

    thin   numbers of the masks that are strokes of `THIN_PX`
    """

    name: str
    masks: tuple[np.ndarray, ...]
    prompts: tuple[str, ...]
    background: str
    thin: frozenset[int] = frozenset()

    @property
    def height(self) -> int:
        return self.masks[0].shape[0]

    @property
    def width(self) -> int:
        return self.masks[0].shape[1]

    @property
    def labels(self) -> np.ndarray:
        """The number of the topmost mask at each pixel, [H, W]; len(masks) is the background."""
        labels = np.full((self.height, self.width), len(self.masks))
        for number in reversed(range(len(self.masks))):
            labels[self.masks[number]] = number
        return labels

    @property
    def overlap(self) -> np.ndarray:
        """Where more than one mask lies, [H, W] bool."""
        return np.sum(self.masks, axis=0) > 1


class _MaskCanvas:
    """Draws masks on a canvas of so many windows."""

    def __init__(self, rows: int, columns: int, window_px: int) -> None:
        self.size = (columns * window_px, rows * window_px)
        self.window_px = window_px

    def box(self, box: WindowBox) -> np.ndarray:
        """A rectangle with its edges inside (0.1 to 0.4 is 0.3 windows wide)."""
        top, left, bottom, right = (round(value * self.window_px) for value in box)
        mask = np.zeros(self.size[::-1], dtype=bool)
        mask[top:bottom, left:right] = True
        return mask

    def circle(self, row: float, column: float, radius: float) -> np.ndarray:
        """A disc around (row, column)."""
        rows, columns = np.indices(self.size[::-1]) + 0.5
        distance = np.hypot(rows - row * self.window_px, columns - column * self.window_px)
        return distance < radius * self.window_px

    def letter(self, letter: str, box: WindowBox) -> np.ndarray:
        """A fat letter, stretched to fill the box."""
        font = ImageFont.load_default(size=200)
        left, top, right, bottom = font.getbbox(letter, stroke_width=12)
        glyph = Image.new("L", (round(right - left), round(bottom - top)))
        ImageDraw.Draw(glyph).text(
            (-left, -top), letter, fill=255, font=font, stroke_width=12, stroke_fill=255
        )
        y0, x0, y1, x1 = (round(value * self.window_px) for value in box)
        mask = np.zeros(self.size[::-1], dtype=bool)
        mask[y0:y1, x0:x1] = np.asarray(glyph.resize((x1 - x0, y1 - y0))) > 127
        return mask

    def diagonal(self, start: tuple[float, float], stop: tuple[float, float]) -> np.ndarray:
        """A stroke `THIN_PX` wide along the line through two points (row, column)."""
        rows, columns = np.indices(self.size[::-1]) + 0.5
        down, right = (stop[0] - start[0]), (stop[1] - start[1])
        offset = (rows - start[0] * self.window_px) * right
        offset -= (columns - start[1] * self.window_px) * down
        return np.abs(offset) <= THIN_PX / 2 * np.hypot(down, right)

    def checkerboard(self, rows: int, columns: int) -> np.ndarray:
        """Every second field of a board."""
        y, x = np.indices(self.size[::-1])
        return (y * rows // self.size[1] + x * columns // self.size[0]) % 2 == 0

    def cells(self, rows: int, columns: int) -> list[np.ndarray]:
        """The whole canvas as a board of boxes, one mask each."""
        y, x = np.indices(self.size[::-1])
        number = (y * rows // self.size[1]) * columns + x * columns // self.size[0]
        return [number == i for i in range(rows * columns)]


def make_layouts(prompts: Sequence[str], window_px: int) -> list[RegionLayout]:
    """All layouts, for a model's window and at least nine prompts that go round."""
    masks = {
        **_one_window(_MaskCanvas(1, 1, window_px)),
        **_one_by_two(_MaskCanvas(1, 2, window_px)),
        **_two_by_two(_MaskCanvas(2, 2, window_px)),
        **_two_by_three(_MaskCanvas(2, 3, window_px)),
    }
    layouts = []
    for number, (name, drawn) in enumerate(masks.items()):
        # 5 is prime to the number of prompts: every layout begins elsewhere.
        names = [prompts[(5 * number + i) % len(prompts)] for i in range(len(drawn) + 1)]
        thin = frozenset(range(len(drawn))) if "diagonal" in name else frozenset()
        layouts.append(RegionLayout(name, tuple(drawn), tuple(names[:-1]), names[-1], thin))
    return layouts


def quick_layouts(prompts: Sequence[str], window_px: int) -> list[RegionLayout]:
    """A representative part: every kind of shape, where the paper's loop takes seconds for it."""
    chosen = {
        "1x1 halves",
        "1x1 boxes",
        "1x1 circle",
        "1x1 letter",
        "1x1 diagonal",
        "1x1 checkerboard",
        "1x1 eight",
        "1x1 overlap",
        "1x2 circles",
    }
    return [layout for layout in make_layouts(prompts, window_px) if layout.name in chosen]


def _one_window(draw: _MaskCanvas) -> dict[str, list[np.ndarray]]:
    return {
        "1x1 halves": draw.cells(1, 2),
        "1x1 quarters": draw.cells(2, 2),
        "1x1 boxes": [draw.box((0.1, 0.08, 0.55, 0.45)), draw.box((0.4, 0.55, 0.92, 0.95))],
        "1x1 circle": [draw.circle(0.5, 0.5, 0.33)],
        "1x1 circles": [draw.circle(0.3, 0.3, 0.22), draw.circle(0.68, 0.66, 0.25)],
        "1x1 letter": [draw.letter("T", (0.06, 0.06, 0.94, 0.94))],
        "1x1 diagonal": [draw.diagonal((0, 0), (1, 1))],
        "1x1 checkerboard": [draw.checkerboard(4, 4)],
        "1x1 eight": draw.cells(2, 4),
        "1x1 overlap": [draw.box((0.1, 0.1, 0.65, 0.6)), draw.box((0.4, 0.44, 0.92, 0.92))],
    }


def _one_by_two(draw: _MaskCanvas) -> dict[str, list[np.ndarray]]:
    return {
        "1x2 circles": [draw.circle(0.5, 0.45, 0.32), draw.circle(0.5, 1.2, 0.36)],
    }


def _two_by_two(draw: _MaskCanvas) -> dict[str, list[np.ndarray]]:
    return {
        "2x2 quarters": draw.cells(2, 2),
        "2x2 boxes": [
            draw.box((0.1, 0.15, 0.8, 0.75)),
            draw.box((0.2, 1.05, 0.7, 1.9)),
            draw.box((1.05, 0.1, 1.9, 0.6)),
            draw.box((1.0, 0.85, 1.75, 1.4)),
            draw.box((1.3, 1.55, 1.9, 1.95)),
        ],
        "2x2 circles": [
            draw.circle(0.55, 0.55, 0.4),
            draw.circle(0.6, 1.45, 0.3),
            draw.circle(1.45, 1.0, 0.42),
        ],
        "2x2 letter": [draw.letter("A", (0.1, 0.1, 1.9, 1.9))],
        "2x2 diagonal": [draw.diagonal((0, 0.3), (2, 1.5))],
        "2x2 diagonals": [draw.diagonal((0, 0), (2, 2)), draw.diagonal((1, 0), (2, 1))],
        "2x2 checkerboard": [draw.checkerboard(4, 4)],
        "2x2 stripes": draw.cells(5, 1),
        "2x2 overlap": [
            draw.box((0.1, 0.1, 1.1, 1.1)),
            draw.box((0.8, 0.8, 1.9, 1.9)),
            draw.box((0.2, 1.0, 0.9, 1.85)),
        ],
    }


def _two_by_three(draw: _MaskCanvas) -> dict[str, list[np.ndarray]]:
    return {
        "2x3 eight": draw.cells(2, 4),
        "2x3 bands": draw.cells(3, 1),
        "2x3 boxes": [
            draw.box((0.1, 0.1, 0.9, 0.8)),
            draw.box((0.15, 1.1, 0.6, 2.3)),
            draw.box((0.3, 2.5, 1.7, 2.9)),
            draw.box((1.1, 0.2, 1.9, 1.0)),
            draw.box((0.9, 1.3, 1.8, 2.2)),
            draw.box((0.75, 0.95, 1.4, 1.2)),
        ],
        "2x3 circles": [
            draw.circle(0.5, 0.5, 0.35),
            draw.circle(0.6, 1.5, 0.45),
            draw.circle(0.5, 2.5, 0.3),
            draw.circle(1.5, 0.8, 0.4),
            draw.circle(1.45, 2.1, 0.42),
        ],
        "2x3 letters": [
            draw.letter("T", (0.2, 0.1, 1.8, 1.0)),
            draw.letter("E", (0.2, 1.15, 1.8, 1.95)),
            draw.letter("X", (0.2, 2.0, 1.8, 2.9)),
        ],
        "2x3 diagonals": [draw.diagonal((2, 0.2), (0, 1.4)), draw.diagonal((0, 1.6), (2, 2.6))],
        "2x3 checkerboard": [draw.checkerboard(4, 6)],
        "2x3 overlap": [
            draw.circle(1.0, 0.8, 0.62),
            draw.box((0.3, 1.3, 1.7, 2.2)),
            draw.box((0.1, 2.05, 1.2, 2.9)),
            draw.box((1.1, 2.1, 1.9, 2.95)),
        ],
    }
