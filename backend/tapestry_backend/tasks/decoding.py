"""From finished latents to the canvas's pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..engine.extension import find_border, match_colours, same_content, turn_to_middle
from ..engine.layers import MARGIN, Layers, continued, dilated
from ..engine.regions import PixelShare
from ..engine.windows import Size, Window, crop, extent, native_window, paste
from ..models.denoiser import Denoiser
from .canvas_source import CanvasSource
from .finite import check_finite
from .own_paint import OwnPaint

_HALO_CELLS = 6
"""Cells decoded beyond the edges, as far as an autoencoder's convolutions reach noticeably.

What lies further off moves no pixel by more than 0.1 of 255 levels (4 cells: by up to 1.4)."""

LESSER_HALO_CELLS = 4
"""The same where a difference of two pictures is decoded, so that most of the error is in both."""

BESIDE_CELLS = 4
"""Cells further from an outline than this look the same whichever latents lie beyond it."""

NOTHING = 1 / 512
"""Half a level of 8-bit opacity."""


def decode_canvas(
    model: Denoiser, latents: Tensor, *, wrap: bool, continued: bool = False
) -> Tensor:
    """Latents [1, C, h, w] -> pixels [1, 3, H, W] in 0..1, float32; seamless where it wraps.

    The canvas goes on beyond its edges first, because an autoencoder's convolutions see zeros there
    and paint a frame: change at the outermost pixels was twice to six times the mean of the
    picture, and would stand as a line in every extension of it. One window of a model whose decoder
    has norms is decoded as it is, unless it shall be `continued`: what is added beyond its edges
    would count in their statistics. So it is the very picture of the model's own pipeline.
    """
    stage = "decoding the draft" if continued else "decoding"
    if _is_decoded_plainly(model, latents, wrap=wrap) and not continued:
        return _to_unit(model.decode(latents), stage)
    return _to_unit(decode_part(model, latents, _whole(latents), wrap=wrap), stage)


def decode_cells(
    model: Denoiser, latents: Tensor, part: Window, *, wrap: bool, halo: int | None = None
) -> Tensor:
    """Some cells of latents [1, C, h, w], as `decode_canvas` shows them, on the CPU."""
    if _is_decoded_plainly(model, latents, wrap=wrap):
        whole = decode_canvas(model, latents, wrap=wrap)
        return crop(whole, in_pixels(part, model.cell_px)).cpu()
    return _to_unit(decode_part(model, latents, part, wrap=wrap, halo=halo), "decoding").cpu()


def decode_beside(
    model: Denoiser,
    latents: Tensor,
    source: CanvasSource,
    *,
    wrap: bool,
    outlines: Tensor | None = None,
) -> Tensor:
    """Like `decode_canvas`, but known pixels stay and the new ones meet them without a line.

    outlines [h, w] bool: cells in which the fused latents are softer than the picture because an
    outline runs through them; their difference from known pixels is no error of colours.

    1. Decode the cells near the border between known and new pixels.
    2. Correct the new pixels' colours by how the known ones came out, and put the known ones in.
    3. Encode that again: now the latents of both sides of the border fit each other. Before, the
       decoder, which mixes neighbours, is twice as wrong about known pixels here as elsewhere.
    4. Decode everything new from these latents, and correct it likewise.

    Known pixels far from the border are never decoded. Returns [1, 3, H, W] in 0..1.
    """
    if source.pixels is None:
        return decode_canvas(model, latents, wrap=wrap)
    known, original, cell_px = source.known, source.pixels, source.cell_px
    # Turn a canvas that wraps, so that its edge does not cut through a border.
    turn = turn_to_middle(known, cell_px) if wrap else 0
    if turn:
        known, original = (each.roll(turn * cell_px, -1) for each in (known, original))
        latents = latents.roll(turn, -1)
        outlines = None if outlines is None else outlines.roll(turn, -1)
    border = find_border(known, cell_px)
    if border is None:
        return original if bool(known.all()) else decode_canvas(model, latents, wrap=wrap).cpu()

    canvas = _KnownCanvas(model, original, known, cell_px, wrap)
    # 1. Decode near the border.
    near = canvas.decode(latents, border.near)
    # 2. Compare it with the known pixels, and correct the new ones.
    comparable = torch.ones(known.shape)
    paste(comparable, in_pixels(border.near, cell_px), canvas.comparable(near, border.near))
    if outlines is not None:
        soft = outlines.repeat_interleave(cell_px, dim=0).repeat_interleave(cell_px, dim=1)
        comparable[soft.cpu()] = 0
    corrected = canvas.correct(near, border.near, comparable)
    # 3. Encode it again.
    encoded = model.encode(corrected * 2 - 1).to(latents)
    again = crop(border.again, border.near).to(latents.device)
    matched = latents.clone()
    paste(matched, border.near, torch.where(again, encoded, crop(latents, border.near)))
    # 4. Decode what is new.
    new = canvas.decode(matched, border.beyond)
    pixels = original.clone()
    paste(pixels, in_pixels(border.beyond, cell_px), canvas.correct(new, border.beyond, comparable))
    return pixels.roll(-turn * cell_px, -1) if turn else pixels


class _KnownCanvas(NamedTuple):
    """The pixels that are there already, which decoded parts of the canvas are compared with.

    original [1, 3, H, W], where known [H, W] is True.
    """

    model: Denoiser
    original: Tensor
    known: Tensor
    cell_px: int
    wrap: bool

    def decode(self, latents: Tensor, part: Window) -> Tensor:
        """The pixels of some cells, as the model paints them: [1, 3, H, W] in 0..1."""
        return decode_cells(self.model, latents, part, wrap=self.wrap)

    def comparable(self, decoded: Tensor, part: Window) -> Tensor:
        """How far decoded and known pixels of a part show the same content: [H, W], 0..1."""
        there = in_pixels(part, self.cell_px)
        return same_content(
            decoded, crop(self.original, there), crop(self.known, there), self.cell_px
        )

    def correct(self, decoded: Tensor, part: Window, comparable: Tensor) -> Tensor:
        """A decoded part with its known pixels put in, and the colours of the new ones matched.

        comparable [H, W] of the whole canvas: how far each known pixel counts in the comparison.
        """
        there = in_pixels(part, self.cell_px)
        original, known, shares = (
            crop(each, there) for each in (self.original, self.known, comparable)
        )
        return match_colours(decoded, original, known, self.cell_px, shares)


def compose_layers(
    model: Denoiser,
    latents: Tensor,
    layers: Layers,
    shares: Sequence[PixelShare],
    pixels: Tensor,
    new: Tensor,
    *,
    wrap: bool,
    matched: bool = False,
    preserved: Mapping[int, OwnPaint] | None = None,
    seen: Callable[[int, Window, Tensor], None] | None = None,
) -> None:
    """Draw outlines as they were painted, to the pixel, into a decoded picture.

    latents      [L, C, h, w]: a row for each layer, which goes on beyond its outline
    shares       how much of each pixel each layer but the first is
    pixels       [1, 3, H, W] in 0..1, on the CPU: what the fused latents were decoded to; changed
                 in place where it is `new` [H, W] bool
    matched      whether something in them was matched to a picture that was there before
    preserved    rows of which the picture is their paint, to the bit
    seen         is shown each part of a layer's own picture, by its row and cells

    Fused latents hold outlines by whole cells. So beside outlines each layer is decoded by itself
    and takes its share of each pixel. What is added is the difference from the fused picture,
    decoded alike, so that nothing else changes: no shift of colours between parts. Where pixels
    depend on neighbours alone and nothing was matched, that picture is there.
    """
    preserved = preserved or {}
    rest = torch.ones(pixels.shape[-2:])
    for share in shares:
        share.part_of(rest).sub_(share.values)
    shares = [PixelShare(0, 0, rest), *shares]
    cell_px = pixels.shape[-1] // latents.shape[-1]
    needed = torch.stack(
        [
            _cells_of(share, rest, cell_px, outlines=row not in preserved, wrap=wrap)
            for row, share in enumerate(shares)
        ]
    )
    if not matched:
        needed &= functional.max_pool2d(new[None].float(), cell_px) > 0
    for own in own_pictures(
        model, latents, layers, pixels, needed, matched=matched, wrap=wrap, preserved=preserved
    ):
        if seen is not None:
            seen(own.row, own.cells, own.painted)
        where = in_pixels(own.cells, cell_px)
        change = own.painted - own.before
        crop(pixels, where).add_(change * _share_in(shares[own.row], where) * crop(new, where))
    pixels.clamp_(0, 1)


class OwnPicture(NamedTuple):
    """Some cells of the canvas as one row of latents shows them.

    painted, before [1, 3, H, W] in 0..1, on the CPU: the row's own picture there, and what the
    fused latents were decoded to
    """

    row: int
    cells: Window
    painted: Tensor
    before: Tensor


def own_pictures(
    model: Denoiser,
    latents: Tensor,
    layers: Layers,
    pixels: Tensor,
    needed: Tensor,
    *,
    wrap: bool,
    matched: bool,
    preserved: Mapping[int, OwnPaint],
) -> Iterator[OwnPicture]:
    """Each row's own picture in the cells that it is `needed` [L, h, w] bool in, part by part.

    The other arguments are those of `compose_layers`. What is drawn into `pixels` in between
    changes nothing: parts do not overlap.
    """
    fused = layers.fused(latents)
    rows = zip(latents, layers.inside, strict=True)
    own = torch.stack([continued(*row, MARGIN, wrap=wrap) for row in rows])
    cell_px = pixels.shape[-1] // latents.shape[-1]
    is_there = model.decodes_locally and not matched

    def decoded(of: Tensor, cells: Window) -> Tensor:
        return decode_part(model, of, cells, wrap=wrap, halo=LESSER_HALO_CELLS).cpu().float()

    for part in parts_of(needed.any(dim=0), model.window):
        whole = crop(pixels, in_pixels(part, cell_px)).clone()
        plain = whole * 2 - 1 if is_there else decoded(fused, part)
        for row in range(layers.count):
            inner = next(parts_of(crop(needed[row], part), max(part.size)), None)
            if inner is None:
                continue
            cells, inside = inner.moved(part.top, part.left), in_pixels(inner, cell_px)
            before = crop(whole, inside)
            if row in preserved:
                painted = preserved[row].part(in_pixels(cells, cell_px))
            else:
                seen = decoded(own[row, None], cells)
                check_finite(seen, "decoding")
                painted = (before + (seen - crop(plain, inside)) / 2).clamp_(0, 1)
            yield OwnPicture(row, cells, painted, before)


def _cells_of(
    share: PixelShare, canvas: Tensor, cell_px: int, *, outlines: bool, wrap: bool
) -> Tensor:
    """[h, w] bool: cells that a layer is seen in; near `outlines`: that it does not have alone."""
    whole = torch.zeros_like(canvas)
    share.part_of(whole).copy_(share.values)
    most = functional.max_pool2d(whole[None, None], cell_px)[0, 0]
    if not outlines:
        return most > NOTHING
    least = -functional.max_pool2d(-whole[None, None], cell_px)[0]
    near = dilated((least < 1 - NOTHING).float(), BESIDE_CELLS, wrap=wrap)[0]
    return (most > NOTHING) & (near > 0)


def parts_of(needed: Tensor, side: int) -> Iterator[Window]:
    """Rectangles, `side` cells long at most, around where a canvas [h, w] is True."""
    for top in range(0, needed.shape[0], side):
        for left in range(0, needed.shape[1], side):
            here = needed[top : top + side, left : left + side]
            if bool(here.any()):
                rows, columns = extent(here.any(dim=1)), extent(here.any(dim=0))
                part = Window(rows[0], columns[0], rows[1], columns[1])
                yield part.moved(top, left)


def _share_in(share: PixelShare, part: Window) -> Tensor:
    """A layer's share of each pixel of a part of the canvas, [h, w]."""
    values = torch.zeros(part.size)
    height, width = share.values.shape
    top, left = max(part.top, share.top_px), max(part.left, share.left_px)
    bottom = max(top, min(part.bottom, share.top_px + height))
    right = max(left, min(part.right, share.left_px + width))
    values[top - part.top : bottom - part.top, left - part.left : right - part.left] = share.values[
        top - share.top_px : bottom - share.top_px, left - share.left_px : right - share.left_px
    ]
    return values


