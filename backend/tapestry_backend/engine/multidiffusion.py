"""MultiDiffusion (Bar-Tal et al. 2023) as a denoiser of the whole canvas.

One step of it, with the paper's symbols:

    for each window i and region:                       views
        I_i = F_i(J)                                    crop the canvas
        e_i = model(I_i, prompt)                        predict, once for each distinct input
        e_i = negative + scale * (e_i - negative)       guide
    e = sum(W_i * F_i^-1(e_i)) / sum(W_i)               fuse, eq. 5
    J = scheduler(J, e)                                 step once, in `sampling.sample`

The paper steps each window and averages what comes of it. Here the predictions are averaged and the
canvas steps once. Both are equal for every scheduler whose step is affine in the prediction; this
one stays right for multistep and stochastic schedulers, for moving windows and for masks that
change on the way, as history and noise exist once (see docs/method.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .fusion import fuse
from .noise_schedule import SamplingStep
from .out_of_memory import attempt
from .step_cache import RowMemory, StepCache
from .views import View, ViewPlan
from .windows import Size, Window, crop

Rescale = float | Literal["cells"]
"""How much of what guidance adds is removed; see `guide`."""

_GUIDED_FIRST = 0.2
"""Guidance changes most in this first share of the steps, so there it is computed at every step."""


@dataclass(eq=False)
class MultiDiffusion:
    """Predicts for a whole canvas with a model of one window's size.

    predict            the model
    views              which windows and regions are evaluated at a step, with their weights
    region_prompts     the prompts of each region: rows of `conditions`, and the guidance scale
    conditions         every encoded text once, [K, T, D]
    batch_size         rows of one evaluation; fewer as soon as memory runs out
    latent_rows        the row of the latents that each region sees and paints; None: there is one
    bootstrapping      what regions see in the first steps; None: the latents as they are
    extra              goes into the model behind the latents, cropped alike: an inpainting model's
                       mask and masked picture, [1, E, H, W]
    guidance_every     as `every` in `Guidance`
    guidance_rescale   as `rescale` in `Guidance`
    framed             as in `WindowContext`
    adapter_sets       the model with each set of adapters; rows of different ones never share a
                       batch
    share              spreads the batches of a step over several devices; None: they are evaluated
                       here, one after the other. Both evaluate the same batches
    step_cache         what rows remember from step to step, where windows do not move; None:
                       nothing. It is not shared with other devices

    All regions that see the same latents with the same negative prompt share its one evaluation.
    """

    predict: Predict
    views: ViewPlan
    region_prompts: Sequence[RegionPrompt]
    conditions: Tensor
    batch_size: int
    _: KW_ONLY
    latent_rows: Sequence[int] | None = None
    bootstrapping: Bootstrapping | None = None
    extra: Tensor | None = None
    guidance_every: int = 1
    guidance_rescale: Rescale = 0.0
    framed: bool = False
    adapter_sets: Sequence[PredictWithAdapters] = ()
    share: Share | None = None
    step_cache: StepCache | None = None

    def __call__(self, latents: Tensor, step: SamplingStep) -> Tensor:
        """Latents [L, C, H, W] as the model wants them -> fused prediction [L, C, H, W]."""
        views, early = self.views(step), self._is_early(step)
        is_guided = self._guidance.is_due(step, early=early)
        batch = self._plan(views, guided=is_guided, early=early)
        if self.step_cache is not None and not early:
            self.step_cache.forget(_is_bootstrapped)
        crops = [self._crop(latents, step, row) for row in batch.rows]
        left_out = self.left_out
        predictions = self._evaluate(crops, step, batch.rows, Size(*latents.shape[-2:]))
        self.evaluations += len(crops) - (self.left_out - left_out)
        positive, negative = batch.of_views(predictions)
        fusion = _Fusion(views, [self._latent_row_of[view.region] for view in views], latents.shape)
        guided = self._guidance(
            positive, negative, batch.scales, fusion, guided=is_guided, early=early
        )
        if self.bootstrapping is not None and early:
            seen = [crops[row][0, : latents.shape[1]] for row in batch.own_rows]
            self.bootstrapping.learn(views, seen, guided, step)
        return fusion.fused(guided)

    def __post_init__(self) -> None:
        self.evaluations = 0
        """Rows that have gone through the model so far."""
        self._latent_row_of = self.latent_rows or [0] * len(self.region_prompts)
        self._guidance = Guidance(self.guidance_every, self.guidance_rescale)
        self._planned: tuple[Sequence[View], bool, bool, _Batch] | None = None

    def _is_early(self, step: SamplingStep) -> bool:
        """Whether regions are bootstrapped at this step."""
        return self.bootstrapping is not None and self.bootstrapping.lasts(step)

    def _plan(self, views: Sequence[View], *, guided: bool, early: bool) -> _Batch:
        """The rows of these views, planned anew only where something has changed."""
        asked = (views, guided, early)
        if self._planned is None or any(
            now is not before for now, before in zip(asked, self._planned[:3], strict=True)
        ):
            bootstrapping = self.bootstrapping if early else None
            region_prompts = (
                self.region_prompts if guided else [_unguided(p) for p in self.region_prompts]
            )
            batch = _plan_rows(views, region_prompts, self._latent_row_of, bootstrapping)
            self._planned = (*asked, batch)
        return self._planned[3]

    def _evaluate(
        self, inputs: list[Tensor], step: SamplingStep, planned: Sequence[_Row], canvas: Size
    ) -> list[Tensor]:
        """The model's outputs [C, h, w] for the inputs [1, C, h, w] of these rows.

        Rows of one adapter set and one size are evaluated together.
        """
        alike: dict[tuple[int | None, Size], list[int]] = {}
        for number, row in enumerate(planned):
            alike.setdefault((row.adapter_set, row.window.size), []).append(number)
        groups = list(alike.values())
        if self.share is not None:
            return self._evaluate_shared(self.share, groups, inputs, step, planned, canvas)
        outputs: dict[int, Tensor] = {}
        for group in groups:
            rows = [planned[number] for number in group]
            found = self._evaluate_alike([inputs[n] for n in group], step, rows, canvas)
            outputs.update(zip(group, found, strict=True))
        return [outputs[number] for number in range(len(planned))]

    def _evaluate_shared(
        self,
        share: Share,
        groups: Sequence[Sequence[int]],
        inputs: list[Tensor],
        step: SamplingStep,
        planned: Sequence[_Row],
        canvas: Size,
    ) -> list[Tensor]:
        """The same on several devices: all batches at once, and one wait for all of them."""
        numbers = [part for group in groups for part in _in_batches(group, self.batch_size)]
        batches = [
            ModelBatch(
                torch.cat([inputs[number] for number in part]),
                step,
                [planned[number].condition for number in part],
                self._contexts([planned[number] for number in part], canvas),
                canvas,
                planned[part[0]].adapter_set,
            )
            for part in numbers
        ]

        def here(batch: int) -> list[Tensor]:
            rows = [planned[number] for number in numbers[batch]]
            return self._evaluate_alike([inputs[n] for n in numbers[batch]], step, rows, canvas)

        outputs: dict[int, Tensor] = {}
        for part, found in zip(numbers, share(batches, here), strict=True):
            outputs.update(zip(part, found, strict=True))
        return [outputs[number] for number in range(len(planned))]

    @property
    def left_out(self) -> int:
        """Evaluations that what was remembered has spared so far."""
        return 0 if self.step_cache is None else self.step_cache.left_out

    def _contexts(self, rows: Sequence[_Row], canvas: Size) -> list[WindowContext]:
        contexts = [WindowContext(row.window, canvas, self.framed, row.is_negative) for row in rows]
        if self.step_cache is None or self.share is not None:
            return contexts
        memories = self.step_cache.memories(rows)
        return [
            context._replace(memory=memory)
            for context, memory in zip(contexts, memories, strict=True)
        ]

    def _evaluate_alike(
        self, inputs: list[Tensor], step: SamplingStep, planned: Sequence[_Row], canvas: Size
    ) -> list[Tensor]:
        """The same for rows of one adapter set and size; only one batch of them is put together."""
        conditions = [row.condition for row in planned]
        adapter_set = planned[0].adapter_set
        outputs: list[Tensor] = []
        done, size = 0, _even(len(inputs), self.batch_size)
        while done < len(inputs):
            batch_rows = slice(done, done + size)
            found = self._ask(
                adapter_set,
                torch.cat(inputs[batch_rows]),
                step,
                self.conditions[conditions[batch_rows]],
                self._contexts(planned[batch_rows], canvas),
            )
            if found is None and self.step_cache is not None and self.step_cache.give_up():
                continue
            if found is None:
                self.batch_size = max(1, min(size, len(inputs) - done) // 2)
                size = _even(len(inputs) - done, self.batch_size)
            else:
                outputs.extend(found)
                done = batch_rows.stop
        return outputs

    def _ask(
        self,
        adapter_set: int | None,
        inputs: Tensor,
        step: SamplingStep,
        encoded: Tensor,
        contexts: Sequence[WindowContext],
    ) -> Tensor | None:
        """The model's outputs for a batch; None when it is too large for the memory."""

        def ask() -> Tensor:
            if adapter_set is None:
                return self.predict(inputs, step.timestep, encoded, contexts)
            return self.adapter_sets[adapter_set](inputs, step, encoded, contexts)

        if len(inputs) == 1 and contexts[0].memory is None:
            return ask()
        answer = attempt(ask)
        return None if answer is None else answer[0]

    def _crop(self, latents: Tensor, step: SamplingStep, row: _Row) -> Tensor:
        if row.alone is None or self.bootstrapping is None:
            seen = crop(latents[row.latent_row, None], row.window)
        else:
            seen = self.bootstrapping.show(latents, row.window, row.alone, row.latent_row, step)
        if self.extra is None:
            return seen
        return torch.cat([seen, crop(self.extra, row.window)], dim=1)


