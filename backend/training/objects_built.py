"""Single built things in a chosen colour: houses, boats, towers and lamps."""

from __future__ import annotations

import numpy as np

from .canvas import Colour, Painter, darker, lighter, rotated

WOOD, DARK_WOOD = (0.5, 0.32, 0.2), (0.4, 0.28, 0.18)
GLASS, WALL = (1.0, 0.93, 0.66), (0.95, 0.92, 0.85)


def house(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A gabled cottage; its walls have the colour."""
    w, wall = size * 0.46, size * 0.5
    painter.rectangle(x + w * 0.4, y - size * 1.02, x + w * 0.7, y - wall, (0.48, 0.36, 0.34))
    painter.rectangle(x - w, y - wall, x + w, y, colour)
    painter.rectangle(x + w * 0.74, y - wall, x + w, y, darker(colour, 0.84))
    painter.polygon(
        [(x - w * 1.24, y - wall), (x, y - size), (x + w * 1.24, y - wall)], (0.42, 0.27, 0.24)
    )
    painter.rectangle(x - w * 0.22, y - wall * 0.62, x + w * 0.22, y, (0.5, 0.32, 0.2), 1.5)
    for side in (-0.62, 0.56):
        left = x + side * w - w * 0.2
        painter.rectangle(left, y - wall * 0.74, left + w * 0.4, y - wall * 0.34, (1.0, 0.96, 0.8))


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
        darker(colour),
    )
    painter.ellipse(x, top, radius, radius, darker(colour))
    painter.ellipse(x, top, radius * 0.68, radius, colour)
    painter.ellipse(x, top, radius * 0.26, radius, lighter(colour))
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
        lighter(colour, 0.5),
    )


def lighthouse(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A white tower on a rock, with bands, gallery and cap of the colour."""
    foot, top, low, high = size * 0.19, size * 0.12, y - size * 0.08, y - size * 0.68

    def half(level: float) -> float:
        return foot + (top - foot) * (low - level) / (low - high)

    painter.ellipse(x, y - size * 0.07, size * 0.36, size * 0.1, (0.42, 0.4, 0.4))
    for number in range(5):
        upper, lower = (low + (high - low) * (number + step) / 5 for step in (1, 0))
        tone = WALL if number % 2 else colour
        for left, shade in ((-1.0, 1.0), (0.35, 0.82)):
            edge = [(x + left * half(lower), lower), (x + half(lower), lower)]
            edge += [(x + half(upper), upper), (x + left * half(upper), upper)]
            painter.polygon(edge, darker(tone, shade))
    painter.rectangle(x - top * 1.4, high - size * 0.04, x + top * 1.4, high, (0.3, 0.28, 0.3))
    painter.rectangle(x - top * 0.8, high - size * 0.16, x + top * 0.8, high - size * 0.04, GLASS)
    roof = high - size * 0.15
    painter.polygon([(x - top * 1.2, roof), (x, y - size), (x + top * 1.2, roof)], colour)


def castle(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A castle with two pointed towers; roofs and flag have the colour, the walls are pale."""
    stone, half = (0.8, 0.77, 0.73), size * 0.46
    painter.rectangle(x - half * 0.7, y - size * 0.42, x + half * 0.7, y, stone)
    painter.rectangle(x + half * 0.3, y - size * 0.42, x + half * 0.7, y, darker(stone, 0.86))
    for step in range(-2, 3):
        middle = x + step * half * 0.26
        painter.rectangle(middle - size * 0.035, y - size * 0.49, middle + size * 0.035, y, stone)
    for place, tall in ((-0.78, 0.6), (0.78, 0.6), (0.0, 0.72)):
        middle, wide = x + place * half, size * 0.115
        painter.rectangle(middle - wide, y - size * tall, middle + wide, y, lighter(stone, 0.25))
        painter.rectangle(
            middle + wide * 0.4, y - size * tall, middle + wide, y, darker(stone, 0.8)
        )
        peak = y - size * min(1.0, tall + 0.28)
        edge = [(middle - wide * 1.35, y - size * tall), (middle, peak)]
        painter.polygon([*edge, (middle + wide * 1.35, y - size * tall)], colour)
        shaded = [(middle + wide * 0.3, y - size * tall), (middle, peak)]
        painter.polygon([*shaded, (middle + wide * 1.35, y - size * tall)], darker(colour, 0.8))
        window = y - size * (tall - 0.1)
        painter.rectangle(middle - 2.2, window - 4, middle + 2.2, window + 4, (0.3, 0.3, 0.4), 2)
    painter.rectangle(x - size * 0.08, y - size * 0.2, x + size * 0.08, y, WOOD, 3)


def bridge(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """An arched bridge over water; its stones have the colour."""
    half, deck = size * 0.56, y - size * 0.42
    painter.rectangle(x - half, y - size * 0.1, x + half, y, (0.3, 0.58, 0.76), 3)
    span = np.linspace(-1, 1, 17)
    edge = [(x + half * s, deck - size * 0.14 * (1 - s * s)) for s in span]
    painter.polygon([*edge, (x + half, y - size * 0.06), (x - half, y - size * 0.06)], colour)
    for middle in (-0.5, 0.5):
        arch = [
            (x + half * (middle + 0.34 * np.cos(a)), y - size * (0.06 + 0.32 * np.sin(a)))
            for a in np.linspace(0, np.pi, 13)
        ]
        painter.polygon(arch, darker(colour, 0.5))
        painter.polygon([(px, py + size * 0.06) for px, py in arch], (0.3, 0.58, 0.76))
    painter.line(edge, darker(colour, 0.7), size * 0.06)
    for s in span[::4]:
        top = deck - size * 0.14 * (1 - s * s)
        painter.rectangle(
            x + half * s - 2, top - size * 0.13, x + half * s + 2, top, darker(colour, 0.7)
        )
    rail = [(px, py - size * 0.12) for px, py in edge]
    painter.line(rail, lighter(colour, 0.35), size * 0.05)


def windmill(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A windmill with four pale sails; its body has the colour."""
    low, high, hub = size * 0.25, size * 0.15, (x, y - size * 0.62)
    body = [(x - low, y), (x - high, y - size * 0.58), (x + high, y - size * 0.58), (x + low, y)]
    painter.polygon(body, colour)
    painter.polygon(
        [(x + low * 0.35, y), (x + high * 0.35, y - size * 0.58), *body[2:]], darker(colour, 0.8)
    )
    painter.ellipse(x, y - size * 0.58, high * 1.15, size * 0.13, (0.42, 0.27, 0.24))
    painter.rectangle(x - size * 0.06, y - size * 0.17, x + size * 0.06, y, WOOD, 3)
    sail = np.array([(0.02, 0.06), (0.02, 0.38), (0.13, 0.38), (0.13, 0.1)]) * size
    for turn in range(4):
        angle = 0.45 + turn * np.pi / 2
        arm = rotated(np.array([(0, 0), (0, 0.4 * size)]), angle, *hub)
        painter.polygon(rotated(sail, angle, *hub), (0.97, 0.95, 0.88))
        painter.line(arm, DARK_WOOD, size * 0.04)
    painter.ellipse(*hub, size * 0.045, size * 0.045, DARK_WOOD)


def lantern(painter: Painter, x: float, y: float, size: float, colour: Colour) -> None:
    """A round paper lantern with a glowing middle; its paper has the colour."""
    middle, wide, tall = y - size * 0.5, size * 0.36, size * 0.33
    painter.line([(x, y - size), (x, middle - tall)], DARK_WOOD, 2)
    painter.line([(x, middle + tall), (x, y)], (0.85, 0.62, 0.25), size * 0.07)
    for share, tone in ((1.0, darker(colour, 0.8)), (0.72, colour), (0.36, lighter(colour, 0.5))):
        painter.ellipse(x, middle, wide * share, tall, tone)
    for end in (-1, 1):
        level = middle + end * tall * 0.95
        painter.rectangle(
            x - wide * 0.45, level - size * 0.05, x + wide * 0.45, level + size * 0.05, DARK_WOOD, 2
        )
