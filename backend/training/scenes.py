"""Landscapes with a horizon, by day, at sunset and at night, and the list of all scenes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import scenes_near as near
from .canvas import Colour, Painter, pick, vary
from .scene_parts import TIMES, fill_below, ridge, sky, tinted, wavy

__all__ = ["SCENES", "TIMES"]

Rng = np.random.Generator


def mountains(rng: Rng, time: str, height: int, width: int) -> np.ndarray:
    """Snow-capped peaks behind a dark foreland."""
    horizon = height * rng.uniform(0.5, 0.8)
    painter = sky(rng, time, height, width, horizon)
    for depth, (tone, lift) in enumerate((((0.6, 0.66, 0.8), 1.0), ((0.4, 0.46, 0.6), 0.6))):
        tall = rng.uniform(44, 64) * lift
        line = ridge(rng, width, horizon, tall, rng.uniform(62, 84))
        fill_below(painter, line, tinted(vary(rng, tone, 0.02), time))
        for before, peak, after in zip(line[:-2], line[1:-1], line[2:], strict=True):
            if peak[1] < before[1] and peak[1] < after[1]:
                _peak(painter, before, peak, after, time, depth)
    fill_below(painter, wavy(rng, width, horizon + 4, 4, 40), tinted((0.24, 0.4, 0.3), time))
    fill_below(painter, wavy(rng, width, horizon + 22, 6, 60), tinted((0.31, 0.5, 0.32), time))
    return painter.picture()


def _peak(
    painter: Painter, before: np.ndarray, peak: np.ndarray, after: np.ndarray, time: str, depth: int
) -> None:
    shade = tinted(((0.5, 0.56, 0.72), (0.32, 0.38, 0.52))[depth], time)
    foot = np.array([peak[0] + 0.15 * (after[0] - peak[0]), after[1]])
    painter.polygon([peak, after, foot], shade)
    left, right = peak + 0.38 * (before - peak), peak + 0.38 * (after - peak)
    middle = np.array([peak[0], (left[1] + right[1]) / 2 - 4])
    notch = middle + np.array([4, 5])
    painter.polygon([peak, right, notch, middle, left], tinted((0.97, 0.98, 1.0), time))


def city(rng: Rng, time: str, height: int, width: int) -> np.ndarray:
    """Towers with windows along a street."""
    horizon = height * rng.uniform(0.62, 0.86)
    painter = sky(rng, time, height, width, horizon)
    far = tinted((0.62, 0.68, 0.78), time)
    x = -rng.uniform(0, 20)
    while x < width:
        wide = rng.uniform(16, 30)
        painter.rectangle(x, horizon - rng.uniform(34, 72), x + wide, horizon + 2, far)
        x += wide + rng.uniform(0, 6)
    tones = [(0.44, 0.47, 0.56), (0.6, 0.44, 0.4), (0.4, 0.52, 0.6), (0.66, 0.6, 0.54)]
    x = -rng.uniform(0, 24)
    while x < width:
        wide, tall = rng.integers(2, 4) * 9.0 + 5, rng.uniform(24, 62)
        _tower(painter, rng, x, horizon, wide, tall, tinted(pick(rng, tones), time), time)
        x += wide + rng.uniform(1, 9)
    painter.rectangle(-2, horizon, width + 2, height + 2, tinted((0.36, 0.37, 0.42), time))
    painter.rectangle(-2, horizon, width + 2, horizon + 4, tinted((0.62, 0.62, 0.62), time))
    return painter.picture()


def _tower(
    painter: Painter,
    rng: Rng,
    x: float,
    ground: float,
    wide: float,
    tall: float,
    tone: Colour,
    time: str,
) -> None:
    top = ground - tall
    painter.rectangle(x, top, x + wide, ground + 2, tone)
    painter.rectangle(x + wide - 4, top, x + wide, ground + 2, tuple(0.75 * c for c in tone))
    glass = (0.78, 0.89, 0.97) if time == "day" else (1.0, 0.84, 0.42)
    for wy in np.arange(top + 5, ground - 6, 10):
        for wx in np.arange(x + 3.5, x + wide - 7, 9):
            lit = rng.uniform() < 0.7 or time == "day"
            pane = glass if lit else tuple(0.6 * c for c in tone)
            painter.rectangle(wx, wy, wx + 5, wy + 5.5, pane)


def hills(rng: Rng, time: str, height: int, width: int) -> np.ndarray:
    """Rolling green hills with round trees."""
    horizon = height * rng.uniform(0.4, 0.66)
    painter = sky(rng, time, height, width, horizon)
    greens = [(0.56, 0.77, 0.55), (0.46, 0.72, 0.38), (0.38, 0.65, 0.28), (0.3, 0.56, 0.22)]
    level, layer = horizon, 0
    while level < height + 10:
        tone = tinted(vary(rng, greens[min(layer, 3)], 0.02), time)
        line = wavy(rng, width, level, 10 + 2 * min(layer, 3), 64)
        fill_below(painter, line, tone)
        for x, y in line[:: int(rng.integers(9, 14))]:
            _bush(painter, x, y, 3.5 + min(layer, 3) * 1.3, time)
        level += 22 + 5 * min(layer, 3)
        layer += 1
    return painter.picture()


def _bush(painter: Painter, x: float, y: float, radius: float, time: str) -> None:
    painter.line([(x, y - radius), (x, y + 3)], tinted((0.4, 0.27, 0.17), time), 2)
    painter.ellipse(x, y - 1.6 * radius, radius, radius * 1.15, tinted((0.16, 0.42, 0.2), time))
    painter.ellipse(
        x - 0.3 * radius,
        y - 1.9 * radius,
        radius * 0.55,
        radius * 0.6,
        tinted((0.27, 0.54, 0.27), time),
    )


def beach(rng: Rng, time: str, height: int, width: int) -> np.ndarray:
    """A band of sea between the sky and a sandy shore with a parasol or a palm."""
    horizon = height * rng.uniform(0.32, 0.52)
    painter = sky(rng, time, height, width, horizon)
    shore = horizon + rng.uniform(20, 30)
    painter.rectangle(-2, horizon, width + 2, height, tinted((0.16, 0.5, 0.72), time))
    for step in range(4):
        y = horizon + 4 + step * 6
        for x in np.arange(-rng.uniform(0, 34), width, 34):
            painter.line([(x, y), (x + rng.uniform(9, 18), y)], tinted((0.5, 0.8, 0.9), time), 1.8)
    fill_below(painter, wavy(rng, width, shore - 3, 4, 50), tinted((0.93, 0.98, 0.98), time))
    line = wavy(rng, width, shore + 2, 4, 50)
    fill_below(painter, line, tinted((0.82, 0.68, 0.45), time))
    fill_below(painter, line + np.array([0, 7]), tinted(vary(rng, (0.95, 0.84, 0.6), 0.02), time))
    for x in np.arange(rng.uniform(10, 60), width, rng.uniform(74, 110)):
        y = shore + rng.uniform(18, 30)
        (_palm if rng.uniform() < 0.5 else _parasol)(painter, rng, x, y, time)
    return painter.picture()


def _palm(painter: Painter, rng: Rng, x: float, y: float, time: str) -> None:
    lean = rng.uniform(-7, 7)
    top = (x + lean, y - 38)
    painter.line([(x, y), (x + lean * 0.3, y - 20), top], tinted((0.5, 0.35, 0.2), time), 3.6)
    for angle in np.linspace(-0.35, np.pi + 0.35, 6):
        tip = (top[0] + 17 * np.cos(angle), top[1] - 9 * np.sin(angle) + 5)
        bend = ((top[0] + tip[0]) / 2, min(top[1], tip[1]) - 4)
        painter.line([top, bend, tip], tinted((0.2, 0.5, 0.25), time), 3.4)


def _parasol(painter: Painter, rng: Rng, x: float, y: float, time: str) -> None:
    tone = pick(rng, [(0.9, 0.3, 0.28), (0.98, 0.8, 0.3), (0.3, 0.55, 0.8)])
    painter.line([(x, y), (x, y - 20)], tinted((0.9, 0.87, 0.8), time), 2)
    arc = np.linspace(np.pi, 0, 9)
    for number in range(4):
        span = arc[2 * number : 2 * number + 3]
        edge = [(x + 15 * np.cos(a), y - 17 - 11 * np.sin(a)) for a in span]
        cloth = tone if number % 2 else (0.98, 0.97, 0.93)
        painter.polygon([*edge, (x, y - 17)], tinted(cloth, time))


def desert(rng: Rng, time: str, height: int, width: int) -> np.ndarray:
    """Flat-topped rocks far off, dunes and cactuses near."""
    horizon = height * rng.uniform(0.42, 0.66)
    painter = sky(rng, time, height, width, horizon)
    x = rng.uniform(-40, 30)
    while x < width:
        wide, tall = rng.uniform(28, 52), rng.uniform(16, 30)
        tone = tinted(vary(rng, (0.74, 0.42, 0.3), 0.02), time)
        painter.polygon(
            [
                (x, horizon + 4),
                (x + 7, horizon - tall),
                (x + wide - 7, horizon - tall),
                (x + wide, horizon + 4),
            ],
            tone,
        )
        painter.polygon(
            [
                (x + wide - 14, horizon + 4),
                (x + wide - 14, horizon - tall),
                (x + wide - 7, horizon - tall),
                (x + wide, horizon + 4),
            ],
            tuple(0.78 * c for c in tone),
        )
        x += wide + rng.uniform(10, 60)
    level, tones = horizon, [(0.86, 0.62, 0.38), (0.92, 0.7, 0.43), (0.96, 0.77, 0.5)]
    layer = 0
    while level < height + 8:
        fill_below(
            painter, wavy(rng, width, level, 5, 70), tinted(vary(rng, tones[layer % 3], 0.02), time)
        )
        level += 24
        layer += 1
    for cx in np.arange(rng.uniform(10, 50), width, rng.uniform(48, 80)):
        _cactus(painter, cx, horizon + rng.uniform(14, 34), rng.uniform(24, 32), time)
    return painter.picture()


def _cactus(painter: Painter, x: float, y: float, tall: float, time: str) -> None:
    tone = tinted((0.25, 0.5, 0.28), time)
    painter.rectangle(x - 3.5, y - tall, x + 3.5, y, tone, 3.5)
    for side, low in ((-1, 0.4), (1, 0.55)):
        reach, arm = x + side * 9, y - low * tall
        painter.rectangle(min(x, reach), arm - 2.5, max(x, reach), arm + 2.5, tone, 2)
        painter.rectangle(reach - 2.5, arm - 10, reach + 2.5, arm + 2.5, tone, 2.5)


SCENES: dict[str, Callable[[Rng, str, int, int], np.ndarray]] = {
    "mountains": mountains,
    "city skyline": city,
    "green hills": hills,
    "sandy beach": beach,
    "desert": desert,
    "village": near.village,
    "forest clearing": near.forest_clearing,
    "harbour": near.harbour,
    "snowy field": near.snowy_field,
}
