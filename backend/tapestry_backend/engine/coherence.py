"""Coherence: windows side by side take on the look of one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .noise_schedule import SamplingStep
from .style_groups import (
    Follower,
    StyleGroup,
    fade_beyond,
    nearest_window,
    window_rows,
    window_shares,
)
from .windows import Size, Window, add_at, crop, extent

_QUANTILES = 32
"""Quantiles used to compare two distributions."""

_LAST_ROUNDS = 8
"""Rounds at the last step, which decides how the picture looks; one at each step before."""

_FEW_CELLS = 16
"""A region with fewer cells in a window has no look there that could be measured."""

_ALONE = 0.95
"""A cell shows a region's look when this much of it is the region's: what two regions share looks
like neither, and drew one region's material into the other."""


class Coherence:
    """Draws the look of windows side by side towards that of one of them, the reference.

    windows    fixed ones that cover the canvas; those that begin at the same height are a row
    weights    [N, H, W] in 0..1: the regions' shares of each cell; each region is compared with
               nothing but itself, and its reference is where there is enough of it. What is no
               wider than a window is painted as one piece and is left alone
    rows       the row of the latents that each region is painted in; None: there is one
    strength   in 0..1: the share of the way to the reference's look; 0 changes nothing
    anchor     the column of cells where each row has its reference; None: the middle. What is high
               and what is low in a picture differ by nature: rows do not follow each other

    The loss is the sliced Wasserstein distance between the clean latents of a window and those of
    the reference (Heitz et al. 2021): means, covariances, histograms of colour and of what a cell
    holds, whatever its place. Its gradient has a closed form, a transport along each direction, so
    that neither the model nor the autoencoder is evaluated. SyncDiffusion (Lee et al. 2023) follows
    a perceptual loss through both in the first steps; statistics are decided in the last ones.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        weights: Tensor,
        strength: float,
        *,
        rows: Sequence[int] | None = None,
        anchor: int | None = None,
        wrap: bool = False,
    ) -> None:
        self._strength = strength
        column = weights.shape[-1] // 2 if anchor is None else anchor
        weights = weights.cpu() * (weights.cpu() >= _ALONE)
        wide = [n for n, weight in enumerate(weights) if _is_wide(weight, windows, wrap=wrap)]
        blend_weight = window_shares(windows, Size(*weights.shape[-2:]), wrap=wrap)
        inner = _erode(weights[wide], wrap=wrap) if wide else ()
        self._groups = [
            replace(group, row=0 if rows is None else rows[region])
            for beside in window_rows(windows)
            for region, weight in zip(wide, inner, strict=True)
            if (group := _style_of(beside, weight, column, blend_weight, wrap=wrap)) is not None
        ]

    @property
    def is_needed(self) -> bool:
        """Whether any window follows another: otherwise nothing changes."""
        return self._strength > 0 and any(group.followers for group in self._groups)

    def __call__(self, clean: Tensor, step: SamplingStep) -> Tensor:
        """The clean estimate [L, C, H, W] with one look, as far as the strength goes."""
        if not self.is_needed:
            return clean
        rounds = _LAST_ROUNDS if step.step_index == step.num_steps - 1 else 1
        self._groups = [group.to(clean.device) for group in self._groups]
        found = clean
        for number in range(rounds):
            basis = _basis(found.shape[1], step.step_index + number).to(found)
            turned = torch.einsum("dc,lchw->ldhw", basis, found)
            shifts = self._shifts(turned, rounds)
            found = found + torch.einsum("dc,ldhw->lchw", basis, shifts)
        return torch.lerp(clean, found.to(clean), self._strength)

    def _shifts(self, values: Tensor, rounds: int) -> Tensor:
        """Where each channel of the canvas [L, C, H, W] must go, fused over windows and regions.

        A shift that fades does so over all the rounds together.
        """
        shifts = torch.zeros_like(values)
        for group in self._groups:
            latents = values[group.row]
            reference = _sort(crop(latents, group.reference)[None])
            wanted = _quantiles(reference, group.shares[None])
            for batch in group.batches:
                own = _sort(torch.stack([crop(latents, window) for window in batch.windows]))
                found = _quantiles(own, batch.shares)
                strength = batch.blend_weight * (1 - (1 - batch.fade[:, None]) ** (1 / rounds))
                moved = _between(own, found, wanted - found).unflatten(2, strength.shape[1:])
                moved *= strength[:, None]
                for window, values_there in zip(batch.windows, moved, strict=True):
                    add_at(shifts[group.row], window, values_there)
        return shifts


def _is_wide(weight: Tensor, windows: Sequence[Window], *, wrap: bool) -> bool:
    """Whether a region with these weights [H, W] takes more than one window beside each other."""
    columns = (weight > 0).any(dim=0)
    if not bool(columns.any()):
        return False
    start, stop = extent(columns, wrap=wrap)
    return stop - start > max(window.size.width for window in windows)


def _erode(weights: Tensor, *, wrap: bool) -> Tensor:
    """Regions [N, H, W] without the cells at their outlines, which show something of both sides.

    With them, a look depends on how much outline a window has: squares of half a window lost 2 % of
    their adherence, and lose nothing without.
    """
    sides = functional.pad(weights[None], (1, 1, 0, 0), "circular" if wrap else "replicate")
    around = functional.pad(sides, (0, 0, 1, 1), "replicate")
    return -functional.max_pool2d(-around, 3, stride=1)[0]


def _style_of(
    row: Sequence[Window],
    weight: Tensor,
    column: int,
    blend_weight: Mapping[Window, Tensor],
    *,
    wrap: bool,
) -> StyleGroup | None:
    """How a region with these weights [H, W] looks in a row of windows; None where it hardly is."""
    width = weight.shape[-1] if wrap else None
    shares = {window: crop(weight, window) for window in row}
    cells = {window: float(share.sum()) for window, share in shares.items()}
    enough = max(_FEW_CELLS, max(cells.values()) / 2)
    able = [window for window in row if cells[window] >= enough]
    if not able:
        return None
    reference = nearest_window(able, column, width)
    followers = tuple(
        Follower(w, shares[w], blend_weight[w] * shares[w], fade_beyond(w, reference, width))
        for w in row
        if w != reference and cells[w] >= _FEW_CELLS
    )
    return StyleGroup(reference, shares[reference], followers)


def _basis(channels: int, seed: int) -> Tensor:
    """Orthogonal directions [C, C], others for each seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(channels, channels, generator=generator)).Q


