"""Single things in a chosen colour, painted onto a picture; no backgrounds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import Colour, Painter, rotated, vary

Rng = np.random.Generator

COLOURS: dict[str, Colour] = {
    "red": (0.86, 0.18, 0.17),
    "orange": (0.97, 0.55, 0.13),
    "yellow": (0.99, 0.84, 0.22),
    "green": (0.24, 0.62, 0.27),
    "blue": (0.2, 0.4, 0.86),
    "purple": (0.56, 0.28, 0.72),
    "pink": (0.98, 0.58, 0.74),
    "white": (0.97, 0.97, 0.95),
}


def _dark(colour: Colour, amount: float = 0.74) -> Colour:
    return tuple(amount * c for c in colour)


def _light(colour: Colour, amount: float = 0.4) -> Colour:
    return tuple(c + (1 - c) * amount for c in colour)


def house(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A gabled cottage; its walls have the colour."""
    w, wall = size * 0.46, size * 0.5
    painter.rectangle(x + w * 0.4, y - size * 1.02, x + w * 0.7, y - wall, (0.48, 0.36, 0.34))
    painter.rectangle(x - w, y - wall, x + w, y, colour)
    painter.rectangle(x + w * 0.74, y - wall, x + w, y, _dark(colour, 0.84))
    painter.polygon(
        [(x - w * 1.24, y - wall), (x, y - size), (x + w * 1.24, y - wall)], (0.42, 0.27, 0.24)
    )
    painter.rectangle(x - w * 0.22, y - wall * 0.62, x + w * 0.22, y, (0.5, 0.32, 0.2), 1.5)
    for side in (-0.62, 0.56):
        left = x + side * w - w * 0.2
        painter.rectangle(left, y - wall * 0.74, left + w * 0.4, y - wall * 0.34, (1.0, 0.96, 0.8))


