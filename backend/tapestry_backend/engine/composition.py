"""Composition beyond the model's size: a small draft of the whole decides what is large."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .layers import Layers
from .noise_schedule import SamplingStep
from .windows import Size

DRAFT_SIGNALS = (0.5, 2.0)
"""At full composition: the canvas begins where the draft has the first share of the variance of
what the model sees, and what is large keeps to it until the second
(`noise_schedule.share_until`): with half of it to the end. Keeping to what is large costs no
detail, beginning late does."""

STRUCTURED = 0.25
"""A draft with less `structure` than this shows a texture: there is nothing to compose, and windows
alone paint it in its own size."""

_LARGE_AREAS = (3, 4)
"""A picture is cut into so many areas each way to see what is large in it."""

_PLAIN = 1e-5
"""A variance below a step of 8-bit colours: a picture of one colour."""

_ALONE = 1 - 1e-4
"""The share of a draft's cell that a region must have to be alone there."""

_HIGHER = 1.25
"""A canvas this many windows high shows one scene above another without a draft."""


def draft_size(canvas: Size, window: Size) -> Size | None:
    """The size of a draft in the canvas' proportions and of a window's area, in cells.

    None for a canvas that is hardly higher than a window: windows side by side make one scene by
    themselves, and a draft would only take detail from them.
    """
    if canvas.height <= _HIGHER * window.height:
        return None
    scale = math.sqrt(window.height * window.width) / math.sqrt(canvas.height * canvas.width)
    return Size(max(1, round(canvas.height * scale)), max(1, round(canvas.width * scale)))


def drawable(weights: Tensor, draft: Size) -> Tensor:
    """What a draft is made of: weights [N, H, W] that sum to 1 -> [N, h, w] that sum to 1.

    A region that has no core there, such as a long stroke, would spread and change what is around
    it: its cells are the others'. The background, the last, always stays.
    """
    shares = functional.adaptive_avg_pool2d(weights[None], (draft.height, draft.width))[0]
    stays = _cores(shares).amax(dim=(1, 2))
    stays[-1] = 1
    shares = shares * stays[:, None, None]
    total = shares.sum(dim=0)
    bare = (total < 1 - _ALONE).float()
    shares[-1] += bare
    return shares / (total + bare)


def composed(weights: Tensor, window: int, draft: Size) -> Tensor:
    """Which cells a draft decides about, for each region: weights [N, H, W] -> [N, H, W].

    Regions that are higher than a window, as most backgrounds are: what an artist painted smaller
    has its place already, and a draft would show it too small to be drawn. And of these, what lies
    well inside: a draft's outlines are a cell of it off, which is several of the canvas.
    """
    rows = (weights > 0).any(dim=2)
    high = torch.tensor([_span(occupied) > _HIGHER * window for occupied in rows])
    shares = functional.adaptive_avg_pool2d(weights[None], (draft.height, draft.width))[0]
    cores = functional.interpolate(_cores(shares)[None], weights.shape[-2:])[0]
    return weights * high[:, None, None] * cores


def structured(pixels: Tensor, weights: Tensor) -> Tensor:
    """Where a draft shows a scene: [H, W] in 0..1, of the cells it decides about [N, H, W].

    pixels [1, 3, H', W'] in 0..1: the draft, enlarged. Each region is looked at for itself: that
    two of them differ in colour is no composition.
    """
    cell_px = pixels.shape[-1] // weights.shape[-1]
    per_pixel = weights.repeat_interleave(cell_px, dim=1).repeat_interleave(cell_px, dim=2)
    scenes = [structure(pixels, where) >= STRUCTURED for where in per_pixel]
    return (weights * torch.tensor(scenes)[:, None, None]).sum(dim=0)


