"""An OpenRaster picture: its layers' pixels, its flattened picture, and a result laid on top."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from pathlib import Path

import numpy as np

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_CANVAS_PX, MAX_SIDE_PX
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tapestry_protocol.request_checks import check_canvas
from tapestry_protocol.sentences import quoted

from .archive import Archive
from .blend_modes import blend_of, is_known
from .compose import lay_over, transparent
from .coverage import Coverage, Siblings, slices
from .errors import damaged, too_large
from .limits import (
    MAX_CANVASES_DECODED,
    MAX_EXTRA_DECODED_PX,
    MAX_PROFILE_BYTES,
    MAX_STACK_BYTES,
)
from .png import (
    HEADER_BYTES,
    colours_of,
    decode_png,
    encode_png,
    png_size,
    profile_of,
    reaches_pixels,
    scaled,
    thumbnail_png,
    unused_profile,
)
from .stack import NewLayer, Node, parse_stack

_STACK, _MERGED, _THUMBNAIL = "stack.xml", "mergedimage.png", "Thumbnails/thumbnail.png"
_RESULT = "data/tapestry-"
"""How the names of a result's pictures begin."""


@dataclass(frozen=True)
class ResultLayer:
    """A layer of a result: RGBA, uint8 [height, width, 4], and its corner on the grown canvas."""

    name: str
    pixels: np.ndarray
    top: int = 0
    left: int = 0


