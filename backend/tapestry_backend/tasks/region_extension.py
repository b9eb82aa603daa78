"""How regions continue beyond the edges of a picture that is extended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tapestry_protocol.limits import SPILL_PX
from tapestry_protocol.pixels import COVERED_ALPHA, Bounds

RIM_PX = 2
"""Paint that ends further from an edge ends there; what lies nearer has left a rim of a brush."""


class RegionMask(NamedTuple):
    """A mask uint8 [h, w] that fills `bounds`, in pixels of the canvas."""

    mask: Tensor
    bounds: Bounds


def continue_regions(
    masks: Sequence[RegionMask], old: Bounds, new: Bounds, near_px: int, *, wrap: bool = False
) -> list[RegionMask]:
    """The regions' masks as they are on a canvas that is extended from `old` to `new`.

    A region that reaches an extended edge goes on beyond it as it is there, row by row or column
    by column, to the new edge; as strong as within `near_px` of it, where its rim is soft. Paint
    beyond the edge overrules: its own region ends where it ends, and no other one goes on over it.

    Where the canvas wraps, what is new beside the picture lies between both of its edges, and each
    goes on over half of it.
    """
    if wrap and new.width > old.width:
        turn = (new.width - old.width) // 2 - (old.left - new.left)
        turned = [_turned(each, new, turn) for each in masks]
        extended = continue_regions(turned, old.moved(0, turn), new, near_px)
        return [_turned(each, new, -turn) for each in extended]
    margins = _margins(old, new)
    ends = [{side for side in margins if _ends(each, old, side, margins[side])} for each in masks]
    sides = [
        {side for side in margins if side not in own and _touches(each, old, side)}
        for each, own in zip(masks, ends, strict=True)
    ]
    painted = [each for each, own in zip(masks, ends, strict=True) if own]
    return [
        _continued(each, own, old, new, near_px, painted) if own else each
        for each, own in zip(masks, sides, strict=True)
    ]


def _turned(region: RegionMask, canvas: Bounds, columns: int) -> RegionMask:
    """A region on a canvas that wraps, turned to the right, and as wide as the canvas."""
    bounds = region.bounds
    box = Bounds(bounds.top, canvas.left, bounds.bottom, canvas.right)
    mask = torch.zeros(box.height, box.width, dtype=torch.uint8)
    common = bounds.intersection(box)
    if not common.is_empty:
        _part(mask, box, common).copy_(_part(region.mask, bounds, common))
    return RegionMask(mask.roll(columns, 1), box)


def _margins(old: Bounds, new: Bounds) -> dict[str, int]:
    """Each side that is extended, and by how much."""
    sides = {
        "top": old.top - new.top,
        "left": old.left - new.left,
        "bottom": new.bottom - old.bottom,
        "right": new.right - old.right,
    }
    return {side: px for side, px in sides.items() if px > 0}


def _ends(region: RegionMask, old: Bounds, side: str, margin: int) -> bool:
    """Whether a region's paint beyond an edge was meant to lie there."""
    beyond = _strip(old, side, min(SPILL_PX, margin // 2), None)
    return _has_paint(region, beyond)


def _touches(region: RegionMask, old: Bounds, side: str) -> bool:
    return _has_paint(region, _strip(old, side, -RIM_PX, 0).intersection(old))


def _strip(old: Bounds, side: str, start: int, stop: int | None) -> Bounds:
    """From so many pixels beyond an edge to so many, endless along it; None: without an end."""
    far = max(old.bottom, old.right) + 2**24
    stop = far if stop is None else stop
    return {
        "top": Bounds(old.top - stop, -far, old.top - start, far),
        "left": Bounds(-far, old.left - stop, far, old.left - start),
        "bottom": Bounds(old.bottom + start, -far, old.bottom + stop, far),
        "right": Bounds(-far, old.right + start, far, old.right + stop),
    }[side]


def _has_paint(region: RegionMask, where: Bounds) -> bool:
    part = where.intersection(region.bounds)
    return not part.is_empty and bool(_part(region.mask, region.bounds, part).any())


def _continued(
    region: RegionMask,
    sides: set[str],
    old: Bounds,
    new: Bounds,
    near_px: int,
    painted: Sequence[RegionMask],
) -> RegionMask:
    """A region that goes on at these sides, where none of those painted beyond the edges lies."""
    bounds = region.bounds
    box = Bounds(
        min(bounds.top, new.top) if "top" in sides else bounds.top,
        min(bounds.left, new.left) if "left" in sides else bounds.left,
        max(bounds.bottom, new.bottom) if "bottom" in sides else bounds.bottom,
        max(bounds.right, new.right) if "right" in sides else bounds.right,
    )
    own = torch.zeros(box.height, box.width, dtype=torch.uint8)
    _part(own, box, bounds).copy_(region.mask)
    extended = own.clone()
    inside = old.moved(-box.top, -box.left)
    # Left and right first: the corners then go on as what is above or below them.
    for mask, before, after, start, stop in (
        (extended.T, "left", "right", inside.left, inside.right),
        (extended, "top", "bottom", inside.top, inside.bottom),
    ):
        if before in sides:
            edge = mask[start : start + near_px]
            mask[:start] = mask[:start].maximum(_profile(edge))
        if after in sides:
            edge = mask[max(0, stop - near_px) : stop].flip(0)
            mask[stop:] = mask[stop:].maximum(_profile(edge))
    for other in painted:
        common = other.bounds.intersection(box)
        if not common.is_empty:
            free = 255 - _part(other.mask, other.bounds, common).to(torch.int32)
            part = _part(extended, box, common)
            part.copy_(part.to(torch.int32) * free // 255)
    beyond = torch.ones_like(own, dtype=torch.bool)
    _part(beyond, box, old.intersection(box)).fill_(False)  # noqa: FBT003  a tensor's value
    return RegionMask(torch.where(beyond, extended.maximum(own), own), box)


def _profile(edge: Tensor) -> Tensor:
    """What goes on from the last rows inside an edge [k, w], the outermost first: [w].

    The outermost one as it is; where it is faint, as a brush's soft rim is, the strongest of them.
    What ends before the rim does not go on.
    """
    outermost, rim = edge[0], edge[:RIM_PX].amax(dim=0)
    strongest = torch.where(rim > 0, edge.amax(dim=0), 0)
    return torch.where(outermost >= COVERED_ALPHA, outermost, strongest)


def _part(mask: Tensor, bounds: Bounds, part: Bounds) -> Tensor:
    """A view of the part of a mask that fills `bounds`."""
    inside = part.moved(-bounds.top, -bounds.left)
    return mask[inside.top : inside.bottom, inside.left : inside.right]
