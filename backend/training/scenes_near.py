"""Scenes seen from near, by day, at sunset and at night: village, clearing, harbour, winter."""

from __future__ import annotations

import numpy as np

from .canvas import Colour, Painter, darker, pick, vary
from .scene_parts import fill_below, sky, tinted, wavy

Rng = np.random.Generator
_ROOFS = [(0.78, 0.34, 0.24), (0.62, 0.28, 0.24), (0.5, 0.36, 0.34)]
_WALLS = [(0.96, 0.9, 0.78), (0.93, 0.78, 0.6), (0.86, 0.86, 0.84), (0.9, 0.68, 0.6)]
_SNOW = (0.95, 0.97, 1.0)


def _cottage(
    painter: Painter, rng: Rng, x: float, y: float, wide: float, roof: Colour, time: str
) -> None:
    """A gabled house with its foot at (x, y); its windows are lit when it is dark."""
    tall, gable, half = wide * 0.62, wide * 0.56, wide / 2
    wall = tinted(pick(rng, _WALLS), time)
    painter.rectangle(x - half, y - tall, x + half, y, wall)
    painter.rectangle(x + half * 0.55, y - tall, x + half, y, darker(wall, 0.84))
    roof = tinted(roof, time)
    eaves = [(x - half * 1.2, y - tall), (x - half * 0.7, y - tall - gable)]
    eaves += [(x + half * 0.7, y - tall - gable), (x + half * 1.2, y - tall)]
    painter.polygon(eaves, roof)
    painter.polygon([(x + half * 0.55, y - tall), eaves[2], eaves[3]], darker(roof, 0.82))
    pane = tinted((0.45, 0.58, 0.7), time) if time == "day" else (1.0, 0.85, 0.42)
    for side in (-0.5, 0.3):
        left = x + side * half - wide * 0.09
        painter.rectangle(left, y - tall * 0.8, left + wide * 0.18, y - tall * 0.4, pane)
    door = tinted((0.45, 0.29, 0.2), time)
    painter.rectangle(x - wide * 0.08, y - tall * 0.5, x + wide * 0.06, y, door, 1)


def _fir(painter: Painter, x: float, y: float, tall: float, tone: Colour, cap: Colour) -> None:
    """A fir of three tiers with its foot at (x, y), each tier with an edge of the second colour."""
    painter.rectangle(x - tall * 0.05, y - tall * 0.16, x + tall * 0.05, y, darker(tone, 0.6))
    for low, high, wide in ((0.1, 0.52, 0.3), (0.34, 0.76, 0.24), (0.58, 1.0, 0.17)):
        foot, peak = y - tall * low, (x, y - tall * high)
        painter.polygon([(x - tall * wide, foot), peak, (x + tall * wide, foot)], tone)
        lit = [(x - tall * wide, foot), peak, (x - tall * wide * 0.35, foot)]
        painter.polygon(lit, cap)


def village(rng: Rng, time: str, height: int, width: int) -> np.ndarray:
    """Houses with gables around a church tower, on a green with hills behind."""
    horizon = height * rng.uniform(0.5, 0.68)
    painter = sky(rng, time, height, width, horizon)
    hill = tinted(vary(rng, (0.5, 0.7, 0.5), 0.02), time)
    fill_below(painter, wavy(rng, width, horizon - 8, 9, 70), hill)
    fill_below(painter, wavy(rng, width, horizon + 4, 4, 60), tinted((0.42, 0.66, 0.34), time))
    ground = horizon + rng.uniform(6, 12)
    for x in np.arange(rng.uniform(20, 90), width, 150):
        _church(painter, x, ground, time)
    for row, wide in ((0, 24), (1, 32)):
        foot = ground + row * 22
        x = -rng.uniform(0, 30)
        while x < width + 20:
            _cottage(painter, rng, x, foot, wide * rng.uniform(0.9, 1.1), pick(rng, _ROOFS), time)
            x += wide * rng.uniform(1.2, 2.0)
        lawn = wavy(rng, width, foot + 1, 2, 50)
        fill_below(painter, lawn, tinted(((0.46, 0.7, 0.34), (0.38, 0.62, 0.28))[row], time))
    return painter.picture()


