"""Laying RGBA pictures over each other, straight alpha, 8 bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapestry_protocol.blending import OVER, KeptPart, Operator

_BAND_ROWS = 256
"""Rows worked on at once: the largest canvas must not be held in floating point as a whole."""


def transparent(height: int, width: int) -> np.ndarray:
    """uint8 [height, width, 4] of nothing."""
    return np.zeros((height, width, 4), np.uint8)


def lay_over(
    canvas: np.ndarray,
    picture: np.ndarray,
    top: int,
    left: int,
    opacity: float = 1.0,
    operator: Operator = OVER,
    blend: Blend | None = None,
) -> None:
    """Lay `picture` [h, w, 4] onto `canvas` [H, W, 4] in place, its corner at (top, left).

    What reaches beyond the canvas is cut off. Where the picture is fully transparent the canvas
    keeps its bytes exactly; where it is fully opaque, and simply lies over, they become the
    picture's exactly. blend: the colours where both are, of those below and above, 0 to 1.
    """
    height, width = canvas.shape[:2]
    rows = slice(max(0, top), min(height, top + picture.shape[0]))
    columns = slice(max(0, left), min(width, left + picture.shape[1]))
    if operator.below in {"none", "in"}:  # nothing of it stays where the picture is not
        beside = np.ones((height, width), bool)
        beside[rows, columns] = False
        canvas[beside] = 0
    if columns.start >= columns.stop:
        return
    for start in range(rows.start, rows.stop, _BAND_ROWS):
        band = slice(start, min(start + _BAND_ROWS, rows.stop))
        above = picture[
            band.start - top : band.stop - top, columns.start - left : columns.stop - left
        ]
        below = canvas[band, columns]
        if operator is OVER and blend is None:
            canvas[band, columns] = _over(below, above, opacity)
        else:
            canvas[band, columns] = _composed(below, above, opacity, operator, blend)


Blend = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Colours below and above, float [h, w, 3] from 0 to 1 -> the mixed ones."""


def _over(below: np.ndarray, above: np.ndarray, opacity: float) -> np.ndarray:
    """Porter and Duff's "over" for straight alpha, uint8 [h, w, 4] each."""
    front = above[..., 3:].astype(np.float32) * (opacity / 255)
    back = below[..., 3:].astype(np.float32) / 255 * (1 - front)
    total = front + back
    safe = np.where(total > 0, total, 1)
    colour = (above[..., :3] * front + below[..., :3] * back) / safe
    rounded = _bytes(np.concatenate([colour, total * 255], axis=-1))
    return np.where(front == 0, below, np.where(front == 1, above, rounded))


def _composed(
    below: np.ndarray, above: np.ndarray, opacity: float, operator: Operator, blend: Blend | None
) -> np.ndarray:
    """Any operator and blending mode, uint8 [h, w, 4] each.

    W3C, Compositing and Blending Level 1, sections 5 and 9.
    """
    front = above[..., 3:].astype(np.float32) * (opacity / 255)
    back = below[..., 3:].astype(np.float32) / 255
    under, over = below[..., :3].astype(np.float32) / 255, above[..., :3].astype(np.float32) / 255
    if blend is not None:
        over = (1 - back) * over + back * blend(under, over)
    seen_above, seen_below = (
        front * share(operator.above, back),
        back * share(operator.below, front),
    )
    total = seen_above + seen_below
    safe = np.where(total > 0, total, 1)
    colour = (over * seen_above + under * seen_below) / safe
    rounded = _bytes(np.concatenate([colour * 255, total * 255], axis=-1))
    if operator.below in {"none", "in"}:
        return rounded
    return np.where(front == 0, below, rounded)


def share(kind: KeptPart, coverage: np.ndarray) -> np.ndarray:
    """The share of a picture by the other one's coverage, 0 to 1."""
    if kind == "in":
        return coverage
    if kind == "out":
        return 1 - coverage
    return np.full_like(coverage, 1 if kind == "all" else 0)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def union_alpha(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How much two layers cover together, by their alpha, uint8 [h, w] each."""
    still_open = (255 - first).astype(np.uint16) * (255 - second)
    return (255 - (still_open + 127) // 255).astype(np.uint8)


def covered(
    below: np.ndarray, above: np.ndarray, operator: Operator, backdrop: np.ndarray
) -> np.ndarray:
    """The alpha of a picture after a layer was laid on it, uint8 [h, w] each.

    backdrop: what decides how much of the layer is seen; the picture with all that is beneath it.
    """
    if operator is OVER:
        return union_alpha(below, above)
    return np.minimum(
        shared(above, backdrop, operator.above).astype(np.uint16)
        + shared(below, above, operator.below),
        255,
    ).astype(np.uint8)


def shared(alpha: np.ndarray, other: np.ndarray, kind: KeptPart) -> np.ndarray:
    """The share of an alpha by another one, uint8 [h, w] each."""
    if kind == "all":
        return alpha
    if kind == "none":
        return np.zeros_like(alpha)
    factor = other if kind == "in" else 255 - other
    return ((alpha.astype(np.uint16) * factor + 127) // 255).astype(np.uint8)
