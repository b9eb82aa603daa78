"""A finished picture taken apart: the own picture of each tight region, and what of it shows.

Laid over each other as paint is, the layers look like the picture. Each goes on by a margin beyond
what shows of it, so that its outline can be painted anew afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tapestry_protocol.pixels import Bounds, Pixels

from ..engine.layers import Layers, dilated
from ..engine.regions import PaintedMask, PixelShare, occluded
from ..engine.windows import Size, Window, crop, extent
from ..models.denoiser import Denoiser
from .decoding import (
    BESIDE_CELLS,
    NOTHING,
    in_pixels,
    own_pictures,
)
from .events import LayeredPicture, RegionPicture
from .own_paint import OwnPaint
from .plan import Plan

_WHOLE = 1 - 1e-3
"""A cell that belongs to one layer alone, but for rounding."""


@dataclass(frozen=True)
class Leaf:
    """A layer of the picture.

    region    its number in the request
    bounds    in pixels of the canvas: all of its mask that is part of the picture, and its margin
    mask      [h, w] float32 in 0..1: how much of it shows, over all that lies below
    colours   [3, h, w] uint8
    opaque    [h, w] bool: where its latents are its own
    """

    region: int
    bounds: Bounds
    mask: Tensor
    colours: Tensor
    opaque: Tensor


def leaves_of(
    layers: Layers, shares: Sequence[PixelShare], masks: Sequence[PaintedMask], plan: Plan
) -> list[Leaf]:
    """The layers above the base, topmost first, without colours.

    shares: how much of each pixel of the canvas each layer but the first is. masks: of the regions.
    """
    own = layers.with_margins(wrap=plan.request.wrap).cpu()
    above = torch.zeros(plan.canvas.height * plan.cell_px, plan.canvas.width * plan.cell_px)
    leaves = []
    for row, share in enumerate(shares, start=1):
        region = layers.rows.index(row)
        shown = _shown(share, masks[region], above)
        opaque = _in_pixels(own[row], plan.cell_px)
        bounds = _around(opaque | (shown > 0), plan.output)
        if bounds is not None:
            colours = torch.zeros(3, bounds.height, bounds.width, dtype=torch.uint8)
            cut = _part(shown, bounds), colours, _part(opaque, bounds)
            leaves.append(Leaf(region, bounds, *cut))
    return leaves


def size_bytes(leaves: Sequence[Leaf], plan: Plan) -> int:
    """What the pictures and masks of these layers, and the base, have together."""
    area = sum(leaf.bounds.height * leaf.bounds.width for leaf in leaves)
    return 5 * area + 4 * plan.output.height * plan.output.width


class Colours:
    """The colours of layers, and of the base below them.

    pixels    [1, 3, H, W] in 0..1, on the CPU: what the fused latents were decoded to, before
              outlines were drawn; it stays where it is not `new` [H, W] bool
    base      [3, H, W] uint8: that of the lowest layer
    """

    def __init__(
        self, leaves: Sequence[Leaf], layers: Layers, pixels: Tensor, new: Tensor, *, wrap: bool
    ) -> None:
        self._layers, self._pixels, self._new, self._wrap = layers, pixels, new, wrap
        self._opaque = layers.with_margins(wrap=wrap).cpu()
        self._cell_px = pixels.shape[-1] // self._opaque.shape[-1]
        self.base = _bytes(pixels[0])
        for leaf in leaves:
            leaf.colours.copy_(_part(self.base, leaf.bounds))
        self._targets = {layers.rows[leaf.region]: (leaf.colours, leaf.bounds) for leaf in leaves}
        self._targets[0] = self.base, Bounds(0, 0, *self.base.shape[-2:])

    def decode(self, model: Denoiser, latents: Tensor, preserved: Mapping[int, OwnPaint]) -> None:
        """Take the colours beside outlines from each layer's own latents [L, C, h, w].

        preserved: rows that are their paint.
        """
        layers, wrap = self._layers, self._wrap
        near = dilated((layers.shares.cpu() < _WHOLE).float(), BESIDE_CELLS, wrap=wrap) > 0
        is_asked = torch.tensor([row in self._targets for row in range(layers.count)])
        needed = self._opaque & near & is_asked[:, None, None]
        args = model, latents, layers, self._pixels, needed
        matched = not bool(self._new.all())
        for own in own_pictures(*args, wrap=wrap, matched=matched, preserved=preserved):
            self.take(own.row, own.cells, own.painted)

    def take(self, row: int, cells: Window, painted: Tensor) -> None:
        """Some cells of a row of latents as pixels [1, 3, H, W] in 0..1."""
        if row not in self._targets:
            return
        there = in_pixels(cells, self._cell_px)
        own = _in_pixels(crop(self._opaque[row], cells), self._cell_px)
        where = own & crop(self._new, there)
        colours, bounds = self._targets[row]
        _paste(colours, bounds, _bytes(painted[0]), Bounds(*there), where)


def to_layers(
    leaves: Sequence[Leaf], base: Tensor, flat: Tensor, alpha: Tensor | None, plan: Plan
) -> LayeredPicture:
    """The layers as bytes, cut to what is the picture.

    flat [1, 3, H, W] in 0..1: the picture as a whole. alpha [H, W] in 0..1: how much of each pixel
    is new; None: all of it. Where a part of it shows what is there already, the base has all of it,
    because no layers over each other are as transparent as one.
    """
    whole = plan.output
    shown = torch.full(flat.shape[-2:], 255, dtype=torch.uint8) if alpha is None else _bytes(alpha)
    soft = (shown > 0) & (shown < 255)
    lowest = _rgba(torch.where(soft, _bytes(flat[0]), base), shown)
    down, right = plan.origin_px
    pictures = []
    for leaf in leaves:
        opaque = leaf.opaque & (_part(shown, leaf.bounds) == 255)
        rgba = _rgba(leaf.colours, opaque.to(torch.uint8) * 255)
        place = leaf.bounds.moved(-down, -right)
        mask = _pixels(_bytes(leaf.mask)[None])
        pictures.append(RegionPicture(leaf.region, place, _pixels(rgba), mask))
    return LayeredPicture(_pixels(_part(lowest, whole)), tuple(pictures))


def _shown(share: PixelShare, painted: PaintedMask, above: Tensor) -> Tensor:
    """How opaque a layer is, [H, W]; `above`, the sum of the shares above it, takes its own.

    As it was painted, also where upper layers hide it, unless its weight, or a loose region, is to
    be reckoned with.
    """
    own = next(occluded([painted], Size(*above.shape)))
    rest = 1 - share.part_of(above)
    seen = share.values / rest.clamp(min=NOTHING)
    whole = torch.zeros_like(above)
    share.part_of(whole).copy_(torch.where(rest > NOTHING, seen, own.values).clamp(0, 1))
    share.part_of(above).add_(share.values)
    return whole


def _in_pixels(cells: Tensor, cell_px: int) -> Tensor:
    return cells.repeat_interleave(cell_px, dim=-2).repeat_interleave(cell_px, dim=-1)


def _around(wanted: Tensor, within: Bounds) -> Bounds | None:
    """The smallest rectangle of a canvas around what is True; None where there is nothing."""
    inside = _part(wanted, within)
    if not bool(inside.any()):
        return None
    rows, columns = extent(inside.any(dim=1)), extent(inside.any(dim=0))
    return Bounds(rows[0], columns[0], rows[1], columns[1]).moved(within.top, within.left)


def _part(canvas: Tensor, bounds: Bounds) -> Tensor:
    return canvas[..., bounds.top : bounds.bottom, bounds.left : bounds.right]


def _paste(colours: Tensor, bounds: Bounds, painted: Tensor, there: Bounds, where: Tensor) -> None:
    """Write the part `there` of the canvas into colours that fill the bounds."""
    common = bounds.intersection(there)
    if not common.is_empty:
        target = _part(colours, common.moved(-bounds.top, -bounds.left))
        inside = common.moved(-there.top, -there.left)
        target.copy_(torch.where(_part(where, inside), _part(painted, inside), target))


def _bytes(values: Tensor) -> Tensor:
    return (values * 255).round().clamp(0, 255).to(torch.uint8)


def _rgba(colours: Tensor, alpha: Tensor) -> Tensor:
    """[4, H, W] uint8; black where nothing is."""
    return torch.cat([colours * (alpha > 0), alpha[None]])


def _pixels(channels: Tensor) -> Pixels:
    """[C, H, W] uint8 as raw pixels."""
    count, height, width = channels.shape
    return Pixels(height, width, count, channels.permute(1, 2, 0).contiguous().numpy().tobytes())
