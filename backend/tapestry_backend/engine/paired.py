"""Two canvases side by side: one that is there, and one that attends as it does.

Prompt-to-Prompt (Hertz et al. 2023) for every window and region: the rows of one view - what is
there, what shall be, and what shall not be - go through the model together, so that nothing of
their attention has to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .multidiffusion import RegionPrompt, Rescale, WindowContext, guide
from .noise_schedule import SamplingStep
from .view_groups import ViewGroups
from .views import View, ViewPlan
from .windows import Size, crop

_ROWS = 3
"""Rows of a view at most."""


class RowPair(NamedTuple):
    """Rows of a batch, for the same window and region: what is there, and what shall be."""

    source: int
    target: int
    region: int


PairedPredict = Callable[
    [
        Tensor,
        SamplingStep,
        Tensor,
        Sequence[WindowContext],
        Sequence[RowPair],
        "int | None",
    ],
    Tensor,
]
"""(latents [B, C, h, w], step, conditions [B, T, D], a context for each row, the pairs of rows, an
adapter set as in `RegionPrompt`) -> the model's output [B, C, h, w]."""


class _PairedState(NamedTuple):
    """What is there, and what shall be: [1, C, H, W] each, at the noise level of a step."""

    source: Tensor
    target: Tensor
    step: SamplingStep

    @property
    def size(self) -> Size:
        return Size(*self.target.shape[-2:])


@dataclass(eq=False)
class PairedDiffusion:
    """Predicts for a canvas whose attention follows another one's.

    predict            the model
    views              which windows and regions are evaluated at a step, with their weights
    source_prompts, target_prompts    of each region, rows of `conditions`
    conditions         every encoded text once, [K, T, D]
    batch_size         rows of one evaluation, but at least those of one view
    framed             as in `WindowContext`
    guidance_rescale   as `rescale` in `guide`
    """

    predict: PairedPredict
    views: ViewPlan
    source_prompts: Sequence[RegionPrompt]
    target_prompts: Sequence[RegionPrompt]
    conditions: Tensor
    batch_size: int
    framed: bool = False
    guidance_rescale: Rescale = 0.0

    def __post_init__(self) -> None:
        self.evaluations = 0
        """Rows that have gone through the model so far."""
        self._groups = ViewGroups(self.views, self.target_prompts, self.batch_size, _ROWS)

    def __call__(self, source: Tensor, target: Tensor, step: SamplingStep) -> Tensor:
        """The fused prediction [1, C, H, W] for `target`, both canvases [1, C, H, W]."""
        state = _PairedState(source, target, step)
        fused = self._groups.fused(step, state.size, lambda views: self._predict(views, state))
        self.batch_size = self._groups.batch_size
        return fused

    def _predict(self, views: Sequence[View], state: _PairedState) -> list[Tensor]:
        inputs: list[Tensor] = []
        conditions: list[int] = []
        contexts: list[WindowContext] = []
        pairs: list[RowPair] = []
        for view in views:
            source, target = (
                prompts[view.region] for prompts in (self.source_prompts, self.target_prompts)
            )
            pairs.append(RowPair(len(inputs), len(inputs) + 1, view.region))
            own, wanted = (crop(canvas, view.window) for canvas in (state.source, state.target))
            context = WindowContext(view.window, state.size, self.framed)
            inputs += [own, wanted]
            conditions += [source.condition, target.condition]
            contexts += [context, context]
            if target.guided:
                inputs.append(wanted)
                conditions.append(target.negative_condition)
                contexts.append(context._replace(is_negative=target.adapter_set is not None))
        self.evaluations += len(inputs)
        adapter_set = self.target_prompts[views[0].region].adapter_set
        outputs = self.predict(
            torch.cat(inputs), state.step, self.conditions[conditions], contexts, pairs, adapter_set
        )
        return [self._guided(outputs, pair) for pair in pairs]

    def _guided(self, outputs: Tensor, pair: RowPair) -> Tensor:
        prompt, own = self.target_prompts[pair.region], outputs[pair.target]
        if not prompt.guided:
            return own
        negative = outputs[pair.target + 1]
        return guide(own, negative, prompt.guidance_scale, self.guidance_rescale)
