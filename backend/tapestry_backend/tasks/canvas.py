"""Between raw bytes and tensors on the plan's canvas: masks, pictures, previews; no model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Pixels

from ..engine.regions import PaintedMask, blend, occlude
from .plan import Plan


def region_weights(request: Request, blobs: Mapping[str, bytes], plan: Plan) -> Tensor:
    """The weights of all regions and the background, [N + 1, H, W], float32, summing to 1."""
    compose = {"occlude": occlude, "blend": blend}[plan.overlap]
    masks = [_painted(region, blobs, plan) for region in request.regions]
    return compose(masks, plan.canvas, plan.cell_px)


def known_picture(
    image: PixelsRef, blobs: Mapping[str, bytes], plan: Plan
) -> tuple[Tensor, Tensor]:
    """The picture to extend on the canvas: pixels [1, 3, H, W] in 0..1, and where it is known.

    A pixel that is not fully opaque is not known. -> [H, W] bool.
    """
    rgba = torch.from_numpy(_array(image, blobs))
    height, width = plan.canvas.height * plan.cell_px, plan.canvas.width * plan.cell_px
    down, right = plan.origin_px
    rows, columns = slice(down, down + image.height), slice(right, right + image.width)
    pixels = torch.zeros(1, 3, height, width)
    known = torch.zeros(height, width, dtype=torch.bool)
    pixels[0, :, rows, columns] = rgba[..., :3].permute(2, 0, 1).float() / 255
    known[rows, columns] = rgba[..., 3] == 255
    return pixels, known


def to_rgba(pixels: Tensor, alpha: Tensor | None = None) -> Pixels:
    """A picture [3, H, W] in 0..1 as bytes; alpha [H, W] bool, everything opaque without it."""
    height, width = pixels.shape[-2:]
    rgba = np.full((height, width, 4), 255, dtype=np.uint8)
    rgba[..., :3] = (pixels * 255).round().clamp(0, 255).permute(1, 2, 0).to("cpu", torch.uint8)
    if alpha is not None:
        rgba[~alpha.cpu().numpy()] = 0
    return Pixels(height, width, 4, rgba.tobytes())


def preview_rgba(rough: Tensor, plan: Plan) -> Pixels:
    """A rough picture [1, 3, h, w] in -1..1, one pixel per cell, cut to the plan's output."""
    output, cell = plan.output, plan.cell_px
    rows = slice(output.top // cell, -(-output.bottom // cell))
    columns = slice(output.left // cell, -(-output.right // cell))
    return to_rgba(rough[0, :, rows, columns] / 2 + 0.5)


def cut_output(pixels: Tensor, plan: Plan) -> Tensor:
    """The plan's output out of a picture of the whole canvas [..., H, W]."""
    output = plan.output
    return pixels[..., output.top : output.bottom, output.left : output.right]


def _painted(region: Region, blobs: Mapping[str, bytes], plan: Plan) -> PaintedMask:
    """A region's mask on the canvas; one that touches an edge of the frame goes on beyond it."""
    mask = torch.from_numpy(_array(region.mask, blobs))[..., 0]
    bounds = region.bounds.moved(*plan.origin_px)
    frame, cell = plan.region_frame, plan.cell_px
    height, width = plan.canvas.height * cell, plan.canvas.width * cell
    top = max(0, bounds.top) if bounds.top <= frame.top else 0
    left = max(0, bounds.left) if bounds.left <= frame.left else 0
    bottom = max(0, height - bounds.bottom) if bounds.bottom >= frame.bottom else 0
    right = max(0, width - bounds.right) if bounds.right >= frame.right else 0
    if top or left or bottom or right:
        padding = (left, right, top, bottom)
        mask = functional.pad(mask[None, None].float(), padding, mode="replicate")[0, 0] / 255
    return PaintedMask(bounds.top - top, bounds.left - left, mask)


def _array(picture: PixelsRef, blobs: Mapping[str, bytes]) -> np.ndarray:
    """[H, W, C] uint8; a copy, so that torch may write to it."""
    data = np.frombuffer(blobs[picture.sha256], dtype=np.uint8)
    return data.reshape(picture.height, picture.width, picture.channels).copy()