def structure(pixels: Tensor, where: Tensor) -> float:
    """How much of a picture's variation lies in what is large: 0..1.

    pixels [1, 3, H, W], where [H, W] in 0..1: which of them count. The variance between the means
    of a few large areas over that of all pixels: near 0 for a texture, a third and more for a scene
    with a sky and a ground.
    """
    mean = _mean(pixels, where)
    total = float(_mean((pixels - mean) ** 2, where).sum())
    if total < _PLAIN:
        return 0.0
    shares = []
    for areas in _LARGE_AREAS:
        weight = functional.adaptive_avg_pool2d(where[None, None], areas)
        sums = functional.adaptive_avg_pool2d(pixels * where, areas)
        between = (sums / weight.clamp(min=1e-6) - mean) ** 2
        shares.append(float(_mean(between, weight[0, 0]).sum()) / total)
    return max(shares)


class PreserveComposition:
    """Preserves what is large in a draft, for the first part of the steps.

    latents       [1, C, H, W]: the draft, enlarged to the canvas and encoded
    size          the draft's own, in cells: what is smaller than its cells stays free
    start, end    shares of the steps: the weight is 1 at `start` and falls to nothing at `end`,
                  slowly first
    where         [H, W] in 0..1: how much of each cell is preserved
    layers        by which the canvas is fused from its rows of latents; None: there is one

    The weight falls like the skip residual of DemoFusion (Du et al. 2024), but on the clean
    estimate and on its low frequencies alone, so that nothing of the enlarged draft's blur remains.
    """

    def __init__(
        self,
        latents: Tensor,
        size: Size,
        start: float,
        end: float,
        where: Tensor,
        layers: Layers | None = None,
    ) -> None:
        self._size = size
        self._low = area_mean(latents, self._size)
        self._start = start
        self._length = end - start
        self._where = where
        self._layers = layers

    def __call__(self, clean: Tensor, step: SamplingStep) -> Tensor:
        """The clean estimate [L, C, H, W], its low frequencies drawn towards the draft's."""
        since = max(step.step_index / step.num_steps - self._start, 0.0)
        if since >= self._length:
            return clean
        weight = 1 - (since / self._length) ** 3
        whole = clean if self._layers is None else self._layers.fused(clean)
        missing = self._low - area_mean(whole, self._size)
        return clean + weight * self._where * _enlarged(missing, clean.shape[-2:])


def area_mean(values: Tensor, size: Size) -> Tensor:
    """Values [B, C, H, W] averaged over the area of each cell of a canvas of this size.

    What adaptive pooling computes; on Apple's GPUs that takes no sizes that do not divide, and the
    two axes, which are independent of each other, are averaged by a matrix each.
    """
    sides = values.shape[-2:]
    if all(side % wanted == 0 for side, wanted in zip(sides, size, strict=True)):
        return functional.adaptive_avg_pool2d(values, (size[0], size[1]))
    down, across = (
        _averages(side, wanted).to(values) for side, wanted in zip(sides, size, strict=True)
    )
    return down @ values @ across.T


def _averages(side: int, wanted: int) -> Tensor:
    """A matrix [wanted, side] each of whose rows averages the cells of one of `wanted` areas."""
    rows = torch.zeros(wanted, side)
    for row in range(wanted):
        first, last = row * side // wanted, -(-(row + 1) * side // wanted)
        rows[row, first:last] = 1 / (last - first)
    return rows


def _cores(shares: Tensor) -> Tensor:
    """Cells of a draft in which, and beside which, is one region alone: [N, h, w] of 0 and 1."""
    others = (shares < _ALONE).float()
    return 1 - functional.max_pool2d(others[None], 3, stride=1, padding=1)[0]


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """[1, C, 1, 1]: the mean of [1, C, H, W], weighted."""
    total = (values * weight).sum(dim=(2, 3), keepdim=True)
    return total / weight.sum().clamp(min=1e-6)


def _span(occupied: Tensor) -> int:
    """From the first to the last True of [L]."""
    places = torch.nonzero(occupied).flatten()
    return int(places[-1] - places[0]) + 1 if len(places) else 0


def _enlarged(values: Tensor, size: torch.Size) -> Tensor:
    return functional.interpolate(values, size, mode="bilinear", align_corners=False)
