"""From finished latents to the canvas's pixels; the windows and the sampling know nothing of it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..engine.extension import find_border, match_colours, same_content, turn_to_middle
from ..engine.windows import Size, Window, crop
from ..models.denoiser import Denoiser
from .ground import Ground
from .troubles import check_finite

_HALO_CELLS = 6
"""Cells decoded beyond the edges, as far as an autoencoder's convolutions reach noticeably.

What lies further off moves no pixel by more than 0.1 of 255 levels (4 cells: by up to 1.4)."""


def decode_canvas(
    model: Denoiser, latents: Tensor, *, wrap: bool, continued: bool = False
) -> Tensor:
    """Latents [1, C, h, w] -> pixels [1, 3, H, W] in 0..1, float32; seamless where it wraps.

    A canvas of one window is decoded as it is: the very picture of the model's own pipeline. A
    larger one, or one that shall be `continued`, goes on beyond its edges first, because an
    autoencoder's convolutions see zeros there and paint a frame: change at the outermost pixels was
    6 times the mean of the picture, and would stand as a line in every extension of it.
    """
    stage = "decoding the draft" if continued else "decoding"
    if _is_one_window(model, latents, wrap=wrap) and not continued:
        return _to_unit(model.decode(latents), stage)
    return _to_unit(_decode_part(model, latents, _whole(latents), wrap=wrap), stage)


def decode_beside(model: Denoiser, latents: Tensor, ground: Ground, *, wrap: bool) -> Tensor:
    """Like `decode_canvas`, and what is known stays: [1, 3, H, W], meeting it without a line.

    New cells at the border never fit the known ones quite, and the decoder, which mixes neighbours,
    is twice as wrong about known pixels there as about others: the corrected picture shows it.
    Encoded once more from that, the cells of both sides fit each other. What is far from everything
    new is not decoded at all.
    """
    if ground.pixels is None:
        return decode_canvas(model, latents, wrap=wrap)
    known, original, cell_px = ground.known, ground.pixels, ground.cell_px
    turn = turn_to_middle(known, cell_px) if wrap else 0
    if turn:  # an edge that wraps is a border like any other then
        known, original = (each.roll(turn * cell_px, -1) for each in (known, original))
        latents = latents.roll(turn, -1)
    border = find_border(known, cell_px)
    if border is None:
        return original if bool(known.all()) else decode_canvas(model, latents, wrap=wrap).cpu()

    meeting = _Meeting(model, original, known, cell_px, wrap)
    first = meeting.decoded(latents, border.near)
    carried = torch.ones(known.shape)
    crop(carried, _in_pixels(border.near, cell_px)).copy_(meeting.compared(first, border.near))
    fitting = latents.clone()
    near = crop(fitting, border.near)
    encoded = model.encode(meeting.met(first, border.near, carried) * 2 - 1).to(latents)
    near.copy_(torch.where(crop(border.again, border.near).to(latents.device), encoded, near))
    pixels = original.clone()
    second = meeting.decoded(fitting, border.beyond)
    beyond = crop(pixels, _in_pixels(border.beyond, cell_px))
    beyond.copy_(meeting.met(second, border.beyond, carried))
    return pixels.roll(-turn * cell_px, -1) if turn else pixels


class _Meeting(NamedTuple):
    """What is known of a canvas, for the parts where new pixels meet it."""

    model: Denoiser
    original: Tensor
    known: Tensor
    cell_px: int
    wrap: bool

    def decoded(self, latents: Tensor, part: Window) -> Tensor:
        """The pixels of some cells, as the model paints them: [1, 3, H, W] in 0..1."""
        if _is_one_window(self.model, latents, wrap=self.wrap):
            whole = decode_canvas(self.model, latents, wrap=self.wrap)
            return crop(whole, _in_pixels(part, self.cell_px)).cpu()
        return _to_unit(_decode_part(self.model, latents, part, wrap=self.wrap), "decoding").cpu()

    def compared(self, decoded: Tensor, part: Window) -> Tensor:
        """Where both sides show the same: [H, W] of the part."""
        there = _in_pixels(part, self.cell_px)
        return same_content(
            decoded, crop(self.original, there), crop(self.known, there), self.cell_px
        )

    def met(self, decoded: Tensor, part: Window, carried: Tensor) -> Tensor:
        """A decoded part with what is known in it; carried [H, W]: of the whole canvas."""
        there = _in_pixels(part, self.cell_px)
        original, known, shares = (
            crop(each, there) for each in (self.original, self.known, carried)
        )
        return match_colours(decoded, original, known, self.cell_px, shares)


def _is_one_window(model: Denoiser, latents: Tensor, *, wrap: bool) -> bool:
    return tuple(latents.shape[-2:]) == (model.window, model.window) and not wrap


def _decode_part(model: Denoiser, latents: Tensor, part: Window, *, wrap: bool) -> Tensor:
    """Some cells of latents [1, C, h, w] as pixels around -1..1; their neighbours are seen."""
    above = _HALO_CELLS
    beside = min(_HALO_CELLS, latents.shape[-1])  # a canvas continues itself around once at most
    sides = "circular" if wrap else "replicate"
    padded = functional.pad(latents, (beside, beside, 0, 0), mode=sides)
    padded = functional.pad(padded, (0, 0, above, above), mode="replicate")
    seen = Window(part.top, part.left, part.bottom + 2 * above, part.right + 2 * beside)
    return model.decode(crop(padded, seen), Size(above, beside))


def _whole(latents: Tensor) -> Window:
    return Window(0, 0, *latents.shape[-2:])


def _in_pixels(part: Window, cell_px: int) -> Window:
    return Window(*(edge * cell_px for edge in part))


def _to_unit(pixels: Tensor, stage: str) -> Tensor:
    check_finite(pixels, stage)  # before the clamp, which would make white of what is endless
    # In place: a large picture should not exist twice, and nobody else holds what was decoded.
    return pixels.float().div_(2).add_(0.5).clamp_(0, 1)
