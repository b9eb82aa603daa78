"""Coherence: windows side by side keep to the look of one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .layers import Layers
from .levels import SamplingStep
from .windows import Size, Window, add_at, crop, extent, window_weights

_QUANTILES = 32
"""At so many points two distributions are compared."""

_LAST_ROUNDS = 8
"""Rounds at the last step, which decides how the picture looks; one at each step before."""

_FEW_CELLS = 16
"""A region that has less of a window has no look there that could be measured."""

_ALONE = 0.95
"""A cell shows a region's look when this much of it is the region's: what two regions share looks
like neither, and drew one region's material into the other."""

_TOGETHER = 16
"""So many windows are compared at once: one by one, most of the time is not spent with numbers."""

_FADE = 0.25
"""Of a window: how far beyond the reference the pull is less than whole, so that no line shows."""

_PERCEPTUAL_SHARE = 0.2
_PERCEPTUAL_STEP = 20.0
_PERCEPTUAL_DECAY = 0.95
"""SyncDiffusion's own numbers: 10 of 50 steps, and how far they go along the gradient."""


class Coherence:
    """Draws the look of windows side by side towards that of one of them, the reference.

    windows    fixed ones that cover the canvas; those that begin at the same height are a row
    weights    [N, H, W] in 0..1: the regions' shares of each cell; each region is compared with
               nothing but itself, and its reference is where there is enough of it. What is no
               wider than a window is painted as one piece and is left alone
    rows       the row of the latents that each region is painted in; None: there is one
    strength   in 0..1: how much of the way is gone; 0 changes nothing
    anchor     the column of cells where each row has its reference; None: the middle. What is high
               and what is low in a picture differ by nature: rows do not follow each other

    The loss is the sliced Wasserstein distance between the clean latents of a window and those of
    the reference (Heitz et al. 2021): means, covariances, histograms of colour and of what a cell
    holds, whatever its place. Its gradient has a closed form, a transport along each direction, so
    that neither the model nor the autoencoder is asked. SyncDiffusion (Lee et al. 2023) follows a
    perceptual loss through both in the first steps; statistics are decided in the last ones.
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
        blend_weight = _shares(windows, Size(*weights.shape[-2:]), wrap=wrap)
        inner = _erode(weights[wide], wrap=wrap) if wide else ()
        self._looks = [
            replace(look, row=0 if rows is None else rows[region])
            for beside in _rows(windows)
            for region, weight in zip(wide, inner, strict=True)
            if (look := _make_look(beside, weight, column, blend_weight, wrap=wrap)) is not None
        ]

    @property
    def is_needed(self) -> bool:
        """Whether any window follows another: otherwise nothing changes."""
        return self._strength > 0 and any(look.followers for look in self._looks)

    def __call__(self, clean: Tensor, moment: SamplingStep) -> Tensor:
        """The clean estimate [L, C, H, W] with one look, as far as the strength goes."""
        if not self.is_needed:
            return clean
        rounds = _LAST_ROUNDS if moment.index == moment.count - 1 else 1
        self._looks = [look.to(clean.device) for look in self._looks]
        found = clean
        for number in range(rounds):
            basis = _basis(found.shape[1], moment.index + number).to(found)
            turned = torch.einsum("dc,lchw->ldhw", basis, found)
            shifts = self._shifts(turned, rounds)
            found = found + torch.einsum("dc,ldhw->lchw", basis, shifts)
        return torch.lerp(clean, found.to(clean), self._strength)

    def _shifts(self, values: Tensor, rounds: int) -> Tensor:
        """Where each channel of the canvas [L, C, H, W] must go, fused over windows and regions.

        What fades, fades over all the rounds together.
        """
        shifts = torch.zeros_like(values)
        for look in self._looks:
            here = values[look.row]
            wanted = _quantiles(_order(crop(here, look.reference)[None]), look.shares[None])
            for group in look.groups:
                own = _order(torch.stack([crop(here, window) for window in group.windows]))
                found = _quantiles(own, group.shares)
                blend_weight = group.blend_weight * (1 - (1 - group.fade[:, None]) ** (1 / rounds))
                moved = _between(own, found, wanted - found).unflatten(2, blend_weight.shape[1:])
                moved *= blend_weight[:, None]
                for window, values_there in zip(group.windows, moved, strict=True):
                    add_at(shifts[look.row], window, values_there)
        return shifts


class PerceptualCoherence:
    """Draws the clean estimates of windows towards one that looks alike to a trained eye.

    SyncDiffusion (Lee et al. 2023): the gradient of a perceptual distance (LPIPS) between decoded
    windows, in the first steps and less at each. It is taken with respect to the clean estimate,
    through the autoencoder and not through the model, and only where a window and the reference
    show the same region.

    decode     latents [1, C, h, w] -> pixels, with gradient
    distance   (pixels, pixels) -> how unlike they look, with gradient

    windows, weights, strength and anchor as in `Coherence`; weights of the fused canvas. layers: by
    which that is fused from rows of latents; None: there is one.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        weights: Tensor,
        strength: float,
        decode: Callable[[Tensor], Tensor],
        distance: Callable[[Tensor, Tensor], Tensor],
        *,
        layers: Layers | None = None,
        anchor: int | None = None,
        wrap: bool = False,
    ) -> None:
        self._strength = strength
        self._decode = decode
        self._distance = distance
        self._layers = layers
        column = weights.shape[-1] // 2 if anchor is None else anchor
        blend_weight = _shares(windows, Size(*weights.shape[-2:]), wrap=wrap)
        width = weights.shape[-1] if wrap else None
        self._looks = [
            _alike(row, weights.cpu(), _nearest(row, column, width), blend_weight, width)
            for row in _rows(windows)
        ]

    def __call__(self, clean: Tensor, moment: SamplingStep) -> Tensor:
        """The clean estimate [L, C, H, W], moved along the gradient."""
        if self._strength == 0 or moment.index >= _PERCEPTUAL_SHARE * moment.count:
            return clean
        step = self._strength * _PERCEPTUAL_STEP * _PERCEPTUAL_DECAY**moment.index
        whole = clean if self._layers is None else self._layers.fused(clean)
        moves = torch.zeros_like(whole)
        for look in self._looks:
            wanted = self._decode(crop(whole, look.reference)).detach()
            for follower in look.followers:
                gradient = self._gradient(crop(whole, follower.window), wanted)
                blend_weight = (follower.blend_weight * follower.fade).to(clean)
                add_at(moves, follower.window, -step * gradient * blend_weight)
        return clean + moves

    def _gradient(self, latents: Tensor, wanted: Tensor) -> Tensor:
        with torch.enable_grad():
            own = latents.detach().requires_grad_()
            loss = self._distance(self._decode(own), wanted).sum()
            return torch.autograd.grad(loss, own)[0]


