"""Endless textures of plants, seen from near or afar."""

from __future__ import annotations

import numpy as np

from .canvas import Painter, mix, pick, rotated, scatter, smooth_noise, vary

Rng = np.random.Generator


def green_grass(rng: Rng, height: int, width: int) -> np.ndarray:
    """Rows of leaning blades."""
    painter = Painter(vary(rng, (0.2, 0.48, 0.16), 0.02), height, width)
    greens = [(0.3, 0.62, 0.2), (0.38, 0.7, 0.24), (0.24, 0.55, 0.18), (0.47, 0.76, 0.3)]
    for x, y in scatter(rng, height, width, 13, 12, 0.3):
        lean, tall = rng.uniform(-7, 7), rng.uniform(20, 27)
        blade = [
            (x - 4.5, y + 9),
            (x + lean * 0.4 - 2.4, y - tall * 0.35),
            (x + lean, y - tall * 0.6),
            (x + lean * 0.4 + 3.2, y - tall * 0.3),
            (x + 4.5, y + 9),
        ]
        painter.polygon(blade, pick(rng, greens, 0.02))
    return painter.picture()


def wheat_field(rng: Rng, height: int, width: int) -> np.ndarray:
    """Golden ears on thin stalks, row before row."""
    painter = Painter(vary(rng, (0.72, 0.52, 0.16), 0.02), height, width)
    golds = [(0.93, 0.76, 0.3), (0.97, 0.83, 0.42), (0.86, 0.67, 0.23)]
    ear = np.array([(0, 11), (-4.8, 4), (-4.2, -6), (0, -14), (4.2, -6), (4.8, 4)])
    for x, y in scatter(rng, height, width, 20, 14, 0.22):
        lean = rng.uniform(-0.25, 0.35)
        gold = pick(rng, golds, 0.02)
        painter.line([(x, y + 5), (x - 2, y + 26)], (0.8, 0.63, 0.24), 2.2)
        painter.polygon(rotated(ear, lean, x, y), gold)
        painter.line(
            rotated(np.array([(0, 9), (0, -11)]), lean, x, y), tuple(0.8 * c for c in gold), 1.8
        )
    return painter.picture()


def pine_forest(rng: Rng, height: int, width: int) -> np.ndarray:
    """Staggered rows of three-tiered firs."""
    painter = Painter(vary(rng, (0.05, 0.17, 0.13), 0.01), height, width)
    greens = [(0.1, 0.34, 0.22), (0.14, 0.41, 0.26), (0.08, 0.28, 0.2), (0.19, 0.46, 0.28)]
    for x, y in scatter(rng, height + 24, width, 23, 29, 0.2):
        tone = pick(rng, greens, 0.015)
        tall = rng.uniform(36, 45)
        for tier, (base, wide) in enumerate(((0.0, 14.5), (0.3, 11.5), (0.56, 8.5))):
            low = y - base * tall
            peak = low - tall * (0.5 if tier < 2 else 0.44)
            shade = tuple(c * (0.86 + 0.14 * tier) for c in tone)
            painter.polygon([(x - wide, low), (x, peak), (x + wide, low), (x, low + 2)], shade)
    return painter.picture()


def autumn_leaves(rng: Rng, height: int, width: int) -> np.ndarray:
    """A carpet of fallen leaves."""
    painter = Painter(vary(rng, (0.4, 0.2, 0.1), 0.02), height, width)
    tones = [
        (0.9, 0.48, 0.12),
        (0.8, 0.25, 0.12),
        (0.96, 0.7, 0.2),
        (0.65, 0.33, 0.13),
        (0.88, 0.37, 0.14),
    ]
    leaf = 1.45 * np.array(
        [(-11, 0), (-6, -4.5), (0, -6), (6, -4), (11, 0), (6, 4), (0, 6), (-6, 4.5)]
    )
    points = scatter(rng, height, width, 17, 21, 0.38)
    for index in rng.permutation(len(points)):
        x, y = points[index]
        angle, tone = rng.uniform(0, 6.28), pick(rng, tones)
        painter.polygon(rotated(leaf, angle, x + 0.8, y + 1.6), tuple(0.62 * c for c in tone))
        painter.polygon(rotated(leaf, angle, x, y), tone)
        painter.line(
            rotated(np.array([(-14, 0), (13, 0)]), angle, x, y), tuple(0.74 * c for c in tone), 2
        )
    return painter.picture()


def _flower(
    painter: Painter, x: float, y: float, radius: float, petal: tuple, heart: tuple, turn: float
) -> None:
    for step in range(5):
        angle = turn + step * 2 * np.pi / 5
        painter.ellipse(
            x + 0.62 * radius * np.cos(angle),
            y + 0.62 * radius * np.sin(angle),
            radius * 0.5,
            radius * 0.5,
            petal,
        )
    painter.ellipse(x, y, radius * 0.36, radius * 0.36, heart)


