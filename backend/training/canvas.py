"""Drawing primitives shared by all pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[float, float, float]
SUPERSAMPLE = 2


def smooth_noise(
    rng: np.random.Generator, height: int, width: int, cell_y: float, cell_x: float | None = None
) -> np.ndarray:
    """Soft noise, float32 [height, width], about -1..1, with features of the given pixel size."""
    cell_x = cell_y if cell_x is None else cell_x
    rows, cols = int(height / cell_y) + 3, int(width / cell_x) + 3
    grid = Image.fromarray(rng.uniform(-1.0, 1.0, (rows, cols)).astype(np.float32))
    oy, ox = rng.uniform(0.5, 1.0, 2)
    box = (ox, oy, ox + width / cell_x, oy + height / cell_y)
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC, box=box))


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """Soft threshold, 0 below `low` and 1 above `high` (either order), same shape as `value`."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def mix(first: np.ndarray | Colour, second: np.ndarray | Colour, amount: np.ndarray) -> np.ndarray:
    """Blend colours [..., 3] by `amount` [H, W] in 0..1; float32 [H, W, 3]."""
    weight = amount[..., None].astype(np.float32)
    return np.asarray(first, np.float32) * (1 - weight) + np.asarray(second, np.float32) * weight


def gradient(stops: list[Colour], position: np.ndarray) -> np.ndarray:
    """Colours along evenly spaced stops at `position` [H, W] in 0..1; float32 [H, W, 3]."""
    table = np.asarray(stops, np.float32)
    where = np.linspace(0.0, 1.0, len(stops))
    return np.stack(
        [np.interp(position, where, table[:, c]).astype(np.float32) for c in range(3)], axis=-1
    )


def cells(
    rng: np.random.Generator, height: int, width: int, size_y: float, size_x: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Jittered cells: distance to the nearest and second centre (in cells) and a random 0..1 id.

    All three arrays are [height, width]. Only the nine neighbours of a pixel's grid cell are looked
    at, which keeps the cost independent of the number of cells.
    """
    rows, cols = int(height / size_y) + 5, int(width / size_x) + 5
    jitter = rng.uniform(0.15, 0.85, (rows, cols, 2)).astype(np.float32)
    ids = rng.uniform(0, 1, (rows, cols)).astype(np.float32)
    oy, ox = rng.uniform(0, 1, 2)
    y = (np.arange(height, dtype=np.float32) / size_y + oy + 1.0)[:, None]
    x = (np.arange(width, dtype=np.float32) / size_x + ox + 1.0)[None, :]
    base_y, base_x = y.astype(int), x.astype(int)
    near = np.full((height, width), 9.0, np.float32)
    second, chosen = near.copy(), np.zeros((height, width), np.float32)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            point = jitter[base_y + dy, base_x + dx]
            distance = np.hypot(base_y + dy + point[..., 0] - y, base_x + dx + point[..., 1] - x)
            closer = distance < near
            second = np.where(closer, near, np.minimum(second, distance))
            chosen = np.where(closer, ids[base_y + dy, base_x + dx], chosen)
            near = np.where(closer, distance, near)
    return near, second, chosen


def vary(rng: np.random.Generator, colour: Colour, amount: float = 0.04) -> Colour:
    """The colour (0..1 RGB) with a little random lightness and tint."""
    light = rng.uniform(-amount, amount)
    return tuple(float(np.clip(c + light + rng.uniform(-amount, amount) / 2, 0, 1)) for c in colour)


def pick(rng: np.random.Generator, colours: list[Colour], amount: float = 0.03) -> Colour:
    """One of the colours, slightly varied."""
    return vary(rng, colours[int(rng.integers(len(colours)))], amount)


def darker(colour: Colour, amount: float = 0.74) -> Colour:
    """The colour in shade."""
    return tuple(amount * c for c in colour)


def lighter(colour: Colour, amount: float = 0.4) -> Colour:
    """The colour in light, `amount` of the way to white."""
    return tuple(c + (1 - c) * amount for c in colour)


class Painter:
    """Anti-aliased shapes over a picture; coordinates and sizes in picture pixels."""

    def __init__(self, picture: np.ndarray | Colour, height: int, width: int) -> None:
        self.height, self.width = height, width
        size = (width * SUPERSAMPLE, height * SUPERSAMPLE)
        if isinstance(picture, tuple):
            self.image = Image.new("RGB", size, self._ink(picture))
        else:
            small = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
            self.image = small.resize(size, Image.Resampling.BILINEAR)
        self.draw = ImageDraw.Draw(self.image)

    @staticmethod
    def _ink(colour: Colour) -> tuple[int, int, int]:
        return tuple(int(min(max(c, 0.0), 1.0) * 255 + 0.5) for c in colour)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, colour: Colour) -> None:
        """A filled ellipse around (cx, cy)."""
        s = SUPERSAMPLE
        box = ((cx - rx) * s, (cy - ry) * s, (cx + rx) * s, (cy + ry) * s)
        self.draw.ellipse(box, fill=self._ink(colour))

    def polygon(self, points: np.ndarray | list, colour: Colour) -> None:
        """A filled polygon through `points` [N, 2] as (x, y)."""
        flat = (np.asarray(points, np.float32) * SUPERSAMPLE).ravel().tolist()
        self.draw.polygon(flat, fill=self._ink(colour))

    def rectangle(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        colour: Colour,
        round_: float = 0,
    ) -> None:
        """A filled rectangle, with corners rounded by `round_` pixels."""
        s = SUPERSAMPLE
        box = (left * s, top * s, right * s, bottom * s)
        if right - left < 1 or bottom - top < 1:
            return
        self.draw.rounded_rectangle(box, radius=round_ * s, fill=self._ink(colour))

    def line(self, points: np.ndarray | list, colour: Colour, width: float) -> None:
        """A line through `points` [N, 2] as (x, y)."""
        flat = (np.asarray(points, np.float32) * SUPERSAMPLE).ravel().tolist()
        self.draw.line(flat, fill=self._ink(colour), width=max(1, round(width * SUPERSAMPLE)))

    def picture(self) -> np.ndarray:
        """What was painted, float32 [height, width, 3] in 0..1.

        A brush-soft blur keeps edges within what an autoencoder of factor 8 can give back.
        """
        soft = self.image.filter(ImageFilter.BoxBlur(1))
        return np.asarray(soft.reduce(SUPERSAMPLE), np.float32) / 255.0


def rotated(points: np.ndarray, angle: float, cx: float, cy: float) -> np.ndarray:
    """Points [N, 2] turned by `angle` radians around the origin, then moved to (cx, cy)."""
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s], [-s, c]]) + np.array([cx, cy])


def scatter(
    rng: np.random.Generator,
    height: int,
    width: int,
    step_y: float,
    step_x: float,
    jitter: float = 0.35,
) -> list[tuple[float, float]]:
    """Centres (x, y) of a staggered, jittered grid that overhangs the picture, top to bottom."""
    oy, ox = rng.uniform(0, step_y), rng.uniform(0, step_x)
    rows = np.arange(-oy - step_y, height + 2 * step_y, step_y)
    points = []
    for row, y in enumerate(rows):
        start = -ox - step_x + (row % 2) * step_x / 2
        xs = np.arange(start, width + 2 * step_x, step_x)
        shift = rng.uniform(-jitter, jitter, (len(xs), 2)) * (step_x, step_y)
        points.extend(zip(xs + shift[:, 0], y + shift[:, 1], strict=True))
    return points
