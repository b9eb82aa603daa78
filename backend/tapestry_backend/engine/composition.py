"""Composition beyond the model's size: a small draft of the whole decides what is large."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from .levels import Moment
from .windows import Size

DRAFT_SIGNALS = (0.5, 2.0)
"""At full composition: the canvas begins where the draft has the first share of the variance of
what the model sees, and what is large keeps to it until the second (`levels.share_until`): with
half of it to the end. Keeping to what is large costs no detail, beginning late does."""

STRUCTURED = 0.25
"""A draft with less `structure` than this shows a texture: there is nothing to compose, and windows
alone paint it in its own size."""

_LARGE_AREAS = (3, 4)
"""A picture is cut into so many areas each way to see what is large in it."""

_PLAIN = 1e-5
"""A variance below a step of 8-bit colours: a picture of one colour."""

_HIGHER = 1.25
"""A canvas this many windows high shows one scene above another without a draft."""


def draft_size(canvas: Size, window: int) -> Size | None:
    """The size of a draft in the canvas' proportions and of the model's own area, in cells.

    None for a canvas that is hardly higher than a window: windows side by side make one scene by
    themselves, and a draft would only take detail from them.
    """
    if canvas.height <= _HIGHER * window:
        return None
    scale = window / math.sqrt(canvas.height * canvas.width)
    return Size(max(1, round(canvas.height * scale)), max(1, round(canvas.width * scale)))


def composed(weights: Tensor, window: int) -> Tensor:
    """Which cells a draft decides about: [H, W] in 0..1, from weights [N, H, W].

    Those of regions that are higher than a window themselves, as most backgrounds are. What an
    artist painted smaller has its place already, and a draft would show it too small to be drawn.
    """
    rows = (weights > 0).any(dim=2)
    high = torch.tensor([_span(occupied) > _HIGHER * window for occupied in rows])
    return (weights * high[:, None, None]).sum(dim=0)


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


class HoldComposition:
    """Keeps what is large in the canvas as it is in a draft, for the first part of the steps.

    latents [1, C, H, W]: the draft, enlarged to the canvas and encoded; size: the draft's own, in
    cells: what is smaller than its cells stays free. where [H, W] in 0..1: how much of each cell is
    held. The hold is whole at `start`, a share of the steps, and falls to nothing at `end`, slowly
    first (like the skip residual of DemoFusion, Du et al. 2024, but on the clean estimate and on
    its low frequencies alone, so that nothing of the enlarged draft's blur remains).
    """

    def __init__(
        self, latents: Tensor, size: Size, start: float, end: float, where: Tensor
    ) -> None:
        self._size = tuple(size)
        self._low = functional.adaptive_avg_pool2d(latents, self._size)
        self._start = start
        self._length = end - start
        self._where = where

    def __call__(self, clean: Tensor, moment: Moment) -> Tensor:
        """The clean estimate [1, C, H, W], its low frequencies drawn towards the draft's."""
        since = max(moment.index / moment.count - self._start, 0.0)
        if since >= self._length:
            return clean
        hold = 1 - (since / self._length) ** 3
        missing = self._low - functional.adaptive_avg_pool2d(clean, self._size)
        return clean + hold * self._where * _enlarged(missing, clean.shape[-2:])


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