@dataclass(frozen=True)
class _Follower:
    """A window that follows a look.

    shares   [h, w]: the region's, of each cell
    says     [h, w]: how much this window decides about each cell
    fade     [w]: 0 in the reference, 1 a little beyond
    """

    window: Window
    shares: Tensor
    blend_weight: Tensor
    fade: Tensor

    def to(self, device: torch.device) -> _Follower:
        """The same on another device."""
        values = (values.to(device) for values in (self.shares, self.blend_weight, self.fade))
        return _Follower(self.window, *values)


@dataclass(frozen=True)
class _Group:
    """Followers that are computed together, their numbers stacked."""

    windows: tuple[Window, ...]
    shares: Tensor
    blend_weight: Tensor
    fade: Tensor


@dataclass(frozen=True)
class _StyleGroup:
    """A region in one row of windows: the window to follow, its shares of it, and who does.

    row: of the latents.
    """

    reference: Window
    shares: Tensor
    followers: tuple[_Follower, ...]
    row: int = 0

    def to(self, device: torch.device) -> _StyleGroup:
        """The same on another device; itself where it is there."""
        if self.shares.device == device:
            return self
        followers = tuple(follower.to(device) for follower in self.followers)
        return _StyleGroup(self.reference, self.shares.to(device), followers, self.row)

    @cached_property
    def groups(self) -> list[_Group]:
        """All followers, a few at a time."""
        parts = (
            self.followers[i : i + _TOGETHER] for i in range(0, len(self.followers), _TOGETHER)
        )
        return [
            _Group(
                tuple(follower.window for follower in part),
                torch.stack([follower.shares for follower in part]),
                torch.stack([follower.blend_weight for follower in part]),
                torch.stack([follower.fade for follower in part]),
            )
            for part in parts
        ]


def _shares(windows: Sequence[Window], canvas: Size, *, wrap: bool) -> dict[Window, Tensor]:
    """What each window has to say at its cells, [h, w] each; over all windows it is 1."""
    weights = window_weights(windows, canvas, wrap=wrap)
    total = torch.zeros(canvas)
    for window, weight in zip(windows, weights, strict=True):
        add_at(total, window, weight)
    return {
        window: weight / crop(total, window)
        for window, weight in zip(windows, weights, strict=True)
    }


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