class _Sorted(NamedTuple):
    """Each channel of [B, C, h, w] by itself, ascending [B, C, h * w], and where it was."""

    values: Tensor
    places: Tensor


def _sort(values: Tensor) -> _Sorted:
    return _Sorted(*values.flatten(2).sort(dim=2))


def _quantiles(own: _Sorted, shares: Tensor) -> Tensor:
    """Quantiles of each channel, its cells weighted by [B, h, w]: [B, C, K], ascending."""
    counts = shares.flatten(1)[:, None].expand(own.places.shape)
    below = counts.gather(2, own.places).cumsum(dim=2)
    points = (torch.arange(_QUANTILES, device=below.device) + 0.5) / _QUANTILES
    wanted = points * below[..., -1:]
    found = torch.searchsorted(below, wanted.to(below)).clamp(max=own.values.shape[2] - 1)
    return own.values.gather(2, found)


def _between(own: _Sorted, points: Tensor, results: Tensor) -> Tensor:
    """Results [B, C, K] at ascending points [B, C, K], interpolated to each value: [B, C, h * w].

    Values are looked up in their order, which takes a third of the time, and put back.
    """
    after = torch.searchsorted(points, own.values).clamp(1, points.shape[2] - 1)
    lower, upper = points.gather(2, after - 1), points.gather(2, after)
    along = ((own.values - lower) / (upper - lower).clamp(min=1e-6)).clamp(0, 1)
    found = torch.lerp(results.gather(2, after - 1), results.gather(2, after), along)
    return torch.empty_like(found).scatter_(2, own.places, found)
