"""MultiDiffusion as a denoiser of the whole canvas: one prediction of many windows and regions.

The predictions of all windows and regions are fused and the scheduler steps once, on the canvas.
For every scheduler whose step is affine in the prediction this equals the paper's "step each, then
average"; it stays right for multistep and stochastic schedulers, whose history and noise then exist
once (see docs/method.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .fusion import fuse
from .windows import Size, Window, crop

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(latents [B, C, h, w], timestep [], conditions [B, T, D]) -> the model's output [B, C, h, w]."""

_NEGATIVE = -1
"""The negative prompt's condition stands behind those of the regions."""


class View(NamedTuple):
    """One diffusion path: what a region wants in a window, and how much it counts at each cell."""

    window: Window
    region: int
    weight: Tensor


def plan_views(
    windows: Sequence[Window], window_weights: Sequence[Tensor], region_weights: Tensor
) -> list[View]:
    """Every pair of window and region that counts anywhere.

    window_weights [h, w] for each window, region_weights [N, H, W] >= 0.
    """
    views = []
    for window, window_weight in zip(windows, window_weights, strict=True):
        for region, region_weight in enumerate(region_weights):
            weight = window_weight * crop(region_weight, window)
            if bool((weight > 0).any()):
                views.append(View(window, region, weight))
    return views


@dataclass(frozen=True)
class Guidance:
    """Classifier-free guidance (Ho and Salimans 2021), away from `negative` [T, D]; scale > 1."""

    scale: float
    negative: Tensor


class MultiDiffusion:
    """Predicts for a whole canvas by asking a model of one window's size.

    conditions [N, T, D] holds one encoded prompt per region. With guidance, all regions of a window
    share its one evaluation of the negative prompt.
    """

    def __init__(
        self,
        predict: Predict,
        views: Sequence[View],
        conditions: Tensor,
        guidance: Guidance | None,
        batch_size: int,
    ) -> None:
        self._predict = predict
        self._views = views
        self._conditions = conditions
        if guidance is not None:
            self._conditions = torch.cat([conditions, guidance.negative[None]])
        self._guidance = guidance
        self._batch_size = batch_size
        self.evaluations = 0
        """Rows that have gone through the model so far."""
        self._rows, self._conditional, self._negative = _plan_rows(
            views, guided=guidance is not None
        )

    def __call__(self, latents: Tensor, timestep: Tensor) -> Tensor:
        """Latents [1, C, H, W] as the model wants them -> fused prediction [1, C, H, W]."""
        outputs = torch.cat(
            [
                self._evaluate(latents, timestep, self._rows[start : start + self._batch_size])
                for start in range(0, len(self._rows), self._batch_size)
            ]
        )
        predictions = outputs[self._conditional]
        if self._guidance is not None:
            negative = outputs[self._negative]
            predictions = negative + self._guidance.scale * (predictions - negative)
        weights = [view.weight for view in self._views]
        windows = [view.window for view in self._views]
        return fuse(predictions, weights, windows, Size(*latents.shape[-2:]))

    def _evaluate(self, latents: Tensor, timestep: Tensor, rows: Sequence[_Row]) -> Tensor:
        crops = torch.cat([crop(latents, row.window) for row in rows])
        conditions = self._conditions[[row.condition for row in rows]]
        self.evaluations += len(rows)
        return self._predict(crops, timestep, conditions)


@dataclass(frozen=True)
class _Row:
    """One row of a batch: a window, and the index of the condition it is evaluated with."""

    window: Window
    condition: int


def _plan_rows(views: Sequence[View], *, guided: bool) -> tuple[list[_Row], list[int], list[int]]:
    """The rows to evaluate, and for each view the index of its own row and of its negative one."""
    index: dict[_Row, int] = {}
    conditional, negative = [], []
    for view in views:
        if guided:
            negative.append(index.setdefault(_Row(view.window, _NEGATIVE), len(index)))
        conditional.append(index.setdefault(_Row(view.window, view.region), len(index)))
    return list(index), conditional, negative
