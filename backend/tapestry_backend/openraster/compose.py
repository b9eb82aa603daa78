"""Laying RGBA pictures over each other, straight alpha, 8 bit; no files, no layer trees."""

from __future__ import annotations

import numpy as np

_BAND_ROWS = 256
"""Rows worked on at once: the largest canvas must not be held in floating point as a whole."""


def transparent(height: int, width: int) -> np.ndarray:
    """uint8 [height, width, 4] of nothing."""
    return np.zeros((height, width, 4), np.uint8)


def lay_over(
    canvas: np.ndarray, picture: np.ndarray, top: int, left: int, opacity: float = 1.0
) -> None:
    """Lay `picture` [h, w, 4] onto `canvas` [H, W, 4] in place, its corner at (top, left).

    What reaches beyond the canvas is cut off. Where the picture is fully transparent the canvas
    keeps its bytes exactly; where it is fully opaque they become the picture's exactly.
    """
    height, width = canvas.shape[:2]
    rows = slice(max(0, top), min(height, top + picture.shape[0]))
    columns = slice(max(0, left), min(width, left + picture.shape[1]))
    if columns.start >= columns.stop:
        return
    for start in range(rows.start, rows.stop, _BAND_ROWS):
        band = slice(start, min(start + _BAND_ROWS, rows.stop))
        above = picture[
            band.start - top : band.stop - top, columns.start - left : columns.stop - left
        ]
        below = canvas[band, columns]
        canvas[band, columns] = _over(below, above, opacity)


def _over(below: np.ndarray, above: np.ndarray, opacity: float) -> np.ndarray:
    """Porter and Duff's "over" for straight alpha, uint8 [h, w, 4] each."""
    front = above[..., 3:].astype(np.float32) * (opacity / 255)
    back = below[..., 3:].astype(np.float32) / 255 * (1 - front)
    total = front + back
    safe = np.where(total > 0, total, 1)
    colour = (above[..., :3] * front + below[..., :3] * back) / safe
    mixed = np.concatenate([colour, total * 255], axis=-1)
    rounded = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    return np.where(front == 0, below, np.where(front == 1, above, rounded))


def union_alpha(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How much two layers cover together, by their alpha, uint8 [h, w] each."""
    still_open = (255 - first).astype(np.uint16) * (255 - second)
    return (255 - (still_open + 127) // 255).astype(np.uint8)
