"""Which windows take on whose look: the reference of each row of windows, and its followers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import torch
from torch import Tensor

from .windows import Size, Window, add_at, crop, window_weights

_TOGETHER = 16
"""Windows per batch; of single windows, the overhead of calls takes most of the time."""

_FADE = 0.25
"""In windows: over this distance beyond the reference the pull grows to its whole strength, so that
no line shows."""


@dataclass(frozen=True)
class Follower:
    """A window that takes on the look of a reference.

    shares          [h, w]: the region's share of each cell
    blend_weight    [h, w]: the weight of this window's answer at each cell
    fade            [w]: 0 in the reference, 1 a little beyond
    """

    window: Window
    shares: Tensor
    blend_weight: Tensor
    fade: Tensor

    def to(self, device: torch.device) -> Follower:
        """The same on another device."""
        values = (values.to(device) for values in (self.shares, self.blend_weight, self.fade))
        return Follower(self.window, *values)


@dataclass(frozen=True)
class FollowerBatch:
    """Followers that are computed together, their numbers stacked."""

    windows: tuple[Window, ...]
    shares: Tensor
    blend_weight: Tensor
    fade: Tensor


@dataclass(frozen=True)
class StyleGroup:
    """A region in one row of windows, and the window whose look the others follow.

    shares  [h, w]: the region's share of each cell of the reference
    row     of the latents
    """

    reference: Window
    shares: Tensor
    followers: tuple[Follower, ...]
    row: int = 0

    def to(self, device: torch.device) -> StyleGroup:
        """The same on another device; itself where it is there."""
        if self.shares.device == device:
            return self
        followers = tuple(follower.to(device) for follower in self.followers)
        return StyleGroup(self.reference, self.shares.to(device), followers, self.row)

    @cached_property
    def batches(self) -> list[FollowerBatch]:
        """All followers, a few at a time."""
        parts = (
            self.followers[i : i + _TOGETHER] for i in range(0, len(self.followers), _TOGETHER)
        )
        return [
            FollowerBatch(
                tuple(follower.window for follower in part),
                torch.stack([follower.shares for follower in part]),
                torch.stack([follower.blend_weight for follower in part]),
                torch.stack([follower.fade for follower in part]),
            )
            for part in parts
        ]


def window_shares(windows: Sequence[Window], canvas: Size, *, wrap: bool) -> dict[Window, Tensor]:
    """Blending weight of each window [h, w]; at every cell they sum to one."""
    weights = window_weights(windows, canvas, wrap=wrap)
    total = torch.zeros(canvas)
    for window, weight in zip(windows, weights, strict=True):
        add_at(total, window, weight)
    return {
        window: weight / crop(total, window)
        for window, weight in zip(windows, weights, strict=True)
    }


def window_rows(windows: Sequence[Window]) -> list[list[Window]]:
    """Windows that begin at the same height, from the top down."""
    return [list(row) for _, row in groupby(sorted(windows), key=lambda window: window.top)]


def nearest_window(windows: Sequence[Window], column: int, width: int | None) -> Window:
    """The window whose middle is nearest to a column."""
    return min(windows, key=lambda w: abs(_distance((w.left + w.right - 1) / 2, column, width)))


def fade_beyond(window: Window, reference: Window, width: int | None) -> Tensor:
    """For each column of a window, [w]: 0 in the reference, 1 a little beyond."""
    middle, half = (
        (reference.left + reference.right - 1) / 2,
        (reference.right - reference.left) / 2,
    )
    places = range(window.left, window.right)
    outside = torch.tensor([abs(_distance(place, middle, width)) - half + 0.5 for place in places])
    return (outside / (_FADE * 2 * half)).clamp(0, 1)


def _distance(place: float, other: float, width: int | None) -> float:
    """How far a column lies from another, the shorter way around a canvas that wraps."""
    if width is None:
        return place - other
    return (place - other + width / 2) % width - width / 2