def guide(own: Tensor, negative: Tensor, scale: float, rescale: Rescale) -> Tensor:
    """One view's predictions [C, h, w] for its own and its negative prompt -> the guided one.

    At a scale of 1 and below that is its own. rescale, from 0 to 1: how much of the contrast that
    guidance adds is taken off again (Lin et al. 2024, equations 14 to 16); "cells": each cell
    becomes as long as it was in its own prediction, which is how Qwen-Image is guided.
    """
    if scale <= 1:
        return own
    guided = negative + scale * (own - negative)
    if not rescale:
        return guided
    if rescale == "cells":
        least = torch.finfo(guided.dtype).tiny
        return guided * own.norm(dim=0) / guided.norm(dim=0).clamp(min=least)
    factor = own.std() / guided.std().clamp(min=torch.finfo(guided.dtype).tiny)
    return guided * (1 + rescale * (factor - 1))


class Guidance:
    """Classifier-free guidance (Ho and Salimans 2021): away from the negative prompt, by a scale.

    Negative prompts are evaluated in the first fifth of the steps and in every `every`-th after it.
    Between, what guidance changed there is added again, because it hardly differs from step to
    step. rescale: as in `guide`.
    """

    def __init__(self, every: int = 1, rescale: Rescale = 0.0) -> None:
        self._every = every
        self._rescale = rescale
        self._held: tuple[bool, Tensor] | None = None
        """Whether regions were bootstrapped, and what guidance changed then: [L, C, H, W]."""

    def is_due(self, step: SamplingStep, *, early: bool) -> bool:
        """Whether the negative prompts are evaluated at this step."""
        first = round(_GUIDED_FIRST * step.num_steps)
        due = step.step_index < first or (step.step_index - first) % self._every == 0
        return due or self._held is None or self._held[0] != early

    def __call__(
        self,
        own: Sequence[Tensor],
        negative: Sequence[Tensor],
        scales: Sequence[float],
        fusion: _Fusion,
        *,
        guided: bool,
        early: bool,
    ) -> list[Tensor]:
        """Guided predictions [C, h, w] of the views, from those of their own and negative prompts.

        guided: whether the negative prompts were evaluated at this step.
        """
        wanted = [
            guide(plain, away, scale, self._rescale)
            for plain, away, scale in zip(own, negative, scales, strict=True)
        ]
        if guided and self._every > 1:
            changes = [each - plain for each, plain in zip(wanted, own, strict=True)]
            self._held = early, fusion.fused(changes)
        elif self._held is not None:
            changes = fusion.pieces(self._held[1])
            wanted = [plain + change for plain, change in zip(own, changes, strict=True)]
        return wanted


