"""Beside the old picture an extension has its colours: what is new takes no other hue there."""

from __future__ import annotations

import torch
from torch import Tensor

from ..engine.composition import PreserveComposition
from ..engine.extension import continue_edges
from ..engine.layers import Layers, dilated
from ..engine.windows import Size
from .canvas_source import CanvasSource
from .plan import Plan

_REACH_CELLS = 12
"""So far from the old picture its colours are preserved, the less the further."""

_BLOCK = 4
"""What is larger than so many cells each way is preserved: colour, and nothing of the drawing.
Cells that follow the whole edge for longer instead (`FOLLOW_NEAR` 0.5) lose every third star."""

_UNTIL = 2.0
"""Where this ends, as a share of the steps: beyond the last one, at which it is still 7/8."""


def preserve_edge_colours(
    plan: Plan, source: CanvasSource, latents: Tensor, layers: Layers, free: Tensor
) -> list[PreserveComposition]:
    """Steers what is new beside the old picture towards its colours; nothing but an extension.

    latents    [1, C, h, w] of what is known, its edges continued
    free       [h, w] of 0 and 1: the cells that nothing else steers
    """
    if plan.request.task != "extend":
        return []
    where = edge_cells(source) * free
    if not bool(where.any()):
        return []
    size = Size(*(max(1, round(side / _BLOCK)) for side in source.size))
    return [PreserveComposition(latents, size, 0.0, _UNTIL, where.to(latents), layers)]


def edge_cells(source: CanvasSource) -> Tensor:
    """[h, w] in 0..1: new cells beside known ones, where the region goes on that is there."""
    known = source.preserve_cells_until >= 1
    if not bool(known.any()) or bool(known.all()):
        return torch.zeros(source.size)
    reached, near = known.float()[None], torch.zeros(source.size)
    for _ in range(_REACH_CELLS):
        reached = dilated(reached, 1, wrap=source.wrap)
        near += reached[0] / _REACH_CELLS
    beside = continue_edges(source.weights[None], known, wrap=source.wrap)[0]
    return near * ~known * (source.weights * beside).sum(dim=0)
