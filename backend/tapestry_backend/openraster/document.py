"""An OpenRaster picture: its layers' pixels, its flattened picture, and a result laid on top."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tapestry_protocol.request_checks import check_canvas

from .archive import Archive
from .compose import lay_over, transparent, union_alpha
from .errors import too_large
from .limits import MAX_CANVASES_DECODED, MAX_EXTRA_DECODED_PX, MAX_STACK_BYTES
from .png import HEADER_BYTES, decode_png, encode_png, png_size, thumbnail_png
from .stack import Node, parse_stack

_STACK, _MERGED, _THUMBNAIL = "stack.xml", "mergedimage.png", "Thumbnails/thumbnail.png"


class Document:
    """A layered picture, opened from the bytes of an .ora file; nothing of it ever changes.

    Raises TapestryError when the file is none, is damaged, or is larger than Tapestry paints.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._stack = parse_stack(archive.read(_STACK, MAX_STACK_BYTES))
        self.height, self.width = self._stack.height, self._stack.width
        check_canvas(self.height, self.width)
        self._budget_px = MAX_CANVASES_DECODED * self.height * self.width + MAX_EXTRA_DECODED_PX
        self._check_budget(sum(map(self._says_px, self.all_layers)))

    @classmethod
    def open(cls, path: Path) -> Document:
        """Read a file; raises OSError when it cannot be read."""
        return cls(Archive.open(path))

    @property
    def layers(self) -> list[Node]:
        """The layers and groups that are no part of a group, topmost first."""
        return self._stack.root.children

    @property
    def all_layers(self) -> list[Node]:
        """All layers and groups, those inside of groups too, topmost first."""
        return [node for child in self.layers for node in child.walk()]

    @property
    def unknown(self) -> tuple[str, ...]:
        """Kinds of elements that are neither layer nor group; nobody looks at them."""
        return self._stack.unknown

    @property
    def bounds(self) -> Bounds:
        return Bounds(0, 0, self.height, self.width)

    def has_pixels(self, node: Node) -> bool:
        """Whether a layer is stored as a PNG; vector layers of some programs are not."""
        return node.source.lower().endswith(".png")

    def alpha(self, node: Node, area: Bounds) -> tuple[Bounds, np.ndarray] | None:
        """How much a layer or group covers, by its own pixels: bounds and uint8 [height, width].

        The bounds are the smallest that hold everything painted inside `area`; None when there is
        nothing. The node's own opacity does not count: it is a way of looking at the layer.
        """
        covered: np.ndarray | None = None
        for layer, opacity in _visible_layers(node):
            pixels = self._pixels(layer)
            if pixels is None:
                continue
            canvas = np.zeros((area.height, area.width), np.uint8) if covered is None else covered
            covered = _cover(canvas, pixels[..., 3], layer, opacity, area)
        return None if covered is None else _trimmed(covered, area)

    def colours(self, node: Node, area: Bounds) -> np.ndarray:
        """What is painted on a layer or group inside `area`, uint8 [height, width, 4].

        As in `alpha`, the node's own opacity does not count.
        """
        canvas = transparent(area.height, area.width)
        if node.kind == "stack":
            self._lay_children(canvas, node, area)
        elif (pixels := self._pixels(node)) is not None:
            lay_over(canvas, pixels, node.top - area.top, node.left - area.left)
        return canvas

    @cached_property
    def flattened(self) -> np.ndarray:
        """The picture as its program shows it, uint8 [height, width, 4].

        Taken from the file where it holds one of the right size: the program that saved it knows
        all of its own blending modes.
        """
        if _MERGED in self._archive:
            data = self._archive.read(_MERGED)
            if png_size(data, _MERGED) == (self.height, self.width):
                return self._decode(data, _MERGED)
        canvas = transparent(self.height, self.width)
        self._lay_children(canvas, self._stack.root, self.bounds)
        return canvas

    def with_result(self, result: Pixels, margins: Margins, *, lowest: bool = False) -> np.ndarray:
        """The flattened picture, grown by `margins`, a result of that size over or under it."""
        grown = transparent(result.height, result.width)
        if lowest:
            lay_over(grown, as_array(result), 0, 0)
        lay_over(grown, self.flattened, margins.top, margins.left)
        if not lowest:
            lay_over(grown, as_array(result), 0, 0)
        return grown

    def saved_with_result(
        self,
        result: Pixels,
        margins: Margins,
        name: str,
        flattened: np.ndarray,
        *,
        lowest: bool = False,
        settings: Sequence[tuple[Node, str]] = (),
    ) -> bytes:
        """The .ora file with the result as a new layer, on top or lowest; all else byte for byte.

        `flattened` is what `with_result` gave: viewers show it without knowing about layers.
        settings: what is written about layers of this document as regions.
        """
        number = 1
        while f"data/tapestry-{number}.png" in self._archive:
            number += 1
        source = f"data/tapestry-{number}.png"
        return self._archive.copy(
            {
                _STACK: self._stack.with_layer(
                    name, source, margins, lowest=lowest, settings=settings
                ),
                _MERGED: encode_png(flattened),
                _THUMBNAIL: thumbnail_png(flattened),
                source: encode_png(as_array(result)),
            }
        )

    def _lay_children(self, canvas: np.ndarray, group: Node, area: Bounds) -> None:
        """Lay a group's visible layers onto a canvas that shows `area`."""
        for node in reversed(group.children):
            if not node.visible or not node.opacity:
                continue
            if node.kind == "stack":
                inner = transparent(area.height, area.width)
                self._lay_children(inner, node, area)
                lay_over(canvas, inner, 0, 0, node.opacity)
            elif (pixels := self._pixels(node)) is not None:
                lay_over(canvas, pixels, node.top - area.top, node.left - area.left, node.opacity)

    def _pixels(self, layer: Node) -> np.ndarray | None:
        if not self.has_pixels(layer):
            return None
        return self._decode(self._archive.read(layer.source), f"The layer {layer.name[:40]!r}")

    def _decode(self, data: bytes, what: str) -> np.ndarray:
        height, width = png_size(data, what)
        self._check_budget(height * width)
        self._budget_px -= height * width
        return decode_png(data, what)

    def _says_px(self, layer: Node) -> int:
        """Pixels of a visible layer by its header; one that has none is looked at when needed."""
        if not layer.visible or not self.has_pixels(layer):
            return 0
        with suppress(TapestryError):
            header = self._archive.start(layer.source, HEADER_BYTES)
            return math.prod(png_size(header, layer.source))
        return 0

    def _check_budget(self, wanted_px: int) -> None:
        if wanted_px > self._budget_px:
            raise too_large("its layers together have far more pixels than its canvas")