class Bootstrapping:
    """Regions that see nothing but what is their own in the first steps.

    Elsewhere a region sees a plain backdrop, noised with the canvas' own noise to the step's level,
    and so finds its subject inside its mask (Bar-Tal et al. 2023, section 4.2). There the backdrop
    is a random colour, encoded anew at every step and for every window. Here it is the mean of what
    the region itself wants inside its mask: nothing is encoded, and nothing foreign is seen.

    inside    [N, H, W] bool: the cells that a region sees as they are; a region that is not
              bootstrapped sees all of them
    noise     [L, C, H, W]: that of each row of latents
    share     of the steps, in which this holds
    """

    def __init__(self, inside: Tensor, noise: Tensor, share: float) -> None:
        self._inside = inside
        self._noise = noise
        self._share = share if bool((~inside).any()) else 0.0
        self._colours = noise.new_zeros(inside.shape[0], noise.shape[1])

    def lasts(self, step: SamplingStep) -> bool:
        """Whether it holds at this step."""
        return step.step_index < round(self._share * step.num_steps)

    def show(
        self, latents: Tensor, window: Window, region: int, row: int, step: SamplingStep
    ) -> Tensor:
        """What a region sees of its row of latents [L, C, H, W] in a window: [1, C, h, w]."""
        backdrop = step.alpha * self._colours[region][None, :, None, None]
        plain = backdrop + step.sigma * crop(self._noise[row, None], window)
        own = crop(latents[row, None], window)
        return torch.where(crop(self._inside[region], window), own, plain)

    def hides(self, window: Window, region: int) -> bool:
        """Whether anything of the window is hidden from the region."""
        return not bool(crop(self._inside[region], window).all())

    def learn(
        self,
        views: Sequence[View],
        seen: Sequence[Tensor],
        predictions: Sequence[Tensor],
        step: SamplingStep,
    ) -> None:
        """Take the backdrops of the next step from what the views saw and predicted, [C, h, w]."""
        clean = [
            step.clean(prediction.to(before.dtype), before)
            for prediction, before in zip(predictions, seen, strict=True)
        ]
        sums = torch.zeros_like(self._colours)
        cells = sums.new_zeros(len(sums), 1)
        for view, estimate in zip(views, clean, strict=True):
            inside = crop(self._inside[view.region], view.window)
            sums[view.region] += (estimate * inside).sum(dim=(1, 2))
            cells[view.region] += inside.sum()
        self._colours = sums / cells.clamp(min=1)


