"""Endless textures of skies, waters and soils."""

from __future__ import annotations

import numpy as np

from .canvas import (
    Painter,
    cells,
    gradient,
    mix,
    pick,
    rotated,
    scatter,
    smooth_noise,
    smoothstep,
    vary,
)

Rng = np.random.Generator


def blue_sky(rng: Rng, height: int, width: int) -> np.ndarray:
    """Clear azure with the faintest wisps."""
    base = mix(
        vary(rng, (0.33, 0.6, 0.93), 0.03),
        (0.5, 0.74, 0.97),
        0.5 + 0.5 * smooth_noise(rng, height, width, 70, 110),
    )
    wisps = smoothstep(0.25, 0.9, smooth_noise(rng, height, width, 14, 60))
    return mix(base, (0.86, 0.93, 1.0), 0.35 * wisps)


def white_clouds(rng: Rng, height: int, width: int) -> np.ndarray:
    """Plump rows of cumulus over pale blue."""
    painter = Painter(vary(rng, (0.5, 0.73, 0.95), 0.03), height, width)
    for x, y in scatter(rng, height, width, 26, 48, 0.25):
        shade = vary(rng, (0.78, 0.84, 0.93), 0.02)
        puffs = [
            (x + dx * 8, y + rng.uniform(-3, 2) - 6 + abs(dx) * 3, 12 - 2.2 * abs(dx))
            for dx in (-2, -1, 0, 1, 2)
        ]
        for px, py, radius in puffs:
            painter.ellipse(px, py + 4, radius, radius * 0.9, shade)
        for px, py, radius in puffs:
            painter.ellipse(px, py, radius * 0.95, radius * 0.85, (0.99, 0.99, 1.0))
    return painter.picture()


def sunset_sky(rng: Rng, height: int, width: int) -> np.ndarray:
    """Bands of gold, orange, rose and violet with long streaks."""
    y = np.arange(height, dtype=np.float32)[:, None] + 10 * smooth_noise(rng, height, width, 40, 90)
    wave = np.abs(((y / 190 + rng.uniform(0, 2)) % 2) - 1)
    stops = [(0.99, 0.83, 0.42), (0.99, 0.62, 0.32), (0.95, 0.43, 0.4), (0.66, 0.34, 0.56)]
    base = gradient([vary(rng, s, 0.02) for s in stops], wave)
    streaks = smoothstep(0.15, 0.7, smooth_noise(rng, height, width, 9, 64))
    return mix(base, (1.0, 0.83, 0.6), 0.4 * streaks)


def starry_night(rng: Rng, height: int, width: int) -> np.ndarray:
    """Indigo with big soft story-book stars."""
    glow = 0.5 + 0.5 * smooth_noise(rng, height, width, 48)
    base = mix(vary(rng, (0.05, 0.07, 0.22), 0.015), (0.13, 0.15, 0.4), glow)
    painter = Painter(base, height, width)
    for x, y in scatter(rng, height, width, 26, 32, 0.4):
        if rng.uniform() < 0.3:
            _spark(painter, rng, x, y)
        else:
            radius = rng.uniform(1.7, 2.7)
            painter.ellipse(x, y, radius + 1.6, radius + 1.6, (0.24, 0.27, 0.5))
            painter.ellipse(x, y, radius, radius, (0.98, 0.95, 0.8))
    return painter.picture()


def _spark(painter: Painter, rng: Rng, x: float, y: float) -> None:
    size = rng.uniform(6, 8.5)
    painter.ellipse(x, y, size * 0.8, size * 0.8, (0.2, 0.23, 0.47))
    ring = np.arange(8) * np.pi / 4
    radius = np.where(np.arange(8) % 2 == 0, size, size * 0.36)[:, None]
    star = radius * np.stack([np.cos(ring), np.sin(ring)], axis=1)
    painter.polygon(rotated(star, 0.0, x, y), (1.0, 0.94, 0.66))


def sand_dunes(rng: Rng, height: int, width: int) -> np.ndarray:
    """Warm ripples of wind-blown sand."""
    y = np.arange(height, dtype=np.float32)[:, None]
    bend = 14 * smooth_noise(rng, height, width, 46, 60)
    phase = ((y + bend) / 24 + rng.uniform()) % 1.0
    lit = np.where(phase < 0.16, phase / 0.16, 1 - (phase - 0.16) / 0.84)
    stops = [(0.76, 0.57, 0.35), (0.88, 0.71, 0.46), (0.96, 0.84, 0.6)]
    return gradient([vary(rng, s, 0.02) for s in stops], lit)


def ocean_waves(rng: Rng, height: int, width: int) -> np.ndarray:
    """Rows of scalloped swell with white crests."""
    y = np.arange(height, dtype=np.float32)[:, None] + 4 * smooth_noise(rng, height, width, 40)
    x = np.arange(width, dtype=np.float32)[None, :] + 8 * smooth_noise(rng, height, width, 50)
    row = np.floor(y / 18)
    arcs = 5.5 * np.abs(np.sin(np.pi * (x / 36 + 0.5 * (row % 2)) + rng.uniform(0, 3)))
    phase = ((y % 18) + arcs) / 18
    stops = [(0.13, 0.47, 0.66), (0.1, 0.38, 0.6), (0.06, 0.28, 0.52)]
    base = gradient([vary(rng, s, 0.015) for s in stops], np.clip(phase / 1.3, 0, 1))
    crest = smoothstep(0.12, 0.0, np.abs(phase - 0.36) - 0.03)
    return mix(base, (0.87, 0.96, 0.98), crest)


