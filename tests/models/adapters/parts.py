"""Parts of requests: regions, layers and controls."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tapestry_protocol.adapters import Control
from tapestry_protocol.messages import PixelsRef, Region
from tapestry_protocol.pixels import Bounds, Pixels


def region(left: int, right: int, **fields: object) -> tuple[Region, dict[str, bytes]]:
    """A region from one column to another of a picture that is 64 pixels high, and its mask."""
    mask = Pixels(64, right - left, 1, b"\xff" * 64 * (right - left))
    place = Bounds(0, left, 64, right), PixelsRef.of(mask)
    made = Region(fields.pop("prompt", "lava"), *place, **fields)
    return made, {mask.sha256: mask.data}


def a_layer(height: int, width: int, seed: int = 0) -> Pixels:
    """Opaque colours."""
    rgba = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    return Pixels(height, width, 4, rgba.tobytes())


def control(adapter: str, layer: Pixels, **fields: object) -> Control:
    """The whole layer, shown to this adapter."""
    bounds = Bounds(0, 0, layer.height, layer.width)
    return Control(adapter, bounds=bounds, image=PixelsRef.of(layer), **fields)


def as_image(layer: Pixels) -> Image.Image:
    """For diffusers."""
    return Image.frombytes("RGBA", (layer.width, layer.height), layer.data).convert("RGB")