class Document:
    """A layered picture, opened from the bytes of an .ora file; nothing of it ever changes.

    Raises TapestryError when the file is none, or is larger than Tapestry paints. A picture in it
    that is damaged is noted in `damage`.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._damage: dict[str, str] = {}
        self._stack = parse_stack(archive.read(_STACK, MAX_STACK_BYTES))
        self.height, self.width = self._stack.height, self._stack.width
        check_canvas(self.height, self.width)
        self._budget_px = MAX_CANVASES_DECODED * self.height * self.width + MAX_EXTRA_DECODED_PX
        self._check_budget(sum(map(self._header_px, self.all_layers)))

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
    def notes(self) -> tuple[str, ...]:
        """What an artist should know about how the file was read."""
        kinds = self._stack.unknown
        unknown = (
            f"An element <{kind}> was left out: it "
            f"{'lies where no layer belongs' if kind in {'layer', 'stack'} else 'is no layer'}."
            for kind in kinds
        )
        return (*unknown, *self._stack.notes, *self._notes_on_modes(), *self._notes_on_profiles())

    @property
    def damage(self) -> tuple[str, ...]:
        """What turned out to be damaged so far, and what is done without it."""
        return tuple(self._damage.values())

    def check_sound(self, nodes: Sequence[Node]) -> None:
        """Raises TapestryError when one of these, or of what they hold, is known to be damaged."""
        for node in (part for each in nodes for part in each.walk()):
            if node.source in self._damage:
                raise damaged(
                    f"the picture of the layer {quoted(node.name[:40])} is damaged or missing"
                )

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
        alpha = self._coverage(area).of(node)
        if alpha is None:
            self.check_sound([node])
            return None
        return trimmed(alpha, area)

    def siblings(self, area: Bounds) -> Siblings:
        """The layers and groups that are no part of a group, as they cover `area` together.

        Krita's export forgets that a layer is clipped when it has a blending mode as well. Where
        such modes are, nothing is covered where the file's own flattened picture shows nothing.
        """
        siblings = Siblings(self._coverage(area), self.layers)
        if any(blend_of(node.composite_op) for node in self.all_layers):
            common = self.bounds.intersection(area)
            shown = self.flattened[..., 3] > 0
            nothing = np.zeros((area.height, area.width), bool)
            inside = slices(common.moved(-area.top, -area.left))
            nothing[inside] = ~shown[slices(common)] & shown.any()
            siblings.hide(nothing)
        return siblings

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

    def lies_outside(self, node: Node, area: Bounds) -> bool:
        """Whether what is painted on a layer, or on one in a group, lies beside `area`."""
        if node.kind == "stack":
            return any(self.lies_outside(child, area) for child in node.children if child.is_shown)
        height, width = self._header_size(node)
        stored = Bounds(node.top, node.left, node.top + height, node.left + width)
        if stored.intersection(area) == stored:
            return False
        pixels = self._pixels(node)
        found = None if pixels is None else trimmed(pixels[..., 3], stored)
        return found is not None and found[0].intersection(area).is_empty

    @cached_property
    def flattened(self) -> np.ndarray:
        """The picture as its program shows it, uint8 [height, width, 4].

        Taken from the file where it holds a sound one of the right size: the program that saved it
        reads all of its own blending modes.
        """
        if _MERGED in self._archive:
            with self._doing_without(_MERGED, "The file's flattened picture was left out"):
                data = self._archive.read(_MERGED)
                if png_size(data, _MERGED) == (self.height, self.width):
                    return self._decode(data, _MERGED)
        canvas = transparent(self.height, self.width)
        self._lay_children(canvas, self._stack.root, self.bounds)
        return canvas

    @cached_property
    def colours_meant(self) -> bytes:
        """What the file says about the colours that its numbers mean, as chunks of a PNG.

        That of the flattened picture, else of the first layer that says something.
        """
        return next(filter(None, (colours_of(head) for _, head in self._heads())), b"")

    def _heads(self) -> Iterator[tuple[str, bytes]]:
        """What each picture says before its pixels, the flattened one first."""
        layers = [(node.source, f"the layer {quoted(node.name[:40])}") for node in self.all_layers]
        named: dict[str, str] = {}
        for source, what in ((_MERGED, "the flattened picture"), *layers):
            named.setdefault(source, what)
        for source, what in named.items():
            if source.lower().endswith(".png") and source in self._archive:
                with suppress(TapestryError):  # a damaged one is reported where it is decoded
                    head = self._archive.start(source, MAX_PROFILE_BYTES)
                    if head and not reaches_pixels(head):  # a long note may stand before a profile
                        head = self._archive.read(source)
                    yield what, head

    def _notes_on_modes(self) -> Iterator[str]:
        """Blending modes that Tapestry does not support."""
        for node in self.all_layers:
            if node.is_shown and not is_known(node.composite_op):
                yield (
                    f"The blending mode {quoted(node.composite_op[:40])} of the layer "
                    f"{quoted(node.name[:40])} "
                    "is not known here: its own paint is read as if it were normal."
                )

    def _notes_on_profiles(self) -> Iterator[str]:
        """Profiles that cannot all hold for the result."""
        profiles: dict[bytes, str] = {}
        for what, head in self._heads():
            profile = profile_of(head)
            if profile:
                profiles.setdefault(profile, what)
            elif profile is not None:
                yield unused_profile(what)
        if len(profiles) > 1:
            first, *_ = profiles.values()
            yield (
                f"The file has {len(profiles)} different colour profiles: the result has that of "
                f"{first}, and its numbers are those of the layers, which nothing converts."
            )

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
        layers: Sequence[ResultLayer] = (),
    ) -> bytes:
        """The .ora file with the result as a new layer, on top or lowest.

        Pictures of other layers are the same bytes; stack.xml is written anew, with all that
        was in it. `flattened` is what `with_result` gave, for viewers without layers.
        settings: what is written about layers of this document as regions.
        layers: the result is a group of these instead, topmost first.
        """
        parts = layers or [ResultLayer(name, as_array(result))]
        sources = self._new_sources(len(parts))
        new = [
            NewLayer(part.name, source, part.top, part.left)
            for part, source in zip(parts, sources, strict=True)
        ]
        pictures = (encode_png(part.pixels, self.colours_meant) for part in parts)
        stack = self._stack.with_layer(
            name,
            sources[0],
            margins,
            lowest=lowest,
            settings=settings,
            inner=new if layers else (),
        )
        return self._archive.copy(
            {
                _STACK: stack,
                _MERGED: encode_png(flattened, self.colours_meant),
                _THUMBNAIL: thumbnail_png(flattened),
                **dict(zip(sources, pictures, strict=True)),
            }
        )

    def saved_larger(
        self, larger: np.ndarray, name: str, settings: Sequence[tuple[Node, str]] = ()
    ) -> tuple[bytes, list[str]]:
        """The .ora file as large as this picture, uint8 [height, width, 4], which lies on top.

        All layers become larger with it. Also sentences about those that do not. settings: as in
        `saved_with_result`.
        """
        height, width = larger.shape[:2]
        (source,) = self._new_sources(1)
        notes: list[str] = []
        pictures: dict[str, bytes] = {}
        for node in self.all_layers:
            if node.kind == "layer" and node.source and node.source not in pictures:
                picture = self._larger(node, height / self.height, width / self.width, notes)
                if picture is not None:
                    pictures[node.source] = encode_png(picture, self._colours_of(node))
        flattened = scaled(self.flattened, height, width)
        lay_over(flattened, larger, 0, 0)
        stack = self._stack.enlarged(height, width, name, source, settings=settings)
        changed = {
            _STACK: stack,
            **pictures,
            source: encode_png(larger, self.colours_meant),
            _MERGED: encode_png(flattened, self.colours_meant),
            _THUMBNAIL: thumbnail_png(flattened),
        }
        return self._archive.copy(changed), notes

    def with_notes(
        self,
        saved: bytes,
        of_whole: Callable[[bytes], bytes],
        of_result: Callable[[bytes], bytes],
    ) -> bytes:
        """A file that `saved_with_result` or `saved_larger` gave, with other PNG files inside.

        of_whole: what becomes of that of the flattened picture; of_result: of the result's layers.
        """
        archive = Archive(saved)
        new = [name for name in archive.names - self._archive.names if name.startswith(_RESULT)]
        changed = {name: of_result(archive.read(name)) for name in sorted(new)}
        return archive.copy({_MERGED: of_whole(archive.read(_MERGED)), **changed})

    def _new_sources(self, wanted: int) -> list[str]:
        """Names of files that are not there yet."""
        names = (f"{_RESULT}{number}.png" for number in count(1))
        return [*islice((name for name in names if name not in self._archive), wanted)]

    def _larger(
        self, layer: Node, down: float, across: float, notes: list[str]
    ) -> np.ndarray | None:
        """A layer's picture so many times as high and as wide; None where it stays as it is."""
        shown = f"The layer {quoted(layer.name[:40])} keeps its size"
        if not self.has_pixels(layer):
            notes.append(f"{shown}: it is not stored as pixels.")
            return None
        if layer.source in self._damage:
            return None  # that is told already
        try:
            pixels = decode_png(self._archive.read(layer.source), shown)
        except TapestryError:
            notes.append(f"{shown}: its picture is damaged or missing.")
            return None
        # Both edges are rounded, so that layers that touch each other still do.
        top, left = round(layer.top * down), round(layer.left * across)
        height = max(1, round((layer.top + pixels.shape[0]) * down) - top)
        width = max(1, round((layer.left + pixels.shape[1]) * across) - left)
        if height * width > MAX_CANVAS_PX or max(height, width) > MAX_SIDE_PX:
            notes.append(f"{shown}: it reaches too far beyond the canvas to become larger.")
            return None
        return scaled(pixels, height, width)

    def _colours_of(self, layer: Node) -> bytes:
        """What a layer's own picture says of its colours."""
        head = self._archive.start(layer.source, MAX_PROFILE_BYTES)
        if head and not reaches_pixels(head):
            head = self._archive.read(layer.source)
        return colours_of(head)

    def _lay_children(self, canvas: np.ndarray, group: Node, area: Bounds) -> None:
        """Lay a group's visible layers onto a canvas that shows `area`."""
        self._lay(canvas, group.children, area, 1.0)

    def _lay(self, canvas: np.ndarray, nodes: Sequence[Node], area: Bounds, opacity: float) -> None:
        for node in reversed(nodes):
            if not node.is_shown:
                continue
            own = opacity * node.opacity
            if node.passes_through:
                self._lay(canvas, node.children, area, own)
                continue
            how = own, node.operator, blend_of(node.composite_op)
            if node.kind == "stack":
                inner = transparent(area.height, area.width)
                self._lay_children(inner, node, area)
                lay_over(canvas, inner, 0, 0, *how)
            elif (pixels := self._pixels(node)) is not None:
                lay_over(canvas, pixels, node.top - area.top, node.left - area.left, *how)

    def _coverage(self, area: Bounds) -> Coverage:
        return Coverage(self._alpha, area)

    def _alpha(self, layer: Node) -> np.ndarray | None:
        pixels = self._pixels(layer)
        return None if pixels is None else pixels[..., 3]

    def _pixels(self, layer: Node) -> np.ndarray | None:
        if not self.has_pixels(layer):
            return None
        what = f"The layer {quoted(layer.name[:40])}"
        if layer.source not in self._damage:
            with self._doing_without(layer.source, f"{what} was left out"):
                return self._decode(self._archive.read(layer.source), what)
        return None

    @contextmanager
    def _doing_without(self, source: str, sentence: str) -> Iterator[None]:
        """Inside, a damaged picture is noted, not raised; one that is too large still raises."""
        try:
            yield
        except TapestryError as error:
            if error.code is not ErrorCode.BAD_REQUEST:
                raise
            self._damage[source] = f"{sentence}: its picture is damaged or missing."

    def _decode(self, data: bytes, what: str) -> np.ndarray:
        height, width = png_size(data, what)
        self._check_budget(height * width)
        self._budget_px -= height * width
        return decode_png(data, what)

    def _header_px(self, layer: Node) -> int:
        """Pixels of a visible layer by its header; one that has none is looked at when needed."""
        return math.prod(self._header_size(layer)) if layer.visible else 0

    def _header_size(self, layer: Node) -> tuple[int, int]:
        """Height and width of a layer by its header; of none where it has no sound one."""
        if self.has_pixels(layer):
            with suppress(TapestryError):
                header = self._archive.start(layer.source, HEADER_BYTES)
                return png_size(header, layer.source)
        return 0, 0

    def _check_budget(self, wanted_px: int) -> None:
        if wanted_px > self._budget_px:
            raise too_large("its layers together have far more pixels than its canvas")


def as_array(pixels: Pixels) -> np.ndarray:
    """Pixels as uint8 [height, width, channels], without a copy."""
    size = (pixels.height, pixels.width, pixels.channels)
    return np.frombuffer(pixels.data, np.uint8).reshape(size)


def as_pixels(array: np.ndarray) -> Pixels:
    """uint8 [height, width, channels], or [height, width] for a mask, as raw pixels."""
    channels = array.shape[2] if array.ndim > 2 else 1
    return Pixels(array.shape[0], array.shape[1], channels, array.tobytes())


def trimmed(covered: np.ndarray, area: Bounds) -> tuple[Bounds, np.ndarray] | None:
    """The smallest part of an alpha that holds everything; None when there is nothing."""
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    if not rows.size:
        return None
    inside = Bounds(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    return inside.moved(area.top, area.left), np.ascontiguousarray(covered[slices(inside)])
