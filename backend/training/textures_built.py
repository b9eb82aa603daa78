"""Endless textures of masonry, timber and floors."""

from __future__ import annotations

import numpy as np

from .canvas import Colour, Painter, pick, smooth_noise, vary

Rng = np.random.Generator


def red_bricks(rng: Rng, height: int, width: int) -> np.ndarray:
    """Running bond in brick red with pale mortar."""
    painter = Painter(vary(rng, (0.82, 0.76, 0.68), 0.02), height, width)
    tones = [(0.7, 0.26, 0.19), (0.76, 0.32, 0.22), (0.62, 0.22, 0.17), (0.73, 0.36, 0.27)]
    oy, ox = rng.uniform(0, 16), rng.uniform(0, 34)
    for row in range(int(height / 16) + 2):
        y = row * 16 - oy
        for col in range(int(width / 34) + 3):
            x = col * 34 - ox - 17 * (row % 2)
            tone = pick(rng, tones, 0.02)
            painter.rectangle(x, y, x + 31, y + 13, tuple(0.8 * c for c in tone), 1.5)
            painter.rectangle(x, y, x + 30, y + 11, tone, 1.5)
    return painter.picture()


def stone_wall(rng: Rng, height: int, width: int) -> np.ndarray:
    """Courses of grey ashlar, no two blocks alike."""
    painter = Painter(vary(rng, (0.34, 0.34, 0.36), 0.02), height, width)
    tones = [(0.6, 0.6, 0.62), (0.68, 0.67, 0.67), (0.53, 0.54, 0.57), (0.63, 0.6, 0.57)]
    y = -rng.uniform(0, 22)
    while y < height:
        tall, x = rng.uniform(19, 25), -rng.uniform(0, 40)
        while x < width:
            wide, tone = rng.uniform(22, 42), pick(rng, tones, 0.03)
            shade = tuple(0.76 * c for c in tone)
            painter.rectangle(x, y, x + wide - 2.5, y + tall - 2.5, shade, 5)
            painter.rectangle(x, y, x + wide - 4.5, y + tall - 5, tone, 5)
            x += wide
        y += tall
    grime = 0.05 * smooth_noise(rng, height, width, 14)
    return np.clip(painter.picture() + grime[..., None], 0, 1)


def wood_planks(rng: Rng, height: int, width: int) -> np.ndarray:
    """Horizontal boards with flowing grain and knots."""
    painter = Painter(vary(rng, (0.28, 0.16, 0.09), 0.015), height, width)
    tones = [(0.63, 0.42, 0.24), (0.7, 0.48, 0.28), (0.56, 0.36, 0.2), (0.66, 0.46, 0.3)]
    y = -rng.uniform(0, 24)
    while y < height:
        x = -rng.uniform(10, 110)
        while x < width:
            long = rng.uniform(80, 150)
            _plank(painter, rng, x, y, long, pick(rng, tones, 0.02))
            x += long
        y += 24
    return painter.picture()


def _plank(painter: Painter, rng: Rng, x: float, y: float, long: float, tone: Colour) -> None:
    painter.rectangle(x, y, x + long - 2, y + 22, tone, 1)
    dark = tuple(0.8 * c for c in tone)
    xs = np.linspace(x + 2, x + long - 4, 12)
    phase = rng.uniform(0, 6)
    for line in (4.5, 11, 17.5):
        ys = y + line + 1.6 * np.sin(xs / 15 + phase + line / 9)
        painter.line(np.stack([xs, ys], 1), dark, 1.5)
    if rng.uniform() < 0.6:
        kx = x + rng.uniform(14, long - 14)
        painter.ellipse(kx, y + 11, 6, 3.8, dark)
        painter.ellipse(kx, y + 11, 3, 1.9, tuple(0.58 * c for c in tone))


def checkered_floor(rng: Rng, height: int, width: int) -> np.ndarray:
    """Black and cream tiles, straight on."""
    light, dark = vary(rng, (0.95, 0.92, 0.85), 0.02), vary(rng, (0.12, 0.12, 0.14), 0.02)
    painter = Painter(light, height, width)
    oy, ox = rng.uniform(0, 40, 2)
    for row in range(int(height / 20) + 4):
        for col in range(int(width / 20) + 4):
            if (row + col) % 2:
                y, x = row * 20 - oy, col * 20 - ox
                painter.rectangle(x, y, x + 20, y + 20, dark)
    shine = 0.05 * smooth_noise(rng, height, width, 40)
    return np.clip(painter.picture() + shine[..., None], 0, 1)


def roof_tiles(rng: Rng, height: int, width: int) -> np.ndarray:
    """Overlapping scales of slate blue and teal."""
    painter = Painter((0.15, 0.22, 0.3), height, width)
    tones = [(0.32, 0.47, 0.58), (0.38, 0.54, 0.64), (0.27, 0.4, 0.52), (0.36, 0.55, 0.58)]
    oy, ox = rng.uniform(0, 28), rng.uniform(0, 22)
    for row in range(int(height / 14) + 4, -1, -1):
        y = row * 14 - oy
        for col in range(int(width / 22) + 3):
            x = col * 22 - ox + 11 * (row % 2)
            tone = pick(rng, tones, 0.02)
            painter.ellipse(x, y - 8, 11.4, 15, (0.14, 0.2, 0.28))
            painter.ellipse(x, y - 9.6, 10, 14, tone)
            painter.ellipse(x, y - 11.6, 7, 12, tuple(0.85 * c + 0.13 for c in tone))
    return painter.picture()


def patchwork_quilt(rng: Rng, height: int, width: int) -> np.ndarray:
    """Sewn squares of bright cloth, some spotted, some striped."""
    painter = Painter((0.96, 0.93, 0.86), height, width)
    cloth = [
        (0.86, 0.32, 0.36),
        (0.96, 0.76, 0.32),
        (0.32, 0.6, 0.62),
        (0.55, 0.42, 0.7),
        (0.95, 0.6, 0.52),
        (0.4, 0.62, 0.38),
    ]
    oy, ox = rng.uniform(0, 32, 2)
    for row in range(int(height / 32) + 2):
        for col in range(int(width / 32) + 2):
            y, x = row * 32 - oy, col * 32 - ox
            _patch(painter, rng, x, y, pick(rng, cloth, 0.03))
    return painter.picture()


def _patch(painter: Painter, rng: Rng, x: float, y: float, tone: Colour) -> None:
    painter.rectangle(x, y, x + 30, y + 30, tone, 2)
    light = tuple(0.55 * c + 0.43 for c in tone)
    kind = rng.integers(3)
    if kind == 0:
        for dy in (7.5, 22.5):
            for dx in (7.5, 22.5):
                painter.ellipse(x + dx, y + dy, 4, 4, light)
    elif kind == 1:
        for dy in (3, 13, 23):
            painter.rectangle(x + 1, y + dy, x + 29, y + dy + 4.5, light)
