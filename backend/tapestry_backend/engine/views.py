"""Views: which window of which region is computed at which step, and how much each cell counts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .levels import Moment
from .windows import (
    Size,
    Weighting,
    Window,
    add_at,
    crop,
    fitted_windows,
    plan_windows,
    shifted_windows,
    window_weights,
)

HEALING_STEPS = 2
"""The last steps of moving windows overlap: nothing comes after them to heal their borders."""

_UNSEEN = 1e-6
"""Weights below this are rounding."""


class View(NamedTuple):
    """One diffusion path: what a region wants in a window, and how much it counts at each cell."""

    window: Window
    region: int
    weight: Tensor


@dataclass(frozen=True)
class Layout:
    """How a canvas is cut into windows.

    mode       "overlap": fixed windows, `stride` apart; a region that needs fewer windows that way
               gets windows laid around its own mask. "shift": windows side by side, moved at every
               step by a random offset, the same for all regions
    """

    canvas: Size
    window: Size
    stride: Size
    mode: Literal["overlap", "shift"] = "overlap"
    weighting: Weighting = "linear"
    wrap: bool = False

    @cached_property
    def grid(self) -> list[Window]:
        """The fixed windows of the whole canvas."""
        return plan_windows(self.canvas, self.window, self.stride, wrap=self.wrap)

    def windows_of(self, weight: Tensor) -> list[Window]:
        """The fixed windows that a region with these weights [H, W] needs."""
        touched = [w for w in self.grid if bool((crop(weight, w) > _UNSEEN).any())]
        seen = weight * (weight > _UNSEEN)
        fitted = fitted_windows(seen, self.window, self.stride, wrap=self.wrap)
        return fitted if len(fitted) < len(touched) else touched

    def moved(self, offset: Size) -> list[Window]:
        """Windows side by side that cover the canvas, moved by an offset."""
        return shifted_windows(self.canvas, self.window, offset, wrap=self.wrap)


class ViewPlan:
    """The views of every step.

    weights [N, H, W] >= 0: each region's share of each cell; a cell where all are 0 is not needed
    (nobody paints there). early [N, H, W], if given, holds instead in the first `early_share` of
    the steps. seed: decides the offsets of moving windows. The fused result of a region does not
    depend on how many windows see a cell: its windows' weights are made to sum to its share.
    """

    def __init__(
        self,
        layout: Layout,
        weights: Tensor,
        *,
        early: Tensor | None = None,
        early_share: float = 0.0,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        self.layout = layout
        self._weights = {False: weights, True: weights if early is None else early}
        self._early_share = early_share if early is not None else 0.0
        self._seed = seed
        self._device = device or weights.device
        self._fixed: dict[bool, list[View]] = {}

    def is_early(self, moment: Moment) -> bool:
        """Whether `early` holds at this step."""
        return moment.index < round(self._early_share * moment.count)

    def __call__(self, moment: Moment) -> Sequence[View]:
        """The views of a step; the very same list for as long as nothing changes."""
        early = self.is_early(moment)
        if self.layout.mode == "shift" and moment.index < moment.count - HEALING_STEPS:
            windows = self.layout.moved(self._offset(moment.index))
            return self._views([windows] * len(self._weights[early]), self._weights[early])
        if early not in self._fixed:
            weights = self._weights[early]
            windows = [self.layout.windows_of(weight) for weight in weights]
            self._fixed[early] = self._views(windows, weights)
        return self._fixed[early]

    def _offset(self, index: int) -> Size:
        draw = random.Random(f"{self._seed}:{index}")  # noqa: S311  a picture's seed, no secret
        window = self.layout.window
        return Size(draw.randrange(window.height), draw.randrange(window.width))

    def _views(self, windows: Sequence[Sequence[Window]], weights: Tensor) -> list[View]:
        views = []
        for region, (own, weight) in enumerate(zip(windows, weights, strict=True)):
            layout = self.layout
            shares = window_weights(own, layout.canvas, layout.weighting, wrap=layout.wrap)
            total = torch.zeros(layout.canvas)
            for window, share in zip(own, shares, strict=True):
                add_at(total, window, share)
            for window, share in zip(own, shares, strict=True):
                part = crop(weight, window) * (share / crop(total, window))
                if bool((part > _UNSEEN * _UNSEEN).any()):
                    views.append(View(window, region, part.to(self._device)))
        return views