def tree(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A round-crowned tree; its foliage has the colour."""
    painter.polygon(
        [
            (x - size * 0.09, y),
            (x - size * 0.05, y - size * 0.5),
            (x + size * 0.05, y - size * 0.5),
            (x + size * 0.09, y),
        ],
        (0.43, 0.28, 0.17),
    )
    crown = ((-0.22, 0.5, 0.24), (0.22, 0.5, 0.24), (0.0, 0.68, 0.3), (0.0, 0.5, 0.25))
    for dx, dy, radius in crown:
        painter.ellipse(
            x + dx * size, y - dy * size + 2, radius * size, radius * size, _dark(colour, 0.78)
        )
    for dx, dy, radius in crown:
        painter.ellipse(
            x + dx * size - 1, y - dy * size - 1, radius * size * 0.86, radius * size * 0.84, colour
        )
    painter.ellipse(x - 0.1 * size, y - 0.76 * size, 0.13 * size, 0.1 * size, _light(colour, 0.3))


def balloon(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A hot-air balloon with a basket; its envelope has the colour."""
    top, radius = y - size * 0.64, size * 0.36
    painter.line(
        [(x - radius * 0.55, top + radius * 0.8), (x - size * 0.07, y - size * 0.12)],
        (0.4, 0.3, 0.24),
        1.4,
    )
    painter.line(
        [(x + radius * 0.55, top + radius * 0.8), (x + size * 0.07, y - size * 0.12)],
        (0.4, 0.3, 0.24),
        1.4,
    )
    hem, mouth = top + radius * 0.6, top + radius * 1.3
    painter.polygon(
        [
            (x - radius * 0.8, hem),
            (x + radius * 0.8, hem),
            (x + radius * 0.26, mouth),
            (x - radius * 0.26, mouth),
        ],
        _dark(colour),
    )
    painter.ellipse(x, top, radius, radius, _dark(colour))
    painter.ellipse(x, top, radius * 0.68, radius, colour)
    painter.ellipse(x, top, radius * 0.26, radius, _light(colour))
    painter.rectangle(x - size * 0.09, y - size * 0.13, x + size * 0.09, y, (0.55, 0.37, 0.2), 2)


def boat(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A small sailing boat; its hull has the colour."""
    w, deck = size * 0.5, y - size * 0.22
    painter.line([(x, deck), (x, y - size)], (0.4, 0.28, 0.18), 2.2)
    painter.polygon(
        [(x + 2, y - size * 0.97), (x + 2, deck - 3), (x + w * 0.86, deck - 3)], (0.98, 0.97, 0.92)
    )
    painter.polygon(
        [(x - 2, y - size * 0.84), (x - 2, deck - 3), (x - w * 0.62, deck - 3)], (0.88, 0.87, 0.83)
    )
    painter.polygon([(x - w, deck), (x + w, deck), (x + w * 0.66, y), (x - w * 0.66, y)], colour)
    painter.polygon(
        [
            (x - w, deck),
            (x + w, deck),
            (x + w * 0.88, deck + size * 0.07),
            (x - w * 0.88, deck + size * 0.07),
        ],
        _light(colour, 0.5),
    )


def sun(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A round sun with rays, of the colour."""
    radius, middle = size * 0.28, y - size * 0.5
    ray = np.array([(-0.2, 1.12), (0, 1.75), (0.2, 1.12)]) * radius
    for turn in np.arange(12) * np.pi / 6:
        painter.polygon(rotated(ray, turn, x, middle), _dark(colour, 0.95))
    painter.ellipse(x, middle, radius, radius, colour)
    painter.ellipse(
        x - radius * 0.2, middle - radius * 0.2, radius * 0.6, radius * 0.6, _light(colour, 0.35)
    )


def moon(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A crescent, of the colour."""
    radius, middle = size * 0.42, y - size * 0.5
    outer = np.linspace(0.35 * np.pi, 1.65 * np.pi, 25)
    inner = np.linspace(1.55 * np.pi, 0.45 * np.pi, 21)
    edge = [(x + radius * np.cos(a), middle + radius * np.sin(a)) for a in outer]
    hollow = [
        (x + radius * (0.42 + 0.82 * np.cos(a)), middle + radius * 0.87 * np.sin(a)) for a in inner
    ]
    painter.polygon([*edge, *hollow], colour)


OBJECTS: dict[str, Callable[[Painter, float, float, float, Colour], None]] = {
    "house": house,
    "tree": tree,
    "balloon": balloon,
    "boat": boat,
    "sun": sun,
    "moon": moon,
}
OBJECT_COLOURS: dict[str, tuple[str, ...]] = {
    "house": ("red", "blue", "yellow", "green", "pink", "white"),
    "tree": ("green", "orange", "pink", "red", "yellow"),
    "balloon": ("red", "blue", "yellow", "purple", "green", "orange"),
    "boat": ("red", "blue", "green", "yellow", "purple"),
    "sun": ("yellow", "orange", "red"),
    "moon": ("white", "yellow"),
}
# Where each thing is usually met; a caption may name the place or leave it open.
OBJECT_PLACES: dict[str, tuple[str, ...]] = {
    "house": ("green grass", "snow", "flower meadow", "sand dunes", "wheat field", "pine forest"),
    "tree": ("green grass", "snow", "flower meadow", "sand dunes", "stone wall", "blue sky"),
    "balloon": ("blue sky", "white clouds", "sunset sky", "starry night", "pine forest"),
    "boat": ("ocean waves", "lily pond", "cracked ice"),
    "sun": ("blue sky", "white clouds", "sunset sky", "ocean waves"),
    "moon": ("starry night", "blue sky", "sunset sky", "pine forest"),
}


def place(
    rng: Rng,
    picture: np.ndarray,
    name: str,
    colour: str,
    span: tuple[float, float] = (0.0, 1.0),
    margin: float = 8.0,
) -> np.ndarray:
    """The picture with one thing of that colour, wholly inside by `margin` pixels.

    `span` is the part of the height, 0 at the top, where its foot may stand.
    """
    height, width = picture.shape[:2]
    size = rng.uniform(60, 84)
    painter = Painter(picture, height, width)
    left = 0.56 * size + margin
    x = rng.uniform(left, max(left + 1, width - left))
    low = max(size + margin, span[0] * height)
    y = rng.uniform(low, max(low + 1, min(height - margin, span[1] * height)))
    OBJECTS[name](painter, x, min(y, height - margin), size, vary(rng, COLOURS[colour], 0.02))
    return painter.picture()