class WindowContext(NamedTuple):
    """Where a row of a batch lies: its window on a canvas, in cells.

    framed        whether a model with size conditioning gets this place; otherwise each window is a
                  picture of its own to it
    is_negative   whether the row is evaluated with a negative prompt
    references    latents [1, C, h, w] of pictures that the model is shown beside the row
    memory        what the row remembers from step to step; None: nothing
    """

    window: Window
    canvas: Size
    framed: bool = False
    is_negative: bool = False
    references: tuple[Tensor, ...] = ()
    memory: RowMemory | None = None


Predict = Callable[[Tensor, Tensor, Tensor, Sequence[WindowContext]], Tensor]
"""(latents [B, C, h, w], timestep [], conditions [B, T, D], a context for each row) -> the model's
output [B, C, h, w]."""

PredictWithAdapters = Callable[[Tensor, SamplingStep, Tensor, Sequence[WindowContext]], Tensor]
"""The model with adapters: as `Predict`, but called with the whole step."""


class ModelBatch(NamedTuple):
    """Rows that go through the model together, on whatever device.

    inputs        [B, C, h, w]
    conditions    the row of the encoded texts that goes with each
    contexts      of each
    canvas        in cells
    adapter_set   as in `RegionPrompt`; the same for all of them
    """

    inputs: Tensor
    step: SamplingStep
    conditions: list[int]
    contexts: list[WindowContext]
    canvas: Size
    adapter_set: int | None


