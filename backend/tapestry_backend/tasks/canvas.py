"""Between raw bytes and tensors on the plan's canvas: masks, pictures, previews."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.messages import PixelsRef, Request, Selection
from tapestry_protocol.pixels import COVERED_ALPHA, Bounds, Pixels

from ..engine.regions import PaintedMask, feather
from .plan import Plan
from .region_extension import RegionMask, continue_regions

_LOOSE_SHARE = 8
"""The outline of a loose region is feathered by this part of a window."""


def painted_masks(
    request: Request, blobs: Mapping[str, bytes], plan: Plan, *, softened: bool = True
) -> list[PaintedMask]:
    """The regions' masks on the canvas with their outlines as soft as wanted, topmost first.

    In an extension, one that touches an extended edge goes on beyond it, unless the plan says no.
    softened: whether their outlines are, where the request wants that.
    """
    window_px = min(plan.window) * plan.cell_px
    masks = [
        RegionMask(
            torch.from_numpy(pixel_array(region.mask, blobs))[..., 0],
            region.bounds.moved(*plan.origin_px),
        )
        for region in request.regions
    ]
    if plan.request.continue_regions:
        extension = plan.document, plan.output, plan.cell_px
        masks = continue_regions(masks, *extension, wrap=plan.request.wrap)
    soft = []
    for region, (mask, bounds) in zip(request.regions, masks, strict=True):
        is_loose = region.fit == "loose" and not plan.request.melt
        loose = window_px // _LOOSE_SHARE if is_loose else 0
        radius = plan.request.feather_px + loose if softened else 0
        soft.append(feather(_continued(mask, bounds, plan, 2 * radius), radius))
    return soft


def painted_colours(
    picture: PixelsRef, bounds: Bounds, blobs: Mapping[str, bytes], plan: Plan
) -> tuple[Tensor, Tensor]:
    """A layer's own paint on the canvas: colours [1, 3, H, W] in 0..1, opacity [H, W] uint8.

    bounds: where it lies, in coordinates of the document before extension.
    """
    rgba = placed(picture, bounds.moved(*plan.origin_px), blobs, plan)
    return rgba[None, :3].float() / 255, rgba[3]


def known_picture(
    image: PixelsRef, blobs: Mapping[str, bytes], plan: Plan
) -> tuple[Tensor, Tensor]:
    """The picture to paint on from, on the canvas: pixels [1, 3, H, W] in 0..1, known [H, W] bool.

    A pixel that is less than half opaque is not known.
    """
    rgba = placed(image, plan.document, blobs, plan)
    return rgba[None, :3].float() / 255, rgba[3] >= COVERED_ALPHA


def selected(selection: Selection, blobs: Mapping[str, bytes], plan: Plan) -> Tensor:
    """The selection on the canvas, feathered: [H, W] float32 in 0..1, nothing off the document."""
    mask = torch.from_numpy(pixel_array(selection.mask, blobs))[..., 0]
    bounds = selection.bounds.moved(*plan.origin_px)
    painted = feather(
        _continued(mask, bounds, plan, 2 * plan.request.feather_px), plan.request.feather_px
    )
    canvas = torch.zeros(plan.canvas.height * plan.cell_px, plan.canvas.width * plan.cell_px)
    height, width = painted.mask.shape
    place = Bounds(
        painted.top_px, painted.left_px, painted.top_px + height, painted.left_px + width
    ).intersection(plan.document)
    inside = place.moved(-painted.top_px, -painted.left_px)
    part = painted.mask[inside.top : inside.bottom, inside.left : inside.right].float()
    scale = 255 if painted.mask.dtype == torch.uint8 else 1
    canvas[place.top : place.bottom, place.left : place.right] = part / scale
    return canvas


def placed(picture: PixelsRef, bounds: Bounds, blobs: Mapping[str, bytes], plan: Plan) -> Tensor:
    """An RGBA picture at `bounds` of the canvas [4, H, W] uint8, transparent elsewhere."""
    height, width = plan.canvas.height * plan.cell_px, plan.canvas.width * plan.cell_px
    canvas = torch.zeros(4, height, width, dtype=torch.uint8)
    place = bounds.intersection(Bounds(0, 0, height, width))
    inside = place.moved(-bounds.top, -bounds.left)
    rgba = torch.from_numpy(pixel_array(picture, blobs)).permute(2, 0, 1)
    canvas[:, place.top : place.bottom, place.left : place.right] = rgba[
        :, inside.top : inside.bottom, inside.left : inside.right
    ]
    return canvas


def pixel_array(picture: PixelsRef, blobs: Mapping[str, bytes]) -> np.ndarray:
    """[H, W, C] uint8; a copy, so that torch may write to it."""
    data = np.frombuffer(blobs[picture.sha256], dtype=np.uint8)
    return data.reshape(picture.height, picture.width, picture.channels).copy()


def to_rgba(pixels: Tensor, alpha: Tensor | None = None) -> Pixels:
    """A picture [3, H, W] in 0..1 as bytes; alpha [H, W] in 0..1, everything opaque without it."""
    height, width = pixels.shape[-2:]
    rgba = np.full((height, width, 4), 255, dtype=np.uint8)
    rgba[..., :3] = (pixels * 255).round().clamp(0, 255).permute(1, 2, 0).to("cpu", torch.uint8)
    if alpha is not None:
        rgba[..., 3] = (alpha * 255).round().to("cpu", torch.uint8)
        rgba[rgba[..., 3] == 0] = 0
    return Pixels(height, width, 4, rgba.tobytes())


def preview_rgba(rough: Tensor, plan: Plan) -> Pixels:
    """A rough picture [1, 3, h, w] in -1..1, one pixel per cell, cut to the plan's output.

    A draft's is smaller than the plan's canvas, and is cut in proportion.
    """
    output, cell = plan.output, plan.cell_px
    height, width = rough.shape[-2:]
    down, across = height / plan.canvas.height, width / plan.canvas.width
    rows = slice(int(output.top // cell * down), max(1, round(-(-output.bottom // cell) * down)))
    columns = slice(
        int(output.left // cell * across), max(1, round(-(-output.right // cell) * across))
    )
    return to_rgba(rough[0, :, rows, columns] / 2 + 0.5)


def cut_output(pixels: Tensor, plan: Plan) -> Tensor:
    """The plan's output out of a picture of the whole canvas [..., H, W]."""
    output = plan.output
    return pixels[..., output.top : output.bottom, output.left : output.right]


def _continued(mask: Tensor, bounds: Bounds, plan: Plan, beyond_px: int) -> PaintedMask:
    """A mask [h, w] uint8 at `bounds` of the canvas; at the output's edge it goes on.

    To the canvas' border and `beyond_px` further, so that softening does not reach it from there.
    """
    frame, cell = plan.output, plan.cell_px
    height, width = plan.canvas.height * cell, plan.canvas.width * cell
    top = max(0, bounds.top + beyond_px) if bounds.top <= frame.top else 0
    left = max(0, bounds.left + beyond_px) if bounds.left <= frame.left else 0
    bottom = max(0, height - bounds.bottom + beyond_px) if bounds.bottom >= frame.bottom else 0
    right = max(0, width - bounds.right + beyond_px) if bounds.right >= frame.right else 0
    if top or left or bottom or right:
        padding = (left, right, top, bottom)
        mask = functional.pad(mask[None, None].float(), padding, mode="replicate")[0, 0] / 255
    return PaintedMask(bounds.top - top, bounds.left - left, mask)
