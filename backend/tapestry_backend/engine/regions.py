"""Regions: painted masks in pixels become weights per latent cell that sum to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .windows import Size


class PaintedMask(NamedTuple):
    """A mask [h, w], float in 0..1 or uint8 in 0..255, and where its corner lies on the canvas.

    The mask may reach beyond the canvas; what lies outside counts nothing.
    """

    top_px: int
    left_px: int
    mask: Tensor


def occlude(masks: Sequence[PaintedMask], canvas: Size, cell_px: int) -> Tensor:
    """Weights of regions where an upper one hides a lower one, as paint does.

    masks topmost first -> [N + 1, H, W] float32 in 0..1, the last one for what no region covers; at
    every cell they sum to 1. Layers are composed at pixel resolution (alpha over) and averaged over
    the area of each cell afterwards, so the sum stays 1 and a thin stroke keeps its area.
    """
    remaining = torch.ones(canvas.height * cell_px, canvas.width * cell_px)
    weights = []
    for painted in masks:
        alpha, rows, columns = _on_canvas(painted, remaining)
        visible = torch.zeros_like(remaining)
        visible[rows, columns] = alpha * remaining[rows, columns]
        remaining[rows, columns] *= 1 - alpha
        weights.append(_to_cells(visible, cell_px))
    weights.append(_to_cells(remaining, cell_px))
    return torch.stack(weights)


def blend(masks: Sequence[PaintedMask], canvas: Size, cell_px: int) -> Tensor:
    """Weights of regions that share where they overlap, as in the MultiDiffusion paper.

    Shapes as in `occlude`; the background takes max(0, 1 - sum of the masks).
    """
    total = torch.zeros(canvas.height * cell_px, canvas.width * cell_px)
    for painted in masks:
        alpha, rows, columns = _on_canvas(painted, total)
        total[rows, columns] += alpha
    share = 1 / total.clamp(min=1)
    weights = []
    for painted in masks:
        alpha, rows, columns = _on_canvas(painted, total)
        visible = torch.zeros_like(total)
        visible[rows, columns] = alpha * share[rows, columns]
        weights.append(_to_cells(visible, cell_px))
    weights.append(_to_cells((1 - total).clamp(min=0), cell_px))
    return torch.stack(weights)


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


def _to_cells(pixels: Tensor, cell_px: int) -> Tensor:
    return functional.avg_pool2d(pixels[None, None], cell_px)[0, 0]
