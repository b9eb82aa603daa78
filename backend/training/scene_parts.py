"""What every landscape is made of: light, sky, ridges and rolling ground."""

from __future__ import annotations

import numpy as np

from .canvas import Colour, Painter, gradient, mix, scatter, smooth_noise, smoothstep, vary

Rng = np.random.Generator
TIMES: tuple[str, ...] = ("day", "sunset", "night")

_SKIES: dict[str, list[Colour]] = {
    "day": [(0.33, 0.61, 0.93), (0.56, 0.78, 0.97), (0.84, 0.93, 0.99)],
    "sunset": [(0.5, 0.31, 0.56), (0.94, 0.46, 0.38), (0.99, 0.79, 0.42)],
    "night": [(0.04, 0.06, 0.19), (0.08, 0.11, 0.3), (0.17, 0.22, 0.45)],
}
_TINTS: dict[str, Colour] = {
    "day": (1.0, 1.0, 1.0),
    "sunset": (0.95, 0.66, 0.6),
    "night": (0.3, 0.36, 0.58),
}


def tinted(colour: Colour, time: str) -> Colour:
    """The colour as it looks in the light of that time."""
    return tuple(c * t for c, t in zip(colour, _TINTS[time], strict=True))


def sky(rng: Rng, time: str, height: int, width: int, horizon: float) -> Painter:
    """A painter holding the sky down to `horizon` pixels, with clouds or stars.

    It takes no numbers of `rng` itself, so that what stands below is the same at every time of day.
    """
    rng = rng.spawn(1)[0]
    y = np.arange(height, dtype=np.float32)[:, None] / max(horizon, 1.0)
    y = np.clip(y + 0.06 * smooth_noise(rng, height, width, 40, 80), 0, 1)
    base = gradient([vary(rng, stop, 0.015) for stop in _SKIES[time]], y)
    if time != "night":
        light = (1.0, 1.0, 1.0) if time == "day" else (1.0, 0.8, 0.55)
        streaks = smoothstep(0.25, 0.8, smooth_noise(rng, height, width, 13, 56))
        painter = Painter(mix(base, light, 0.6 * streaks), height, width)
        if time == "sunset" and rng.uniform() < 0.5:
            _disc(painter, rng, horizon * rng.uniform(0.7, 0.95), (1.0, 0.93, 0.66))
        return painter
    painter = Painter(base, height, width)
    if rng.uniform() < 0.5:
        _disc(painter, rng, horizon * rng.uniform(0.25, 0.45), (0.96, 0.95, 0.85))
    for x, star_y in scatter(rng, int(horizon), width, 22, 30, 0.42):
        radius = rng.uniform(1.3, 2.2)
        painter.ellipse(x, star_y, radius, radius, (0.97, 0.95, 0.82))
    return painter


def _disc(painter: Painter, rng: Rng, y: float, colour: Colour) -> None:
    x, radius = rng.uniform(0.15, 0.85) * painter.width, rng.uniform(9, 13)
    painter.ellipse(x, y, radius, radius, colour)


def ridge(rng: Rng, width: int, level: float, tall: float, cell: float) -> np.ndarray:
    """A skyline as points [N, 2], `tall` pixels around `level`, with peaks about `cell` apart."""
    xs = np.arange(-cell, width + 2 * cell, cell / 2)
    odd = np.arange(len(xs)) % 2
    ys = level - tall * (odd * rng.uniform(0.55, 1.0, len(xs)) + 0.12 * rng.uniform(0, 1, len(xs)))
    xs = xs + rng.uniform(-0.16, 0.16, len(xs)) * cell - rng.uniform(0, cell)
    return np.stack([xs, ys], 1)


def fill_below(painter: Painter, line: np.ndarray, colour: Colour) -> None:
    """Fills everything under the points `line` [N, 2]."""
    bottom = painter.height + 2
    painter.polygon([(line[0, 0], bottom), *line.tolist(), (line[-1, 0], bottom)], colour)


def wavy(rng: Rng, width: int, level: float, tall: float, cell: float) -> np.ndarray:
    """A gently rolling line as points [N, 2], within `tall` pixels around `level`."""
    xs = np.arange(-4, width + 8, 4.0)
    swell = smooth_noise(rng, 1, len(xs), 4, cell / 4)[0]
    return np.stack([xs, level + tall * swell], 1)
