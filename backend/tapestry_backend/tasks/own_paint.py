"""A region that preserves its own paint: continued over its outline, known in its own latents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.messages import Request

from ..engine.extension import pull_push
from ..engine.layers import MARGIN, Layers
from ..engine.regions import PaintedMask, PixelShare
from ..engine.sampling import Preserved
from ..engine.windows import Size, Window, crop
from ..models.denoiser import Denoiser
from .canvas import painted_colours
from .finite import check_finite
from .plan import Plan

_AROUND_CELLS = MARGIN + 6
"""Paint goes on this far beyond its mask: over the margin, and as far as an encoder sees."""

_SEEN_ALPHA = 8
"""Paint that is less opaque (of 255) is hardly seen, and its colours are rounded: it takes those of
the paint beside it."""


class OwnPaint(NamedTuple):
    """What a region starts from.

    place     the cells of the canvas that `pixels` fill: those of its mask, and some around
    pixels    [1, 3, H, W] in 0..1: its paint, and beyond its outline what goes on from it
    strength  in 0..1 and below 1: how far the region goes from its paint to its prompt
    """

    place: Window
    pixels: Tensor
    strength: float

    @property
    def is_preserved(self) -> bool:
        """Whether the region is its paint, and nothing of it is generated."""
        return self.strength == 0

    @property
    def cell_px(self) -> int:
        """Pixels of a cell's side."""
        return self.pixels.shape[-1] // self.place.size.width

    def part(self, where: Window) -> Tensor:
        """Some of its pixels, [1, 3, h, w]; where: in pixels of the canvas, within its place."""
        down, across = (edge * self.cell_px for edge in (self.place.top, self.place.left))
        return crop(self.pixels, where.moved(-down, -across))

    def scaled(self, before: Size, after: Size) -> OwnPaint:
        """The same on a smaller canvas; sizes in cells."""
        cell, place = self.cell_px, self.place
        around = (place.left, before.width - place.right, place.top, before.height - place.bottom)
        whole = functional.pad(self.pixels, [cells * cell for cells in around], mode="replicate")
        size = tuple(side * cell for side in after)
        pixels = functional.interpolate(whole, size, mode="area")
        return self._replace(place=Window(0, 0, *after), pixels=pixels)


def own_paints(
    request: Request, blobs: Mapping[str, bytes], masks: Sequence[PaintedMask], plan: Plan
) -> tuple[OwnPaint | None, ...]:
    """For each region what it starts from, and None for the background.

    None where that is noise, or the picture of the whole request; and for loose regions, which
    share their latents with the background.
    """
    found = (
        _own_paint(request, blobs, number, mask, plan)
        if request.image is None and region.paint is not None
        else None
        for number, (region, mask) in enumerate(zip(request.regions, masks, strict=True))
    )
    return (*found, None)


def preserved_paint(
    shares: Iterable[PixelShare], paints: Sequence[OwnPaint | None], size_px: Size
) -> Tensor | None:
    """What regions that are preserved make of the picture; None where there are none.

    -> [1, 4, H, W]: their share of each pixel, the last, and colours that are weighted by it.
    """
    if not any(paint is not None and paint.is_preserved for paint in paints):
        return None
    picture = torch.zeros(1, 4, *size_px)
    for share, paint in zip(shares, paints, strict=True):
        if paint is not None and paint.is_preserved:
            height, width = share.values.shape
            there = Window(0, 0, height, width).moved(share.top_px, share.left_px)
            whole = functional.pad(paint.part(there), (0, 0, 0, 0, 0, 1), value=1)
            share.part_of(picture).add_(whole * share.values)
    return picture


def preserved_rows(paints: Sequence[OwnPaint | None], layers: Layers) -> dict[int, OwnPaint]:
    """The rows of latents of regions that are preserved."""
    return {row: paint for row, paint in _rows(paints, layers).items() if paint.is_preserved}


def preserved_in_rows(
    preserved: Preserved, paints: Sequence[OwnPaint | None], layers: Layers, model: Denoiser
) -> Preserved:
    """What each row of latents starts from: its region's own paint, where that has any.

    preserved: what holds for the others, with its `until` for each row.
    """
    rows = _rows(paints, layers)
    if not rows:
        return preserved
    latents = preserved.latents.repeat(layers.count // len(preserved.latents), 1, 1, 1)
    until = preserved.until.clone()
    for row, paint in rows.items():
        encoded = model.encode(paint.pixels * 2 - 1).float()
        check_finite(encoded, "encoding what is there")
        crop(latents[row, None], paint.place).copy_(encoded)
        until[row] = 0
        crop(until[row], paint.place).fill_(1 - paint.strength)
    return Preserved(latents, until)


def _rows(paints: Sequence[OwnPaint | None], layers: Layers) -> dict[int, OwnPaint]:
    return {layers.rows[n]: paint for n, paint in enumerate(paints) if paint is not None}


def _own_paint(
    request: Request, blobs: Mapping[str, bytes], number: int, mask: PaintedMask, plan: Plan
) -> OwnPaint | None:
    region = request.regions[number]
    if region.fit != "tight" or region.strength >= 1 or region.paint is None:
        return None
    colours, alpha = painted_colours(region.paint, region.bounds, blobs, plan)
    place = _around(mask, plan)
    there = Window(*(edge * plan.cell_px for edge in place))
    seen = crop(alpha, there) >= _SEEN_ALPHA
    if not bool(seen.any()):
        return None
    pixels = pull_push(crop(colours, there), seen, wrap=plan.request.wrap)
    return OwnPaint(place, pixels, region.strength)


def _around(mask: PaintedMask, plan: Plan) -> Window:
    """The cells of a mask and those around it; all columns of a canvas that wraps."""
    cell, canvas = plan.cell_px, plan.canvas
    height, width = mask.mask.shape
    return Window(
        max(0, mask.top_px // cell - _AROUND_CELLS),
        0 if plan.request.wrap else max(0, mask.left_px // cell - _AROUND_CELLS),
        min(canvas.height, -(-(mask.top_px + height) // cell) + _AROUND_CELLS),
        canvas.width
        if plan.request.wrap
        else min(canvas.width, -(-(mask.left_px + width) // cell) + _AROUND_CELLS),
    )
