"""Regions: painted masks in pixels become weights per latent cell that sum to one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .windows import Size

THIN = 0.5
"""What a region's strongest cell counts at least: a stroke thinner than a cell must still show."""

_TRACE = 1e-6
"""Less than a 64th of 1/255 of a cell: rounding, and no paint."""


class PaintedMask(NamedTuple):
    """A mask [h, w], float in 0..1 or uint8 in 0..255, and where its corner lies on the canvas.

    The mask may reach beyond the canvas; what lies outside counts nothing.
    """

    top_px: int
    left_px: int
    mask: Tensor


class PixelShare(NamedTuple):
    """How much of each pixel a region is, [h, w] float32 in 0..1, from a corner on the canvas."""

    top_px: int
    left_px: int
    values: Tensor

    def part_of(self, canvas: Tensor) -> Tensor:
        """The same part of a canvas [..., H, W]: a view of it."""
        height, width = self.values.shape
        return canvas[..., self.top_px : self.top_px + height, self.left_px : self.left_px + width]


def occluded(masks: Sequence[PaintedMask], size_px: Size) -> Iterator[PixelShare]:
    """Regions where an upper one hides a lower one, as paint does: alpha over."""
    remaining = torch.ones(size_px)
    for painted in masks:
        alpha, rows, columns = _on_canvas(painted, remaining)
        yield PixelShare(rows.start, columns.start, alpha * remaining[rows, columns])
        remaining[rows, columns] *= 1 - alpha
    yield PixelShare(0, 0, remaining)


def blended(masks: Sequence[PaintedMask], size_px: Size) -> Iterator[PixelShare]:
    """Regions that share where they overlap, as in the MultiDiffusion paper.

    The background takes max(0, 1 - sum of the masks).
    """
    total = torch.zeros(size_px)
    for painted in masks:
        alpha, rows, columns = _on_canvas(painted, total)
        total[rows, columns] += alpha
    share = 1 / total.clamp(min=1)
    for painted in masks:
        alpha, rows, columns = _on_canvas(painted, total)
        yield PixelShare(rows.start, columns.start, alpha * share[rows, columns])
    yield PixelShare(0, 0, (1 - total).clamp(min=0))


def occlude(masks: Sequence[PaintedMask], canvas: Size, cell_px: int) -> Tensor:
    """Weights of regions where an upper one hides a lower one, as paint does.

    masks topmost first -> [N + 1, H, W] float32 in 0..1, the last one for what no region covers; at
    every cell they sum to 1. Layers are composed at pixel resolution (alpha over) and averaged over
    the area of each cell afterwards, so the sum stays 1 and a thin stroke keeps its area.
    """
    return _weights(occluded(masks, _size_px(canvas, cell_px)), canvas, cell_px)


def blend(masks: Sequence[PaintedMask], canvas: Size, cell_px: int) -> Tensor:
    """Weights of regions that share where they overlap; shapes as in `occlude`."""
    return _weights(blended(masks, _size_px(canvas, cell_px)), canvas, cell_px)


def row_shares(
    shares: Iterable[PixelShare], rows: Sequence[int], importance: Sequence[float], size_px: Size
) -> list[PixelShare]:
    """How much of each pixel each row of latents but the first is; the first is the rest.

    shares, importance (as in `weigh`): of each region, the background's as the last. rows: the row
    that each of them is painted in.
    """
    own: list[PixelShare] = []
    total = torch.zeros(size_px)
    for share, row, weight in zip(shares, rows, importance, strict=True):
        values = share.values * weight
        share.part_of(total).add_(values)
        if row:
            own.append(share._replace(values=values))
    if all(weight == 1 for weight in importance):
        return own
    return [share._replace(values=share.values / share.part_of(total)) for share in own]


def feather(painted: PaintedMask, radius_px: int) -> PaintedMask:
    """The mask with a soft outline: half of the softness inside, half outside.

    Two box blurs, so that the outline falls smoothly over 2 * radius_px; beyond the mask's own
    rectangle there is nothing of the region.
    """
    if radius_px < 1:
        return painted
    mask = painted.mask.float() / 255 if painted.mask.dtype == torch.uint8 else painted.mask.float()
    soft = functional.pad(mask[None, None], (radius_px,) * 4)
    side = radius_px | 1
    for _ in range(2):
        soft = _box_blur(soft, side)
    return PaintedMask(painted.top_px - radius_px, painted.left_px - radius_px, soft[0, 0])


