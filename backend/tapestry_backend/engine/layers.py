"""Layers: latents of its own for each tight region, on its mask and a margin around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

MARGIN = 4
"""Cells around a region's mask that belong to its latents as well.

A stroke thinner than a cell has room there to become what it is called, and the autoencoder, which
mixes neighbouring cells, sees nothing foreign at the outline.
"""

_ROUNDING = 1e-3
"""A row with all of a cell but this counts as its only one."""

_TRACE = 1e-6
"""Shares below this are rounding."""


@dataclass(frozen=True)
class Layers:
    """Rows of latents [L, C, H, W], and which part of the canvas each of them decides.

    rows    the row that each region paints. Regions of one row share its cells by their weights;
            where there is more than one row, row 0 is that of the background
    shares  [L, H, W] in 0..1: how much of each cell of the picture each row is; they sum to 1
    inside  [L, H, W] bool: where a row's latents are its own. Elsewhere it shows the fused canvas
    within  [N, H, W] in 0..1: each region's share of its row; 1 in all wherever the row is `inside`
    """

    rows: tuple[int, ...]
    shares: Tensor
    inside: Tensor
    within: Tensor

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.shares)

    def fused(self, latents: Tensor) -> Tensor:
        """The picture's latents: rows [L, C, H, W] -> [1, C, H, W]."""
        if self.count == 1:
            return latents
        return (latents * self.shares[:, None].to(latents)).sum(dim=0, keepdim=True)

    def spread(self, latents: Tensor) -> Tensor:
        """The same rows [L, C, H, W], each with the fused canvas around what is its own."""
        if self.count == 1:
            return latents
        return torch.where(self.inside[:, None].to(latents.device), latents, self.fused(latents))

    def with_margins(self, *, wrap: bool = False) -> Tensor:
        """[L, H, W] bool: what each row is a part of, and a margin around it."""
        return _grown_shares(self.shares, MARGIN, wrap=wrap)

    def outlines(self, *, wrap: bool = False) -> Tensor:
        """[H, W] bool: cells that several rows have a share of, and their neighbours."""
        shared = (self.shares.amax(dim=0, keepdim=True) < 1 - _ROUNDING).float()
        return dilated(shared, 1, wrap=wrap)[0] > 0

    def reached(self, reach: Tensor) -> Layers:
        """The same where windows reach a region: reach [N, H, W] bool."""
        rows = torch.tensor(self.rows)
        covered = torch.stack([reach[rows == row].any(dim=0) for row in range(self.count)])
        return replace(self, inside=self.inside & covered)

    def to(self, device: torch.device) -> Layers:
        """The same on a device."""
        tensors = (self.shares, self.inside, self.within)
        return Layers(self.rows, *(tensor.to(device) for tensor in tensors))


def make_layers(
    weights: Tensor, alone: Sequence[bool], *, margin: int = MARGIN, wrap: bool = False
) -> Layers:
    """A row for each region that is `alone`, and one for all the others together.

    weights [N, H, W] that sum to 1, the background's as the last, which is never alone.
    """
    rows = _rows(alone)
    if not any(alone):
        inside = torch.ones(1, *weights.shape[-2:], dtype=torch.bool)
        return Layers(rows, torch.ones_like(weights[:1]), inside, weights)
    index = torch.tensor(rows)
    count = max(rows) + 1
    shares = torch.zeros(count, *weights.shape[-2:]).index_add_(0, index, weights)
    inside = _grown_shares(shares, margin, wrap=wrap)
    total = shares[index]
    around = dilated(weights, margin, wrap=wrap)
    around_total = torch.zeros_like(shares).index_add_(0, index, around)[index]
    within = torch.where(
        total > _TRACE, weights / total.clamp(min=_TRACE), around / around_total.clamp(min=_TRACE)
    )
    return Layers(rows, shares, inside, within * inside[index])


def dilated(values: Tensor, cells: int, *, wrap: bool = False) -> Tensor:
    """The largest value within so many cells, [N, H, W] -> the same."""
    if not cells:
        return values
    sides = functional.pad(values[None], (cells, cells, 0, 0), "circular") if wrap else values[None]
    kernel, padding = 2 * cells + 1, (cells, 0 if wrap else cells)
    return functional.max_pool2d(sides, kernel, stride=1, padding=padding)[0]


def continued(latents: Tensor, inside: Tensor, cells: int, *, wrap: bool = False) -> Tensor:
    """What is inside, carried on over its outline: [C, H, W], [H, W] bool -> [C, H, W].

    For margins that no window reached: each cell takes the mean of its neighbours, ring by ring.
    """
    for _ in range(cells):
        known = inside.to(latents)[None, None]
        if bool(inside.all()):
            break
        sums, counts = (
            functional.avg_pool2d(_with_neighbours(values, wrap=wrap), 3, 1)
            for values in (latents[None] * known, known)
        )
        ring = (counts[0, 0] > 0) & ~inside
        latents = torch.where(ring, (sums / counts.clamp(min=_TRACE))[0], latents)
        inside = inside | ring
    return latents


def _with_neighbours(values: Tensor, *, wrap: bool) -> Tensor:
    """[1, C, H, W] and one more cell on each side: 0, or what lies there on a canvas that wraps."""
    sides = functional.pad(values, (1, 1, 0, 0), "circular" if wrap else "constant")
    return functional.pad(sides, (0, 0, 1, 1))


def _grown_shares(shares: Tensor, margin: int, *, wrap: bool) -> Tensor:
    return dilated((shares > _TRACE).float(), margin, wrap=wrap) > 0


def _rows(alone: Sequence[bool]) -> tuple[int, ...]:
    rows, last = [], 0
    for own in alone:
        last += own
        rows.append(last if own else 0)
    return tuple(rows)