def _church(painter: Painter, x: float, ground: float, time: str) -> None:
    wall, roof = tinted((0.93, 0.9, 0.84), time), tinted((0.34, 0.44, 0.54), time)
    painter.rectangle(x - 8, ground - 44, x + 8, ground, wall)
    painter.rectangle(x + 3, ground - 44, x + 8, ground, darker(wall, 0.84))
    painter.polygon([(x - 10, ground - 43), (x, ground - 70), (x + 10, ground - 43)], roof)
    painter.polygon([(x + 3, ground - 43), (x, ground - 70), (x + 10, ground - 43)], darker(roof))
    bell = (0.3, 0.32, 0.4) if time == "day" else (1.0, 0.85, 0.42)
    painter.rectangle(x - 3, ground - 38, x + 3, ground - 28, bell, 3)


def forest_clearing(rng: Rng, time: str, height: int, width: int) -> np.ndarray:
    """Firs on both sides of a light meadow with a path, and a hazy row of trees behind."""
    horizon = height * rng.uniform(0.5, 0.66)
    painter = sky(rng, time, height, width, horizon)
    for x in np.arange(-rng.uniform(0, 12), width + 10, 12):
        tall, far = rng.uniform(28, 40), tinted((0.5, 0.68, 0.6), time)
        _fir(painter, x, horizon + 4, tall, far, far)
    meadow = tinted(vary(rng, (0.5, 0.73, 0.36), 0.02), time)
    fill_below(painter, wavy(rng, width, horizon, 3, 60), meadow)
    for x in np.arange(rng.uniform(10, 90), width, rng.uniform(110, 150)):
        _path(painter, rng, x, horizon + 6, time)
    tones = [(0.13, 0.38, 0.25), (0.17, 0.44, 0.28), (0.1, 0.33, 0.23)]
    for row in range(3):
        foot = horizon + 14 + row * 18
        x = -rng.uniform(0, 24)
        while x < width + 12:
            tone = tinted(pick(rng, tones, 0.02), time)
            tall = (46 + 12 * row) * rng.uniform(0.9, 1.1)
            _fir(painter, x, foot + rng.uniform(-3, 3), tall, tone, darker(tone, 1.25))
            x += rng.uniform(20, 30) if rng.uniform() < 0.6 else rng.uniform(50, 74)
    return painter.picture()


def _path(painter: Painter, rng: Rng, x: float, top: float, time: str) -> None:
    steps = np.linspace(0, 1, 12)
    middle = x + 14 * np.sin(steps * 4 + rng.uniform(0, 6))
    half, ys = 3 + 12 * steps, top + steps * (painter.height + 4 - top)
    left, right = np.stack([middle - half, ys], 1), np.stack([middle + half, ys], 1)
    painter.polygon(np.concatenate([left, right[::-1]]), tinted((0.85, 0.74, 0.54), time))


def harbour(rng: Rng, time: str, height: int, width: int) -> np.ndarray:
    """A row of bright houses on a quay, with sailing boats on still water before it."""
    horizon = height * rng.uniform(0.46, 0.6)
    painter = sky(rng, time, height, width, horizon)
    hill = tinted(vary(rng, (0.48, 0.62, 0.6), 0.02), time)
    fill_below(painter, wavy(rng, width, horizon - 18, 9, 80), hill)
    tones = [(0.86, 0.4, 0.34), (0.95, 0.78, 0.42), (0.42, 0.6, 0.74), (0.93, 0.9, 0.84)]
    x, last = -rng.uniform(0, 18), -1
    while x < width:
        number = int((last + rng.integers(1, len(tones))) % len(tones))
        wide, last = rng.uniform(17, 23), number
        tone = tinted(vary(rng, tones[number], 0.02), time)
        _quay_house(painter, x, horizon, wide, rng.uniform(20, 32), tone, time)
        x += wide
    water = tinted(vary(rng, (0.2, 0.52, 0.68), 0.02), time)
    painter.rectangle(-2, horizon, width + 2, height + 2, water)
    painter.rectangle(-2, horizon, width + 2, horizon + 5, tinted((0.62, 0.58, 0.54), time))
    for y in np.arange(horizon + 12, height, 9):
        for start in np.arange(-rng.uniform(0, 40), width, 40):
            end = start + rng.uniform(10, 20)
            painter.line([(start, y), (end, y)], tinted((0.46, 0.74, 0.84), time), 2)
    for x in np.arange(rng.uniform(12, 50), width, rng.uniform(46, 66)):
        _sailing_boat(painter, rng, x, horizon + rng.uniform(22, 36), time)
    return painter.picture()