def _rows(windows: Sequence[Window]) -> list[list[Window]]:
    """Windows that begin at the same height, from the top down."""
    return [list(row) for _, row in groupby(sorted(windows), key=lambda window: window.top)]


def _nearest(windows: Sequence[Window], column: int, width: int | None) -> Window:
    """The window whose middle is nearest to a column."""
    return min(windows, key=lambda w: abs(_beside((w.left + w.right - 1) / 2, column, width)))


def _alike(
    row: Sequence[Window],
    weights: Tensor,
    reference: Window,
    blend_weight: dict[Window, Tensor],
    width: int | None,
) -> _StyleGroup:
    """A row's windows follow its reference where both show the same region at the same place."""
    shown = crop(weights, reference)
    followers = []
    for window in row:
        if window != reference:
            same = torch.minimum(crop(weights, window), shown).sum(dim=0)
            fade = _fade(window, reference, width)
            followers.append(_Follower(window, same, blend_weight[window] * same, fade))
    return _StyleGroup(reference, torch.ones_like(shown[0]), tuple(followers))


def _make_look(
    row: Sequence[Window],
    weight: Tensor,
    column: int,
    blend_weight: dict[Window, Tensor],
    *,
    wrap: bool,
) -> _StyleGroup | None:
    """How a region with these weights [H, W] looks in a row of windows; None where it hardly is."""
    width = weight.shape[-1] if wrap else None
    shares = {window: crop(weight, window) for window in row}
    cells = {window: float(share.sum()) for window, share in shares.items()}
    enough = max(_FEW_CELLS, max(cells.values()) / 2)
    able = [window for window in row if cells[window] >= enough]
    if not able:
        return None
    reference = _nearest(able, column, width)
    followers = tuple(
        _Follower(w, shares[w], blend_weight[w] * shares[w], _fade(w, reference, width))
        for w in row
        if w != reference and cells[w] >= _FEW_CELLS
    )
    return _StyleGroup(reference, shares[reference], followers)


def _fade(window: Window, reference: Window, width: int | None) -> Tensor:
    """For each column of a window, [w]: 0 in the reference, 1 a little beyond."""
    middle, half = (
        (reference.left + reference.right - 1) / 2,
        (reference.right - reference.left) / 2,
    )
    places = range(window.left, window.right)
    outside = torch.tensor([abs(_beside(place, middle, width)) - half + 0.5 for place in places])
    return (outside / (_FADE * 2 * half)).clamp(0, 1)


def _beside(place: float, other: float, width: int | None) -> float:
    """How far a column lies from another, the shorter way around a canvas that wraps."""
    if width is None:
        return place - other
    return (place - other + width / 2) % width - width / 2


def _basis(channels: int, seed: int) -> Tensor:
    """Orthogonal directions [C, C], others for each seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(channels, channels, generator=generator)).Q


class _Ordered(NamedTuple):
    """Each channel of [B, C, h, w] by itself, ascending [B, C, h * w], and where it was."""

    values: Tensor
    places: Tensor


def _order(values: Tensor) -> _Ordered:
    return _Ordered(*values.flatten(2).sort(dim=2))


def _quantiles(own: _Ordered, shares: Tensor) -> Tensor:
    """Of each channel with cells that count [B, h, w]: [B, C, K], ascending."""
    counts = shares.flatten(1)[:, None].expand(own.places.shape)
    below = counts.gather(2, own.places).cumsum(dim=2)
    points = (torch.arange(_QUANTILES, device=below.device) + 0.5) / _QUANTILES
    wanted = points * below[..., -1:]
    found = torch.searchsorted(below, wanted.to(below)).clamp(max=own.values.shape[2] - 1)
    return own.values.gather(2, found)


def _between(own: _Ordered, points: Tensor, results: Tensor) -> Tensor:
    """Results [B, C, K] at ascending points [B, C, K], interpolated to each value: [B, C, h * w].

    Values are looked up in their order, which takes a third of the time, and put back.
    """
    after = torch.searchsorted(points, own.values).clamp(1, points.shape[2] - 1)
    lower, upper = points.gather(2, after - 1), points.gather(2, after)
    along = ((own.values - lower) / (upper - lower).clamp(min=1e-6)).clamp(0, 1)
    found = torch.lerp(results.gather(2, after - 1), results.gather(2, after), along)
    return torch.empty_like(found).scatter_(2, own.places, found)
