"""PNG files <-> raw RGBA arrays, bounded before anything is decoded; the only room with Pillow."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tapestry_protocol.limits import MAX_CANVAS_PX, MAX_SIDE_PX

from .errors import damaged, too_large

_HEADER = struct.Struct(">8s4x4sII")
HEADER_BYTES = _HEADER.size
"""As much of a PNG as `png_size` needs."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_THUMBNAIL_PX = 256
_PILLOW_ERRORS = (
    Image.DecompressionBombError,
    EOFError,
    OSError,
    OverflowError,
    SyntaxError,
    ValueError,
    struct.error,
    zlib.error,
)


def png_size(data: bytes, what: str) -> tuple[int, int]:
    """Height and width as the header tells them; raises TapestryError beyond our limits."""
    if len(data) < _HEADER.size:
        raise damaged(f"{what} is no PNG picture")
    signature, chunk, width, height = _HEADER.unpack_from(data)
    if signature != _SIGNATURE or chunk != b"IHDR" or not width or not height:
        raise damaged(f"{what} is no PNG picture")
    if width * height > MAX_CANVAS_PX or max(width, height) > MAX_SIDE_PX:
        raise too_large(f"{what} has {width} x {height} pixels")
    return height, width


def decode_png(data: bytes, what: str) -> np.ndarray:
    """A PNG as uint8 [height, width, 4], straight alpha; `what` names it in errors."""
    height, width = png_size(data, what)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            pixels = np.array(_eight_bit(image).convert("RGBA"))
    except _PILLOW_ERRORS as error:
        raise damaged(f"{what} cannot be decoded") from error
    if pixels.shape != (height, width, 4):
        raise damaged(f"{what} has another size than it says")
    return pixels


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, the one deep PNG that Pillow does not bring to 8 bits by itself."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))


def encode_png(pixels: np.ndarray) -> bytes:
    """uint8 [height, width, 4] as a PNG; without alpha where everything is opaque."""
    opaque = bool((pixels[..., 3] == 255).all())
    return _save(Image.fromarray(pixels[..., :3] if opaque else pixels))


def thumbnail_png(pixels: np.ndarray) -> bytes:
    """The picture as the format's thumbnail: at most 256 pixels a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    return _save(image)


def _save(image: Image.Image) -> bytes:
    output = io.BytesIO()
    image.save(output, "PNG")
    return output.getvalue()
