"""What a painter paints: shapes, strokes, washes and gradients as masks in pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
"""(x, y) in sides of the canvas."""


class Square:
    """Draws masks [S, S] bool on a square canvas of so many pixels; lengths are in its sides."""

    def __init__(self, side_px: int) -> None:
        self.side_px = side_px
        rows, columns = np.indices((side_px, side_px)) + 0.5
        self.y, self.x = rows / side_px, columns / side_px

    def polygon(self, *corners: Point) -> np.ndarray:
        """The inside of a polygon."""
        image = Image.new("1", (self.side_px, self.side_px))
        points = [(x * self.side_px, y * self.side_px) for x, y in corners]
        ImageDraw.Draw(image).polygon(points, fill=1)
        return np.array(image)

    def disc(self, x: float, y: float, radius: float) -> np.ndarray:
        """A disc around a point."""
        return self.distance(x, y) < radius

    def distance(self, x: float, y: float) -> np.ndarray:
        """From a point, in sides of the canvas."""
        return np.hypot(self.x - x, self.y - y)

    def blob(self, x: float, y: float, radius: float, turn: float = 0.0) -> np.ndarray:
        """A disc with bulges."""
        angle = np.arctan2(self.y - y, self.x - x) + turn
        bulges = 1 + 0.2 * np.sin(3 * angle) + 0.13 * np.cos(5 * angle)
        return self.distance(x, y) < radius * bulges

    def star(self, x: float, y: float, radius: float, points: int = 5) -> np.ndarray:
        """A star with one point upwards."""
        turns = np.pi * (np.arange(2 * points) / points - 0.5)
        reach = np.where(np.arange(2 * points) % 2, radius * 0.45, radius)
        corners = zip(x + reach * np.cos(turns), y + reach * np.sin(turns), strict=True)
        return self.polygon(*((float(a), float(b)) for a, b in corners))

    def text(self, text: str) -> np.ndarray:
        """Fat letters that fill most of the canvas."""
        font = ImageFont.load_default(size=200)
        left, top, right, bottom = font.getbbox(text, stroke_width=8)
        image = Image.new("L", (round(right - left), round(bottom - top)))
        ImageDraw.Draw(image).text(
            (-left, -top), text, fill=255, font=font, stroke_width=8, stroke_fill=255
        )
        first, last = round(0.1 * self.side_px), round(0.9 * self.side_px)
        mask = np.zeros((self.side_px, self.side_px), dtype=bool)
        size = (last - first, last - first)
        mask[first:last, first:last] = np.asarray(image.resize(size)) > 127
        return mask

    def along(self, centre: np.ndarray, half: np.ndarray | float) -> np.ndarray:
        """A band that runs from left to right around the height `centre`, `half` wide each way."""
        slope = np.gradient(centre, axis=1) * self.side_px
        return np.abs(self.y - centre) < half * np.hypot(1, slope)


def outline_shapes(side_px: int) -> dict[str, list[np.ndarray]]:
    """Masks [S, S] bool, topmost first, of shapes that a painter would fill; the rest is ground."""
    draw = Square(side_px)
    x, y = draw.x, draw.y
    ridge = 0.45 + 0.18 * np.abs((x * 5) % 2 - 1) - 0.1 * x
    return {
        "disc": [draw.disc(0.52, 0.48, 0.31)],
        "moon": [draw.disc(0.5, 0.5, 0.36) & ~draw.disc(0.66, 0.42, 0.3)],
        "star": [draw.star(0.5, 0.53, 0.42)],
        "letter": [draw.text("R")],
        "word": [draw.text("oh")],
        "bands": [(x * 0.8 + y * 0.6) * 4.1 % 1 < 0.5],
        "blob": [draw.blob(0.5, 0.5, 0.3)],
        "house": [
            draw.polygon((0.43, 0.62), (0.6, 0.62), (0.6, 0.9), (0.43, 0.9)),
            draw.polygon((0.5, 0.1), (0.92, 0.47), (0.08, 0.47)),
            draw.polygon((0.18, 0.47), (0.82, 0.47), (0.82, 0.9), (0.18, 0.9)),
        ],
        "wedge": [draw.polygon((0.05, 0.3), (0.05, 0.6), (0.97, 0.56))],
        "river": [draw.along(0.5 + 0.16 * np.sin(6 * x), 0.05 + 0.09 * x)],
        "rings": [(draw.distance(0.5, 0.5) * 4.6 % 1 > 0.5) & draw.disc(0.5, 0.5, 0.44)],
        "islands": [
            draw.blob(0.24, 0.27, 0.14)
            | draw.blob(0.7, 0.22, 0.1, 1)
            | draw.blob(0.62, 0.64, 0.19, 2)
            | draw.disc(0.2, 0.76, 0.08)
        ],
        "fence": [(x * 4.1 % 1 < 0.5) & (y > 0.15)],
        "ridge": [y > ridge],
    }


STROKES = ("wave", "diagonal", "arc")
"""Lines a brush follows."""


def stroke(name: str, side_px: int, width_px: float) -> np.ndarray:
    """A brush stroke of this width across a square canvas, [S, S] bool."""
    draw, half = Square(side_px), width_px / 2 / side_px
    if name == "wave":
        return draw.along(0.5 + 0.15 * np.sin(5.5 * draw.x), half)
    if name == "diagonal":
        return np.abs(0.6 * (draw.x - 0.5) + 0.8 * (draw.y - 0.52)) < half
    return np.abs(draw.distance(0.5, 0.95) - 0.58) < half


WASHES: Mapping[str, Callable[[Square], np.ndarray]] = {
    "gradient": lambda draw: 1 - draw.x,
    "upright gradient": lambda draw: draw.y,
    "soft blob": lambda draw: np.exp(-((draw.distance(0.5, 0.5) / 0.3) ** 2)),
    "faint blob": lambda draw: 0.55 * np.exp(-((draw.distance(0.45, 0.52) / 0.32) ** 2)),
}
"""Soft masks by name, in 0..1."""


def gradients(side_px: int, names: Sequence[str] = tuple(WASHES)) -> dict[str, np.ndarray]:
    """Opacity [S, S] in 0..1 of what an airbrush or a gradient tool leaves."""
    draw = Square(side_px)
    return {name: WASHES[name](draw) for name in names}


def wash(side_px: int, opacity: float) -> np.ndarray:
    """A large patch of one opacity, [S, S] in 0..1."""
    draw = Square(side_px)
    return opacity * (np.maximum(np.abs(draw.x - 0.5), np.abs(draw.y - 0.5)) < 0.4)
