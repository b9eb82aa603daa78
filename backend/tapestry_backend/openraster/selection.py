"""What is selected in a picture: a layer's paint, or a mask of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.layer_names import plain_name
from tapestry_protocol.pixels import Bounds
from tapestry_protocol.sentences import quoted

from .compose import union_alpha
from .document import Document
from .png import decode_png


class Selected(NamedTuple):
    """A mask, uint8 [height, width], 255 = wholly selected, that fills `bounds` of the canvas."""

    bounds: Bounds
    mask: np.ndarray


def has_layer(document: Document, name: str) -> bool:
    """Whether a layer or group is called so, wherever it lies and whether it shows or not."""
    return any(node.name == plain_name(name) for node in document.all_layers)


def select_layer(document: Document, name: str) -> Selected:
    """What the layers and groups of this name cover."""
    whole = np.zeros((document.height, document.width), np.uint8)
    for node in document.all_layers:
        if (
            node.name == plain_name(name)
            and (found := document.alpha(node, document.bounds)) is not None
        ):
            bounds, alpha = found
            rows, columns = slice(bounds.top, bounds.bottom), slice(bounds.left, bounds.right)
            whole[rows, columns] = union_alpha(whole[rows, columns], alpha)
    return _trimmed(whole)


def select_mask(document: Document, data: bytes, name: str) -> Selected:
    """As `mask_in`, for the document's canvas."""
    return mask_in(data, name, document.height, document.width)


def mask_in(data: bytes, name: str, height: int, width: int) -> Selected:
    """A mask in a PNG file of the canvas' size; raises TapestryError when it is none.

    Where anything of it is transparent, what is opaque is selected, as with a layer; otherwise what
    is white.
    """
    try:
        picture = decode_png(data, name)
    except TapestryError as error:
        raise _no_mask(f"{quoted(name)} cannot be read as a PNG picture.") from error
    if picture.shape[:2] != (height, width):
        rows, columns = picture.shape[:2]
        raise _no_mask(
            f"{quoted(name)} has {columns} x {rows} pixels, the canvas {width} x {height}."
        )
    mask = picture[..., 3]
    if bool((mask == 255).all()):
        mask = picture[..., :3].max(axis=2)
    return _trimmed(mask)


def _trimmed(mask: np.ndarray) -> Selected:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return Selected(Bounds(0, 0, *mask.shape), mask)
    bounds = Bounds(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    inside = mask[bounds.top : bounds.bottom, bounds.left : bounds.right]
    return Selected(bounds, np.ascontiguousarray(inside))


def _no_mask(sentence: str) -> TapestryError:
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        sentence,
        "Give the name of a layer, or a PNG picture as large as the canvas: white where it shall "
        "be painted, black elsewhere.",
    )
