"""MultiDiffusion with a model that is shown a picture and follows an instruction.

InstructPix2Pix (Brooks et al. 2023): the picture's latents stand behind the noised ones, and there
are two scales, one for the instruction and one for the picture. With the paper's equation 3:

    e = e(0, 0) + picture_scale * (e(I, 0) - e(0, 0)) + text_scale * (e(I, T) - e(I, 0))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .multidiffusion import RegionPrompt, WindowContext
from .noise_schedule import SamplingStep
from .view_groups import ViewGroups
from .views import View, ViewPlan
from .windows import Size, crop

_ROWS = 3
"""Rows of a view at most."""

PredictInstructed = Callable[
    [Tensor, SamplingStep, Tensor, Sequence[WindowContext], "int | None"], Tensor
]
"""(latents and picture [B, 2 C, h, w], step, conditions [B, T, D], a context for each row, an
adapter set as in `RegionPrompt`) -> the model's output [B, C, h, w]."""


@dataclass(eq=False)
class InstructedDiffusion:
    """Predicts for a whole canvas by asking a model of one window's size, which sees its picture.

    predict           the model
    views             which windows and regions are evaluated at a step, with their weights
    region_prompts    the instruction of each region, rows of `conditions`, and the text's scale
    conditions        every encoded text once, [K, T, D]
    picture           [1, C, H, W]: the picture as the model sees it
    picture_scale     how closely it is kept to; below 1, or with a text's scale of 1, nothing is
                      guided, as in diffusers' pipeline
    batch_size        rows of one evaluation, but at least those of one view
    framed            as in `WindowContext`
    """

    predict: PredictInstructed
    views: ViewPlan
    region_prompts: Sequence[RegionPrompt]
    conditions: Tensor
    picture: Tensor
    picture_scale: float
    batch_size: int
    framed: bool = False

    def __post_init__(self) -> None:
        self.evaluations = 0
        """Rows that have gone through the model so far."""
        self._groups = ViewGroups(self.views, self.region_prompts, self.batch_size, _ROWS)

    def __call__(self, latents: Tensor, step: SamplingStep) -> Tensor:
        """Latents [1, C, H, W] as the model wants them -> fused prediction [1, C, H, W]."""
        size = Size(*latents.shape[-2:])
        fused = self._groups.fused(step, size, lambda views: self._predict(views, latents, step))
        self.batch_size = self._groups.batch_size
        return fused

    def _predict(self, views: Sequence[View], latents: Tensor, step: SamplingStep) -> list[Tensor]:
        inputs: list[Tensor] = []
        conditions: list[int] = []
        contexts: list[WindowContext] = []
        for view in views:
            prompt = self.region_prompts[view.region]
            seen, shown = (crop(canvas, view.window) for canvas in (latents, self.picture))
            context = WindowContext(view.window, Size(*latents.shape[-2:]), self.framed)
            inputs.append(torch.cat([seen, shown], dim=1))
            conditions.append(prompt.condition)
            contexts.append(context)
            if self._is_guided(prompt):
                nothing = torch.cat([seen, torch.zeros_like(shown)], dim=1)
                inputs += [inputs[-1], nothing]
                conditions += [prompt.negative_condition] * 2
                negative = context._replace(is_negative=prompt.adapter_set is not None)
                contexts += [negative, negative]
        self.evaluations += len(inputs)
        adapter_set = self.region_prompts[views[0].region].adapter_set
        outputs = iter(
            self.predict(
                torch.cat(inputs), step, self.conditions[conditions], contexts, adapter_set
            )
        )
        return [self._guided(outputs, self.region_prompts[view.region]) for view in views]

    def _is_guided(self, prompt: RegionPrompt) -> bool:
        return prompt.guided and self.picture_scale >= 1

    def _guided(self, outputs: Iterator[Tensor], prompt: RegionPrompt) -> Tensor:
        """The next view's prediction, out of its one or three rows."""
        own = next(outputs)
        if not self._is_guided(prompt):
            return own
        picture, nothing = next(outputs), next(outputs)
        towards_picture = self.picture_scale * (picture - nothing)
        return nothing + towards_picture + prompt.guidance_scale * (own - picture)
