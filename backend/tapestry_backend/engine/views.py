"""Views: which window of which region is computed at which step, and how much each cell counts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .noise_schedule import SamplingStep
from .windows import (
    Size,
    Weighting,
    Window,
    add_at,
    crop,
    factors,
    fitted_windows,
    plan_windows,
    shifted_windows,
    window_weights,
)

HEALING_STEPS = 2
"""The last steps of moving windows overlap: nothing comes after them to heal their borders."""

_UNSEEN = 1e-6
"""Weights below this are rounding."""


FusionMode = Literal["mean", "factors"]


class View(NamedTuple):
    """One diffusion path: what a region wants in a window, and how much it counts at each cell.

    A weight is negative where the path is that of an overlap, which is taken off.
    """

    window: Window
    region: int
    weight: Tensor


@dataclass(frozen=True)
class WindowLayout:
    """How a canvas is cut into windows.

    mode       "overlap": fixed windows, `stride` apart; a region that needs fewer windows that way
               gets windows laid around its own mask. "shift": windows side by side, moved at every
               step by a random offset, the same for all regions
    fusion     "mean": where windows overlap, each counts by its weight; "factors": each counts
               once, and what two of them share is taken off (DiffCollage); for fixed windows
    """

    canvas: Size
    window: Size
    stride: Size
    mode: Literal["overlap", "shift"] = "overlap"
    weighting: Weighting = "linear"
    wrap: bool = False
    fusion: FusionMode = "mean"

    @cached_property
    def grid(self) -> list[Window]:
        """The fixed windows of the whole canvas."""
        return plan_windows(self.canvas, self.window, self.stride, wrap=self.wrap)

    def windows_of(self, weight: Tensor, margin: int = 0) -> list[Window]:
        """The fixed windows that a region with these weights [H, W] needs.

        margin: cells around it that they cover as well where no further window is needed for that.
        """
        touched = [w for w in self.grid if bool((crop(weight, w) > _UNSEEN).any())]
        seen = weight * (weight > _UNSEEN)
        fitted = fitted_windows(seen, self.window, self.stride, wrap=self.wrap, margin=margin)
        return fitted if len(fitted) < len(touched) else touched

    def moved(self, offset: Size) -> list[Window]:
        """Windows side by side that cover the canvas, moved by an offset."""
        return shifted_windows(self.canvas, self.window, offset, wrap=self.wrap)


class ViewPlan:
    """The views of every step.

    weights    [N, H, W] >= 0: each region's share of each cell of its latents; a cell where all are
               0 is not needed (no paint there)
    needed     [N, H, W], if given: what fixed windows must cover; other cells with a weight are
               covered where these reach
    seed       decides the offsets of moving windows

    The fused result of a region does not depend on how many windows see a cell: its windows'
    weights are made to sum to its share.
    """

    def __init__(
        self,
        layout: WindowLayout,
        weights: Tensor,
        *,
        needed: Tensor | None = None,
        margin: int = 0,
        seed: int = 0,
        device: torch.device | None = None,
    ) -> None:
        self.layout = layout
        self._weights = weights
        self._needed = weights if needed is None else needed
        self._margin = margin
        self._seed = seed
        self._device = device or weights.device

    def __call__(self, step: SamplingStep) -> Sequence[View]:
        """The views of a step; the very same list for as long as nothing changes."""
        if self.layout.mode == "shift" and step.step_index < step.num_steps - HEALING_STEPS:
            windows = self.layout.moved(self._offset(step.step_index))
            return self._views([windows] * len(self._weights))
        return self._fixed

    @property
    def reach(self) -> Tensor:
        """[N, H, W] bool: where each region's windows reach at every step."""
        reach = torch.zeros(self._weights.shape)
        for view in self._fixed:
            add_at(reach[view.region], view.window, view.weight.abs().cpu())
        return reach > 0

    @cached_property
    def _fixed(self) -> list[View]:
        windows = [self.layout.windows_of(w, self._margin) for w in self._needed]
        return self._views(windows) if self.layout.fusion == "mean" else self._factors(windows)

    def _offset(self, index: int) -> Size:
        draw = random.Random(f"{self._seed}:{index}")  # noqa: S311  a picture's seed, no secret
        window = self.layout.window
        return Size(draw.randrange(window.height), draw.randrange(window.width))

    def _views(self, windows: Sequence[Sequence[Window]]) -> list[View]:
        views = []
        for region, (own, weight) in enumerate(zip(windows, self._weights, strict=True)):
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

    def _factors(self, windows: Sequence[Sequence[Window]]) -> list[View]:
        """The views of DiffCollage's rule: of windows, and of what they share."""
        layout = self.layout
        views = []
        for region, (own, weight) in enumerate(zip(windows, self._weights, strict=True)):
            for factor in factors(own, layout.canvas.width, wrap=layout.wrap):
                part = crop(weight, factor.window) * factor.sign
                if bool((part.abs() > _UNSEEN).any()):
                    views.append(View(factor.window, region, part.to(self._device)))
        return views
