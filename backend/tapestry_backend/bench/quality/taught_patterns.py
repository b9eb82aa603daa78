"""Patterns that the bundled model never saw: knit wool, terrazzo and wicker, drawn by numbers.

Their features are some 30 pixels large: of finer ones the model's autoencoder, whose cells have 8,
shows nothing, whatever is learned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Rng = np.random.Generator
Draw = Callable[[Rng, int, int], np.ndarray]
"""draw(rng, height, width) -> uint8 [H, W, 3]; each drawing is another one of the same stuff."""


def knit_wool(rng: Rng, height: int, width: int) -> np.ndarray:
    """Teal stocking stitch: columns of leaning loops, each a V, 36 pixels wide and 26 high."""
    rows, columns = _places(rng, height, width)
    across = columns / 36 % 1
    side = np.where(across < 0.5, -1.0, 1.0)
    lane = np.abs(across - 0.5) * 2  # 0 in the middle of a column, 1 at its border
    along = (rows / 26 + 0.75 * lane) % 1
    body = np.sqrt(np.clip(1 - (2 * along - 1) ** 2, 0, 1)) * np.sqrt(
        np.clip(1 - (2 * lane - 1) ** 2, 0, 1)
    )
    strands = 0.08 * np.sin(2 * np.pi * (along * 3 + side * lane))
    light = 0.25 + 0.75 * body + strands
    tone = np.array((0.12, 0.58, 0.60)) + rng.normal(0, 0.015, 3)
    return _bytes(light[..., None] * tone + rng.normal(0, 0.015, (height, width, 1)))


def terrazzo(rng: Rng, height: int, width: int) -> np.ndarray:
    """Chips of rust, green, navy and rose in pale cement: cells of a random point set, shrunk."""
    spacing = 30.0
    down, right = int(height / spacing) + 3, int(width / spacing) + 3
    grid = np.indices((down, right)).reshape(2, -1).T - 1
    points = (grid + rng.uniform(0.1, 0.9, grid.shape)) * spacing
    tones = np.array(
        ((0.72, 0.33, 0.20), (0.22, 0.42, 0.32), (0.16, 0.22, 0.42), (0.85, 0.56, 0.56))
    )
    chip = tones[rng.integers(0, len(tones), len(points))] + rng.normal(0, 0.02, (len(points), 3))
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    near = np.full((2, height, width), np.inf)
    owner = np.zeros((height, width), dtype=np.int64)
    for number, (top, left) in enumerate(points):
        distance = np.hypot(rows - top, columns - left)
        closer = distance < near[0]
        near[1] = np.where(closer, near[0], np.minimum(near[1], distance))
        near[0] = np.where(closer, distance, near[0])
        owner[closer] = number
    inside = np.clip((near[1] - near[0] - 5) / 1.5, 0, 1)[..., None]
    cement = np.array((0.90, 0.88, 0.83)) + rng.normal(0, 0.012, (height, width, 1))
    return _bytes(cement * (1 - inside) + chip[owner] * inside)


def wicker(rng: Rng, height: int, width: int) -> np.ndarray:
    """Violet basket weave: bands over and under each other, 32 pixels from band to band."""
    rows, columns = _places(rng, height, width)
    down, right = rows / 32, columns / 32
    over = (np.floor(down) + np.floor(right)) % 2 == 0
    along, across = np.where(over, right % 1, down % 1), np.where(over, down % 1, right % 1)
    arch = 0.55 + 0.45 * np.sin(np.pi * along)
    rounded = np.sqrt(np.clip(1 - (2 * across - 1) ** 2, 0, 1)) * arch
    fibres = 0.08 * np.sin(2 * np.pi * across * 4)
    light = 0.2 + 0.8 * rounded + fibres * rounded
    first, second = np.array((0.62, 0.34, 0.72)), np.array((0.88, 0.74, 0.90))
    tone = np.where(over[..., None], first, second) + rng.normal(0, 0.015, 3)
    return _bytes(light[..., None] * tone + rng.normal(0, 0.012, (height, width, 1)))


PATTERNS: Mapping[str, Draw] = {"knit wool": knit_wool, "terrazzo": terrazzo, "wicker": wicker}


def _places(rng: Rng, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each pixel [H, W], from a random corner on, slightly bent."""
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    top, left, phase, turn = rng.uniform(0, 144, 4)
    bend = 1.2 * np.sin((columns + phase) / 23), 1.2 * np.sin((rows + turn) / 27)
    return rows + top + bend[0], columns + left + bend[1]


def _bytes(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