def as_array(pixels: Pixels) -> np.ndarray:
    """RGBA pixels as uint8 [height, width, 4], without a copy."""
    return np.frombuffer(pixels.data, np.uint8).reshape(pixels.height, pixels.width, 4)


def as_pixels(array: np.ndarray) -> Pixels:
    """uint8 [height, width, channels], or [height, width] for a mask, as raw pixels."""
    channels = array.shape[2] if array.ndim > 2 else 1
    return Pixels(array.shape[0], array.shape[1], channels, array.tobytes())


def _visible_layers(node: Node, opacity: float = 1.0) -> Iterator[tuple[Node, float]]:
    """The layers that make up a node, with the opacity they have inside of it."""
    if node.kind == "layer":
        yield node, opacity
        return
    for child in node.children:
        if child.visible:
            yield from _visible_layers(child, opacity * child.opacity)


def _cover(
    covered: np.ndarray, alpha: np.ndarray, layer: Node, opacity: float, area: Bounds
) -> np.ndarray:
    """`covered` [area] with a layer's alpha added, in place."""
    own = Bounds(layer.top, layer.left, layer.top + alpha.shape[0], layer.left + alpha.shape[1])
    common = own.intersection(area)
    if common.is_empty:
        return covered
    inside = covered[_slices(common.moved(-area.top, -area.left))]
    visible = alpha[_slices(common.moved(-own.top, -own.left))]
    if opacity < 1:
        visible = (visible * opacity + 0.5).astype(np.uint8)
    inside[...] = union_alpha(inside, visible)
    return covered


def _trimmed(covered: np.ndarray, area: Bounds) -> tuple[Bounds, np.ndarray] | None:
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    if not rows.size:
        return None
    inside = Bounds(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    return inside.moved(area.top, area.left), np.ascontiguousarray(covered[_slices(inside)])


def _slices(bounds: Bounds) -> tuple[slice, slice]:
    return slice(bounds.top, bounds.bottom), slice(bounds.left, bounds.right)