def snow(rng: Rng, height: int, width: int) -> np.ndarray:
    """White drifts with blue shadows."""
    drift = smooth_noise(rng, height, width, 22, 52)
    drift = drift + 0.4 * smooth_noise(rng, height, width, 10, 24)
    base = mix((0.99, 0.99, 1.0), vary(rng, (0.8, 0.87, 0.96), 0.02), smoothstep(-0.2, 0.9, drift))
    return mix(base, (0.7, 0.79, 0.92), 0.6 * smoothstep(0.12, 0.0, np.abs(drift - 0.35)))


def lava(rng: Rng, height: int, width: int) -> np.ndarray:
    """Dark crust broken by glowing veins."""
    near, second, ids = cells(rng, height, width, 27, 32)
    edge = second - near
    crust = mix(vary(rng, (0.16, 0.07, 0.07), 0.015), (0.3, 0.13, 0.11), ids)
    hot = gradient(
        [(1.0, 0.9, 0.42), (1.0, 0.58, 0.1), (0.85, 0.22, 0.05), (0.4, 0.1, 0.06)],
        np.clip(edge / 0.42, 0, 1),
    )
    return mix(hot, crust, smoothstep(0.2, 0.44, edge))


def pebbles(rng: Rng, height: int, width: int) -> np.ndarray:
    """Rounded river stones, each with a small highlight."""
    painter = Painter(vary(rng, (0.3, 0.28, 0.26), 0.02), height, width)
    tones = [
        (0.68, 0.64, 0.58),
        (0.55, 0.55, 0.56),
        (0.78, 0.73, 0.64),
        (0.48, 0.44, 0.42),
        (0.62, 0.55, 0.48),
    ]
    for x, y in scatter(rng, height, width, 19, 25, 0.16):
        rx, ry = rng.uniform(10.5, 13.5), rng.uniform(8.2, 10.2)
        tone = pick(rng, tones)
        painter.ellipse(x, y, rx, ry, tuple(0.74 * c for c in tone))
        painter.ellipse(x - 0.6, y - 1.1, rx - 1.6, ry - 1.6, tone)
        gleam = tuple(c * 0.55 + 0.45 for c in tone)
        painter.ellipse(x - 2.2, y - 2.6, rx * 0.36, ry * 0.28, gleam)
    return painter.picture()


def cracked_ice(rng: Rng, height: int, width: int) -> np.ndarray:
    """Pale turquoise plates between white cracks."""
    near, second, ids = cells(rng, height, width, 38, 44)
    tone = np.clip(0.6 * ids + 0.25 + 0.3 * smooth_noise(rng, height, width, 30), 0, 1)
    base = mix(vary(rng, (0.5, 0.8, 0.88), 0.02), (0.72, 0.92, 0.95), tone)
    edge = second - near
    base = mix((0.35, 0.66, 0.8), base, smoothstep(0.06, 0.22, edge))
    return mix((0.97, 1.0, 1.0), base, smoothstep(0.035, 0.1, edge))


def lily_pond(rng: Rng, height: int, width: int) -> np.ndarray:
    """Dark teal water with round leaves and pink lilies."""
    ripple = 0.5 + 0.5 * smooth_noise(rng, height, width, 8, 50)
    painter = Painter(
        mix(vary(rng, (0.05, 0.27, 0.31), 0.02), (0.13, 0.4, 0.42), ripple), height, width
    )
    for x, y in scatter(rng, height, width, 29, 36, 0.22):
        rx = rng.uniform(11, 15)
        leaf = pick(rng, [(0.33, 0.62, 0.27), (0.45, 0.7, 0.3), (0.25, 0.52, 0.28)])
        painter.ellipse(x + 1, y + 2, rx, rx * 0.7, (0.03, 0.18, 0.2))
        painter.ellipse(x, y, rx, rx * 0.68, leaf)
        turn = rng.uniform(-0.5, 0.5)
        painter.line(
            [(x, y), (x + rx * np.cos(turn), y + rx * 0.68 * np.sin(turn))],
            tuple(0.62 * c for c in leaf),
            2,
        )
        if rng.uniform() < 0.4:
            _lily(painter, x - 3, y - 3)
    return painter.picture()


def _lily(painter: Painter, x: float, y: float) -> None:
    petal = np.array([(0, 0), (-2.8, -4.5), (0, -9), (2.8, -4.5)])
    for angle in (-1.35, 1.35, -0.68, 0.68, 0.0):
        tone = (0.98, 0.72 + 0.1 * (angle == 0), 0.82)
        painter.polygon(rotated(petal, angle, x, y + 3), tone)
    painter.ellipse(x, y + 2, 2.0, 1.6, (1.0, 0.87, 0.4))
