"""Windows: rectangles of the latent canvas at the model's own size, and plans that cover it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Size(NamedTuple):
    """Height and width, in latent cells."""

    height: int
    width: int


class Window(NamedTuple):
    """A rectangle of the latent canvas, half-open; `right` exceeds the width where it wraps."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> Size:
        return Size(self.bottom - self.top, self.right - self.left)


def axis_starts(length: int, window: int, stride: int, *, wrap: bool = False) -> list[int]:
    """Where windows start along one axis so that every cell is covered.

    Starts are spread evenly, at most `stride` apart, and the last window ends at the border. (The
    original's planner, (length - window) // stride + 1 fixed steps, leaves the last columns without
    a window at many lengths.) With `wrap`, windows go on over the border to the other side.
    """
    if length < 1 or window < 1 or stride < 1:
        raise ValueError(f"length {length}, window {window} and stride {stride} must be positive")
    window = min(window, length)
    stride = min(stride, window)
    if wrap:
        count = math.ceil(length / stride)
        return [round(i * length / count) for i in range(count)]
    count = math.ceil((length - window) / stride) + 1
    return [round(i * (length - window) / max(1, count - 1)) for i in range(count)]


def plan_windows(canvas: Size, window: Size, stride: Size, *, wrap: bool = False) -> list[Window]:
    """Windows that cover the whole canvas, in reading order; `wrap` joins left and right edge.

    A canvas smaller than a window along an axis takes windows of the canvas' own length there.
    """
    height, width = min(window.height, canvas.height), min(window.width, canvas.width)
    return [
        Window(top, left, top + height, left + width)
        for top in axis_starts(canvas.height, height, stride.height)
        for left in axis_starts(canvas.width, width, stride.width, wrap=wrap)
    ]


def window_weights(windows: Sequence[Window], canvas: Size, *, wrap: bool = False) -> list[Tensor]:
    """How much each window has to say at each of its cells: [h, w] each, float32, in (0, 1].

    A ramp towards edges where another window takes over, flat towards the canvas' border, never 0:
    so a canvas of one window has the weight 1 everywhere, exactly.
    """
    return [
        _ramp(w.size.height, falls_before=w.top > 0, falls_after=w.bottom < canvas.height)[:, None]
        * _ramp(
            w.size.width,
            falls_before=wrap or w.left > 0,
            falls_after=wrap or w.right < canvas.width,
        )[None, :]
        for w in windows
    ]


def crop(canvas: Tensor, window: Window) -> Tensor:
    """The window's part of a canvas [..., H, W] -> [..., h, w]; a copy where it wraps around."""
    rows = canvas[..., window.top : window.bottom, :]
    width = canvas.shape[-1]
    if window.right <= width:
        return rows[..., window.left : window.right]
    return torch.cat([rows[..., window.left :], rows[..., : window.right - width]], dim=-1)


def add_at(canvas: Tensor, window: Window, values: Tensor) -> None:
    """Add values [..., h, w] to the window's part of a canvas [..., H, W], in place."""
    rows = canvas[..., window.top : window.bottom, :]
    width = canvas.shape[-1]
    inside = min(window.right, width) - window.left
    rows[..., window.left : window.left + inside] += values[..., :inside]
    if window.right > width:
        rows[..., : window.right - width] += values[..., inside:]


def _ramp(length: int, *, falls_before: bool, falls_after: bool) -> Tensor:
    """1 in the middle; falls linearly over half the length towards each end that asks for it."""
    distance = torch.arange(length, dtype=torch.float32) + 0.5
    ramp = torch.ones(length)
    half = length / 2
    if falls_before:
        ramp = torch.minimum(ramp, distance / half)
    if falls_after:
        ramp = torch.minimum(ramp, distance.flip(0) / half)
    return ramp