def lift_thin(weights: Tensor) -> Tensor:
    """Let what is thinner than a cell show: [N + 1, H, W] summing to 1 -> the same.

    A region whose strongest cell counts less than `THIN` is strengthened as a whole until it counts
    that much; the others share the rest of those cells as before. The background, which is the
    last, is never lifted.
    """
    peaks = weights[:-1].amax(dim=(1, 2))
    factors = torch.where(peaks > _TRACE, (THIN / peaks.clamp(min=_TRACE)).clamp(min=1), 1)
    if bool((factors == 1).all()):
        return weights
    lifted = weights.clone()
    lifted[:-1] *= factors[:, None, None]
    thin = torch.cat([factors > 1, torch.tensor([False])])
    # Two thin regions on one cell may want more than there is.
    lifted[thin] /= lifted[thin].sum(dim=0).clamp(min=1)
    rest = (1 - lifted[thin].sum(dim=0)) / weights[~thin].sum(dim=0).clamp(min=_TRACE)
    lifted[~thin] = weights[~thin] * rest
    return lifted / lifted.sum(dim=0)


def weigh(weights: Tensor, importance: Sequence[float]) -> Tensor:
    """Raise or lower the weights of regions where they share cells: [N + 1, H, W], sum 1 -> same.

    importance: one positive number for each region; the background's is 1.
    """
    if all(value == 1 for value in importance):
        return weights
    scaled = weights * torch.tensor([*importance, 1.0])[:, None, None]
    return scaled / scaled.sum(dim=0)


def owners(weights: Tensor) -> Tensor:
    """The region that owns each cell: weights [N + 1, H, W] -> bool, one True per cell.

    It is the one with the largest weight there. A region that has the largest weight nowhere owns
    the cell in which its own weight is largest, so that every region with some weight owns a cell.
    """
    strongest = weights.argmax(dim=0)
    for region in range(weights.shape[0] - 1):
        weight = weights[region]
        if float(weight.max()) > _TRACE and not bool((strongest == region).any()):
            row, column = divmod(int(weight.argmax()), weight.shape[1])
            strongest[row, column] = region
    numbers = torch.arange(weights.shape[0])[:, None, None]
    return strongest[None] == numbers


def _on_canvas(painted: PaintedMask, canvas: Tensor) -> tuple[Tensor, slice, slice]:
    """The part of a mask on the canvas [H, W], as float, and the rows and columns it takes."""
    height, width = painted.mask.shape
    top, left = max(0, painted.top_px), max(0, painted.left_px)
    bottom = max(top, min(canvas.shape[0], painted.top_px + height))
    right = max(left, min(canvas.shape[1], painted.left_px + width))
    inside = painted.mask[
        top - painted.top_px : bottom - painted.top_px,
        left - painted.left_px : right - painted.left_px,
    ]
    alpha = inside.float() / 255 if inside.dtype == torch.uint8 else inside.float()
    return alpha, slice(top, bottom), slice(left, right)


def _size_px(canvas: Size, cell_px: int) -> Size:
    return Size(canvas.height * cell_px, canvas.width * cell_px)


def _weights(shares: Iterable[PixelShare], canvas: Size, cell_px: int) -> Tensor:
    weights = []
    for share in shares:
        whole = torch.zeros(_size_px(canvas, cell_px))
        share.part_of(whole).copy_(share.values)
        weights.append(functional.avg_pool2d(whole[None, None], cell_px)[0, 0])
    return torch.stack(weights)


def _box_blur(values: Tensor, side: int) -> Tensor:
    """Means over squares of an odd side, [1, 1, H, W] -> the same, nothing beyond the borders."""
    for kernel in ((side, 1), (1, side)):
        padding = (kernel[0] // 2, kernel[1] // 2)
        values = functional.avg_pool2d(values, kernel, stride=1, padding=padding)
    return values