def flower_meadow(rng: Rng, height: int, width: int) -> np.ndarray:
    """Bright flowers of many colours in fresh green."""
    tone = 0.5 + 0.5 * smooth_noise(rng, height, width, 16)
    painter = Painter(
        mix(vary(rng, (0.3, 0.58, 0.22), 0.02), (0.46, 0.72, 0.3), tone), height, width
    )
    petals = [
        (0.96, 0.38, 0.55),
        (0.98, 0.97, 0.95),
        (0.98, 0.82, 0.25),
        (0.9, 0.25, 0.25),
        (0.45, 0.47, 0.9),
    ]
    for x, y in scatter(rng, height, width, 21, 26, 0.24):
        petal = pick(rng, petals, 0.02)
        heart = (0.99, 0.85, 0.3) if petal[2] > 0.4 else (0.55, 0.3, 0.12)
        painter.line([(x, y), (x - 1, y + 14)], (0.2, 0.44, 0.16), 2.4)
        _flower(painter, x, y, rng.uniform(8, 10.5), petal, heart, rng.uniform(0, 1.2))
    return painter.picture()


def lavender_field(rng: Rng, height: int, width: int) -> np.ndarray:
    """Violet spikes, row before row."""
    painter = Painter(vary(rng, (0.36, 0.42, 0.34), 0.02), height, width)
    tones = [(0.56, 0.4, 0.8), (0.65, 0.48, 0.87), (0.47, 0.32, 0.7), (0.73, 0.58, 0.92)]
    for x, y in scatter(rng, height, width, 20, 15, 0.2):
        lean, tone = rng.uniform(-2.5, 2.5), pick(rng, tones, 0.02)
        painter.line([(x, y + 6), (x - lean, y + 22)], (0.45, 0.58, 0.38), 2.4)
        for step in range(4):
            rx = 6.2 - step * 1.15
            painter.ellipse(
                x + lean * step / 3,
                y + 7 - step * 5.8,
                rx,
                4.1,
                tuple(c * (0.86 + 0.07 * step) for c in tone),
            )
    return painter.picture()


def cherry_blossoms(rng: Rng, height: int, width: int) -> np.ndarray:
    """Pink blossom crowding on dark twigs."""
    tone = 0.5 + 0.5 * smooth_noise(rng, height, width, 36)
    painter = Painter(
        mix(vary(rng, (0.93, 0.72, 0.78), 0.02), (0.99, 0.88, 0.9), tone), height, width
    )
    for x, y in scatter(rng, height, width, 44, 60, 0.3):
        end = (x + rng.uniform(24, 40), y - rng.uniform(-18, 26))
        painter.line([(x - 26, y + 8), (x, y), end], (0.42, 0.26, 0.24), 3.2)
    pinks = [(0.98, 0.66, 0.76), (1.0, 0.79, 0.85), (0.93, 0.53, 0.67)]
    for x, y in scatter(rng, height, width, 19, 24, 0.34):
        _flower(
            painter,
            x,
            y,
            rng.uniform(8, 11),
            pick(rng, pinks, 0.02),
            (0.8, 0.25, 0.42),
            rng.uniform(0, 1.2),
        )
    return painter.picture()


def bamboo(rng: Rng, height: int, width: int) -> np.ndarray:
    """Upright jade canes with pale joints."""
    painter = Painter(vary(rng, (0.1, 0.25, 0.12), 0.015), height, width)
    canes = [(0.53, 0.68, 0.3), (0.62, 0.75, 0.38), (0.44, 0.6, 0.26)]
    x = -rng.uniform(0, 17)
    while x < width + 4:
        wide = rng.uniform(10.5, 14)
        tone = pick(rng, canes, 0.02)
        painter.rectangle(x, -2, x + wide, height + 2, tuple(0.72 * c for c in tone))
        painter.rectangle(x + 1.6, -2, x + wide - 3.4, height + 2, tone)
        painter.rectangle(x + 2.6, -2, x + 5, height + 2, tuple(0.72 * c + 0.26 for c in tone))
        y = -rng.uniform(0, 34)
        while y < height:
            painter.rectangle(x - 0.8, y, x + wide + 0.8, y + 2.6, (0.85, 0.88, 0.6), 1)
            painter.rectangle(x, y + 2.6, x + wide, y + 4.6, tuple(0.6 * c for c in tone))
            y += rng.uniform(31, 37)
        x += wide + rng.uniform(2.5, 5)
    return painter.picture()
