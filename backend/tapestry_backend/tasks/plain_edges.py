"""Above a plain sky there is more of it: what a picture that is extended in height preserves."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..engine.composition import PreserveComposition
from ..engine.layers import Layers
from ..engine.windows import Size
from .canvas_source import CanvasSource
from .plan import Plan

_STRIP_CELLS = 2
"""So much of the old picture beside an extended edge says what the new part shows."""

_JUDGED_CELLS = 4
"""Of so many cells beside the edge, and nothing smaller than that, is judged whether it is plain:
stars make no sky less so."""

_PLAIN = 0.2
"""An edge is plain where it varies along itself by less than this share of the picture's variance,
as a sky above a ground does, and no texture: skies of the bundled model's scenes by 0.00 to 0.17,
one of them in six, at night, by up to 0.64; textures by 0.23 and more, but for plain snow."""

_BLOCKS = ((2, 2), (1, 8))
"""What is larger than this many cells down and across is preserved: with 4 x 4, a skyline of small
lights came through; with 2 x 2 alone, the light and dark lines of a second horizon."""

_UNTIL = 2.0
"""Where this ends, as a share of the steps: beyond the last one, at which it is still 7/8. What
is let go in the last quarter, ends as a second beach."""


class PlainEdges(NamedTuple):
    """Where new cells [h, w] preserve the old picture's plain edge, in 0..1, and to which one.

    rows, columns [2]: of the old picture, in cells: its first and the one after its last.
    """

    where: Tensor
    rows: tuple[int, int]
    columns: tuple[int, int]

    def preserve(self, latents: Tensor, layers: Layers) -> list[PreserveComposition]:
        """Steers the canvas towards it; latents [1, C, h, w] of what is known, edges continued."""
        (first, last), columns = self.rows, slice(*self.columns)
        target = latents.clone()
        target[..., :first, :] = _even(latents[..., first : first + _STRIP_CELLS, :], columns)
        target[..., last:, :] = _even(latents[..., last - _STRIP_CELLS : last, :], columns)
        height, width = self.where.shape
        sizes = [
            Size(max(1, round(height / down)), max(1, round(width / across)))
            for down, across in _BLOCKS
        ]
        where = self.where.to(latents)
        return [PreserveComposition(target, size, 0.0, _UNTIL, where, layers) for size in sizes]


def plain_edges(plan: Plan, source: CanvasSource) -> PlainEdges | None:
    """What is preserved above and below the old picture; None where no edge is plain.

    Windows that see nothing but sky paint the whole prompt there, and with it a second skyline.
    Regions say themselves what they show: only the background's cells are steered.
    """
    if plan.request.task != "extend" or source.pixels is None:
        return None
    old, cell = plan.document, plan.cell_px
    first, last = -(-old.top // cell), old.bottom // cell
    strip = _JUDGED_CELLS * cell
    if last - first < _JUDGED_CELLS:
        return None
    where = torch.zeros(source.size)
    picture = _part(source.pixels, old.top, old.bottom, plan)
    above = _part(source.pixels, old.top, old.top + strip, plan)
    below = _part(source.pixels, old.bottom - strip, old.bottom, plan)
    if old.top > plan.output.top and _is_plain(above, picture):
        where[:first] = 1
    if old.bottom < plan.output.bottom and _is_plain(below, picture):
        where[last:] = 1
    where = where * source.new_cells * source.weights[-1]
    columns = -(-old.left // cell), max(old.right // cell, -(-old.left // cell) + 1)
    return PlainEdges(where, (first, last), columns) if bool(where.any()) else None


def _part(pixels: Tensor, top: int, bottom: int, plan: Plan) -> Tensor:
    """Some rows of the old picture: [3, k, W]."""
    rows, columns = slice(top, bottom), slice(plan.document.left, plan.document.right)
    return pixels[0, :, rows, columns]


def _is_plain(strip: Tensor, picture: Tensor) -> bool:
    """Whether a strip [3, k, W] varies little along its rows, beside the picture [3, H, W]."""
    side = strip.shape[1]
    strip, picture = (
        functional.avg_pool2d(each, side, ceil_mode=True) for each in (strip, picture)
    )
    along = (strip - strip.mean(dim=2, keepdim=True)).square().mean()
    return float(along) < _PLAIN * float(picture.var(dim=(1, 2), correction=0).mean())


def _even(strip: Tensor, columns: slice) -> Tensor:
    """What rows [1, C, k, w] show between their stars: [1, C, 1, w].

    The median around each of the old picture's `columns`; beyond them that of all of these.
    """
    old = strip[..., columns]
    side = min(2 * _STRIP_CELLS, (old.shape[-1] - 1) // 2)
    padded = functional.pad(old, (side, side, 0, 0), mode="replicate")
    around = padded.unfold(-1, 2 * side + 1, 1).transpose(2, 3).flatten(3)
    even = old.flatten(2).median(dim=2).values[..., None, None].repeat(1, 1, 1, strip.shape[-1])
    even[..., columns] = around.median(dim=3).values[:, :, None]
    return even