def _is_decoded_plainly(model: Denoiser, latents: Tensor, *, wrap: bool) -> bool:
    """Whether these are one window, and a decoder with norms decodes them."""
    size = Size(*latents.shape[-2:])
    window = native_window(size, model.window, model.cell_step, model.longest)
    return size == window and not wrap and not model.decodes_locally


def decode_part(
    model: Denoiser, latents: Tensor, part: Window, *, wrap: bool, halo: int | None = None
) -> Tensor:
    """Some cells of latents [1, C, h, w] as pixels around -1..1; their neighbours are seen."""
    above = _HALO_CELLS if halo is None else halo
    beside = min(above, latents.shape[-1])  # a canvas continues itself around once at most
    sides = "circular" if wrap else "replicate"
    # Rows first: a band of a large picture needs no more of it.
    top, bottom = max(0, part.top - above), min(latents.shape[-2], part.bottom + above)
    beyond = above - (part.top - top), above - (bottom - part.bottom)
    padded = functional.pad(latents[..., top:bottom, :], (beside, beside, 0, 0), mode=sides)
    padded = functional.pad(padded, (0, 0, *beyond), mode="replicate")
    columns = slice(part.left, part.right + 2 * beside)
    return model.decode(padded[..., columns], Size(above, beside))


def _whole(latents: Tensor) -> Window:
    return Window(0, 0, *latents.shape[-2:])


def in_pixels(part: Window, cell_px: int) -> Window:
    """Cells of the canvas in its pixels."""
    return Window(*(edge * cell_px for edge in part))


def _to_unit(pixels: Tensor, stage: str) -> Tensor:
    check_finite(pixels, stage)  # before the clamp, which would make white of what is endless
    # In place: a large picture should not exist twice, and this is the only reference to it.
    return pixels.float().div_(2).add_(0.5).clamp_(0, 1)