def _quay_house(
    painter: Painter, x: float, ground: float, wide: float, tall: float, tone: Colour, time: str
) -> None:
    top = ground - tall
    painter.rectangle(x, top, x + wide, ground + 1, tone)
    painter.rectangle(x + wide * 0.75, top, x + wide, ground + 1, darker(tone, 0.85))
    roof = tinted((0.6, 0.3, 0.24), time)
    painter.polygon([(x - 1, top), (x + wide / 2, top - wide * 0.5), (x + wide + 1, top)], roof)
    pane = tinted((0.36, 0.46, 0.56), time) if time == "day" else (1.0, 0.85, 0.42)
    for level in np.arange(top + 4, ground - 7, 10):
        for left in (x + wide * 0.16, x + wide * 0.54):
            painter.rectangle(left, level, left + wide * 0.26, level + 6, pane)


def _sailing_boat(painter: Painter, rng: Rng, x: float, y: float, time: str) -> None:
    hull = pick(rng, [(0.82, 0.28, 0.24), (0.26, 0.4, 0.66), (0.95, 0.93, 0.88)])
    painter.line([(x, y - 6), (x, y - 36)], tinted((0.4, 0.28, 0.2), time), 2)
    sail = tinted((0.98, 0.96, 0.9), time)
    painter.polygon([(x + 2, y - 35), (x + 2, y - 9), (x + 15, y - 9)], sail)
    painter.polygon([(x - 2, y - 30), (x - 2, y - 9), (x - 11, y - 9)], darker(sail, 0.88))
    edge = [(x - 16, y - 7), (x + 18, y - 7), (x + 12, y + 1), (x - 11, y + 1)]
    painter.polygon(edge, tinted(hull, time))


def snowy_field(rng: Rng, time: str, height: int, width: int) -> np.ndarray:
    """White fields with snow-laden firs and a cottage here and there."""
    horizon = height * rng.uniform(0.42, 0.62)
    painter = sky(rng, time, height, width, horizon)
    fill_below(painter, wavy(rng, width, horizon - 6, 10, 80), tinted((0.74, 0.83, 0.94), time))
    for x in np.arange(-rng.uniform(0, 20), width, 22):
        far = tinted((0.46, 0.6, 0.66), time)
        _fir(painter, x, horizon + 6, rng.uniform(22, 30), far, tinted((0.84, 0.9, 0.96), time))
    level, row = horizon + 4, 0
    tones = [(0.84, 0.9, 0.97), (0.9, 0.94, 0.99), _SNOW]
    cottage = rng.uniform(20, 100)
    while level < height + 8:
        tone = tinted(vary(rng, tones[min(row, 2)], 0.01), time)
        fill_below(painter, wavy(rng, width, level, 6, 70), tone)
        if row == 1:
            for x in np.arange(cottage, width, 120):
                _cottage(painter, rng, x, level + 6, 30, _SNOW, time)
        needle = tinted((0.16, 0.38, 0.32), time)
        for x in np.arange(rng.uniform(0, 50), width, rng.uniform(44, 70)):
            foot = level + rng.uniform(8, 14)
            _fir(painter, x, foot, 28 + 8 * min(row, 3), needle, tinted(_SNOW, time))
        level += 22 + 4 * row
        row += 1
    return painter.picture()