Share = Callable[[Sequence[ModelBatch], Callable[[int], list[Tensor]]], Sequence[Sequence[Tensor]]]
"""(all batches of a step, what evaluates the batch of a number here) -> for each batch the model's
outputs [C, h, w], in order, on the inputs' device."""


class RegionPrompt(NamedTuple):
    """The prompts of a region, and their classifier-free guidance (Ho and Salimans 2021).

    condition, negative_condition    rows of the conditions
    guidance_scale    away from the negative prompt above 1; at 1 and below there is no guidance,
                      and the negative prompt costs nothing
    adapter_set       which set of adapters the model is evaluated with; None: the model as it is
    """

    condition: int
    negative_condition: int
    guidance_scale: float
    adapter_set: int | None = None

    @property
    def guided(self) -> bool:
        return self.guidance_scale > 1


class _Fusion(NamedTuple):
    """How the values of views become one canvas.

    latent_rows    for each view the row of latents that it is of
    shape          [L, C, H, W]
    """

    views: Sequence[View]
    latent_rows: Sequence[int]
    shape: Sequence[int]

    def fused(self, values: Sequence[Tensor]) -> Tensor:
        """Values [C, h, w] of the views -> [L, C, H, W], their weighted least-squares mean."""
        weights = [view.weight for view in self.views]
        windows = [view.window for view in self.views]
        return fuse(
            values, weights, windows, Size(*self.shape[-2:]), self.latent_rows, self.shape[0]
        )

    def pieces(self, whole: Tensor) -> list[Tensor]:
        """What of a canvas [L, C, H, W] lies in each view: [C, h, w]."""
        return [
            crop(whole[row], view.window)
            for row, view in zip(self.latent_rows, self.views, strict=True)
        ]


def _unguided(region_prompts: RegionPrompt) -> RegionPrompt:
    return region_prompts._replace(guidance_scale=min(region_prompts.guidance_scale, 1.0))


def _even(rows: int, most: int) -> int:
    """The size of as few batches as possible: the rows of a small last one are the dearest."""
    return math.ceil(rows / math.ceil(rows / most))


def _in_batches(rows: Sequence[int], most: int) -> list[Sequence[int]]:
    size = _even(len(rows), most)
    return [rows[first : first + size] for first in range(0, len(rows), size)]


class _Row(NamedTuple):
    """One row of a batch: a window of a row of latents, and the condition it is evaluated with.

    alone          the region whose cells alone are shown; None where everything is
    adapter_set    as in `RegionPrompt`
    is_negative    as in `WindowContext`; of no matter to the model without adapters
    """

    window: Window
    latent_row: int
    condition: int
    alone: int | None
    adapter_set: int | None
    is_negative: bool = False


def _is_bootstrapped(row: _Row) -> bool:
    """Whether a row is evaluated in the first steps alone."""
    return row.alone is not None


class _Batch(NamedTuple):
    """The rows to evaluate; for each view its own row, its negative one, and its scale."""

    rows: list[_Row]
    own_rows: list[int]
    negative_rows: list[int]
    scales: list[float]

    def of_views(self, predictions: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Each view's prediction for its own prompt, and for its negative one."""
        own = [predictions[row] for row in self.own_rows]
        return own, [predictions[row] for row in self.negative_rows]


def _plan_rows(
    views: Sequence[View],
    region_prompts: Sequence[RegionPrompt],
    latent_row_of: Sequence[int],
    bootstrapping: Bootstrapping | None,
) -> _Batch:
    index: dict[_Row, int] = {}
    planned = _Batch([], [], [], [])
    for view in views:
        wanted = region_prompts[view.region]
        hidden = bootstrapping is not None and bootstrapping.hides(view.window, view.region)
        alone = view.region if hidden else None
        latent_row = latent_row_of[view.region]
        row = _Row(view.window, latent_row, wanted.condition, alone, wanted.adapter_set)
        own = index.setdefault(row, len(index))
        negative = own
        if wanted.guided:
            away = row._replace(
                condition=wanted.negative_condition, is_negative=row.adapter_set is not None
            )
            negative = index.setdefault(away, len(index))
        planned.own_rows.append(own)
        planned.negative_rows.append(negative)
        planned.scales.append(wanted.guidance_scale if wanted.guided else 1.0)
    planned.rows.extend(index)
    return planned
