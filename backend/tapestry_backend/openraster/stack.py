"""stack.xml: the tree of layers, and the smallest edits that add a layer or grow the canvas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import normpath
from typing import Literal
from xml.parsers import expat
from xml.sax.saxutils import escape

from tapestry_protocol.blending import ATOP, Operator, operator_of
from tapestry_protocol.layer_names import plain_name
from tapestry_protocol.pixels import Margins

from .errors import damaged
from .limits import MAX_STACK_DEPTH

_START_TAG = re.compile(rb"""<[^\s/>"']+(?:"[^"]*"|'[^']*'|[^"'>])*>""")
_ATTRIBUTE = re.compile(rb"""\s([^\s=/>"']+)\s*=\s*("[^"]*"|'[^']*')""")

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that no XML file may hold, not even by reference."""

_IN_QUOTES = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
"""What would end the value, or be read as a space."""

_OVER = "svg:src-over"
_LARGEST_NUMBER = 10**9
_ROUNDING = 1e-3
"""As far may an opacity lie beyond 0 or 1 without a word."""

_HIDDEN = {"hidden", "none", "false", "no", "0", "collapse"}
"""OpenRaster's own word, and what else is written for it."""

_PIXELS = {"": 1.0, "px": 1.0}

_SETTINGS = "tapestry:region"
_NAMESPACE = {"xmlns:tapestry": "urn:tapestry"}
"""Declared beside the attribute: readers that know of namespaces refuse a prefix without one."""


@dataclass(frozen=True)
class NewLayer:
    """A layer that is added: the picture of this name, with its corner there."""

    name: str
    source: str
    top: int = 0
    left: int = 0


@dataclass
class Node:
    """A layer or a group of layers as stack.xml tells of it; children topmost first.

    `tag` is where its start tag stands in the file; `top` and `left` are pixels of the canvas;
    `settings` is what a `tapestry:region` attribute says about it as a region. `keeps_alpha` leaves
    the coverage of what lies below as it is; `passes_through` has a group's layers lie among those
    around the group.
    """

    kind: Literal["layer", "stack"]
    name: str
    visible: bool
    opacity: float
    top: int
    left: int
    source: str
    composite_op: str
    tag: slice
    settings: str = ""
    keeps_alpha: bool = False
    passes_through: bool = False
    children: list[Node] = field(default_factory=list)

    @property
    def operator(self) -> Operator:
        """How its coverage and that of what lies below become one."""
        operator = operator_of(self.composite_op)
        return ATOP if self.keeps_alpha and operator.adds_paint else operator

    @property
    def is_shown(self) -> bool:
        """Whether it is part of the picture, as far as it decides that itself."""
        return self.visible and self.opacity > 0

    def walk(self) -> Iterator[Node]:
        """The node itself and everything in it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class Stack:
    """A stack.xml as read: size of the canvas, the root group, and the bytes they stand in.

    `unknown` holds the names of elements that are neither layer nor group; they are left alone.
    `notes` tells of layers whose numbers make no sense.
    `end` is where the root group's end tag begins.
    """

    height: int
    width: int
    root: Node
    unknown: tuple[str, ...]
    notes: tuple[str, ...]
    image_tag: slice
    end: int
    data: bytes

    def with_layer(
        self,
        name: str,
        source: str,
        margins: Margins,
        *,
        lowest: bool = False,
        settings: Sequence[tuple[Node, str]] = (),
        inner: Sequence[NewLayer] = (),
    ) -> bytes:
        """The file with one more layer, its canvas grown; everything else byte for byte.

        The new layer fills the grown canvas, and lies on top of all others or below them all.
        inner: it is a group of these instead, topmost first.
        settings: nodes of this stack, and what is to be written about each as a region.
        """
        edits = [
            (tag, self._changed(tag, attributes))
            for tag, attributes in self._changes(margins, settings)
        ]
        edits.append(
            self._inserted(_group(name, inner) or _layer(NewLayer(name, source)), lowest=lowest)
        )
        data = self.data
        for where, new in sorted(edits, key=lambda edit: edit[0].start, reverse=True):
            data = data[: where.start] + new + data[where.stop :]
        return data

    def _changes(
        self, margins: Margins, settings: Sequence[tuple[Node, str]]
    ) -> Iterable[tuple[slice, dict[str, str | int]]]:
        """The start tags that change, each once, and their new attributes."""
        changes: dict[int, tuple[slice, dict[str, str | int]]] = {}
        if not margins.is_zero:
            height = self.height + margins.top + margins.bottom
            width = self.width + margins.left + margins.right
            changes[self.image_tag.start] = (self.image_tag, {"h": height, "w": width})
        if margins.top or margins.left:
            for node in self.root.walk():
                if node.kind == "layer":
                    place: dict[str, str | int] = {
                        "x": node.left + margins.left,
                        "y": node.top + margins.top,
                    }
                    changes[node.tag.start] = (node.tag, place)
        for node, text in settings:
            _, attributes = changes.setdefault(node.tag.start, (node.tag, {}))
            attributes.update({**_NAMESPACE, _SETTINGS: text})
        return changes.values()

    def _inserted(self, layer: bytes, *, lowest: bool) -> tuple[slice, bytes]:
        """Where the root group's bytes change, and into what, to hold one more layer."""
        tag = self.data[self.root.tag]
        if tag.endswith(b"/>"):
            return self.root.tag, tag[:-2] + b">" + layer + b"</stack>"
        if lowest:
            return slice(self.end, self.end), layer + b"\n "
        return self.root.tag, tag + layer

    def _changed(self, tag: slice, attributes: Mapping[str, str | int]) -> bytes:
        """A start tag with some attributes set, the others as they were."""
        text = self.data[tag]
        for key, value in attributes.items():
            quoted = _quoted(str(value))
            found = next((m for m in _ATTRIBUTE.finditer(text) if m[1] == key.encode()), None)
            if found:
                text = text[: found.start(2)] + quoted + text[found.end(2) :]
            else:
                end = len(text) - (2 if text.endswith(b"/>") else 1)
                text = text[:end] + f" {key}=".encode() + quoted + text[end:]
        return text


def _layer(new: NewLayer) -> bytes:
    return (
        b"\n  <layer name=%b src=%b "
        b'x="%d" y="%d" opacity="1" visibility="visible" composite-op="svg:src-over"/>'
    ) % (_quoted(new.name), _quoted(new.source), new.left, new.top)


def _group(name: str, inner: Sequence[NewLayer]) -> bytes:
    """The element of a group; nothing where nothing is in it."""
    if not inner:
        return b""
    head = b'\n  <stack name=%b opacity="1" visibility="visible" composite-op="svg:src-over">'
    return head % _quoted(name) + b"".join(map(_layer, inner)) + b"\n  </stack>"


def _quoted(text: str) -> bytes:
    """An attribute's value; references keep it right in whatever encoding the file declares."""
    escaped = escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text), _IN_QUOTES)
    return b'"' + escaped.encode("ascii", "xmlcharrefreplace") + b'"'


def parse_stack(data: bytes) -> Stack:
    """Read a stack.xml; raises TapestryError when it is none, or declares entities."""
    if b"\0" in data:  # the edits work on bytes, in any encoding that holds ASCII as it is
        raise damaged("stack.xml is not UTF-8")
    reader = _Reader(data)
    parser = expat.ParserCreate()
    reader.parser = parser
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(data, True)  # noqa: FBT003  expat takes no keywords
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise damaged(f"stack.xml cannot be read ({error})") from error
    if reader.image_tag is None or reader.root is None:
        raise damaged("stack.xml holds no picture")
    unknown = tuple(reader.unknown)
    return Stack(
        reader.height,
        reader.width,
        reader.root,
        unknown,
        tuple(reader.notes),
        reader.image_tag,
        reader.root_end,
        data,
    )


def _refuse_doctype(*_declaration: object) -> None:
    raise damaged("stack.xml declares entities, which no picture needs")


class _Reader:
    """Takes expat's events; knows where in the file each start tag stands."""

    parser: expat.XMLParserType

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.height = self.width = 0
        self.image_tag: slice | None = None
        self.root: Node | None = None
        self.root_end = 0
        self.unknown: list[str] = []
        self.notes: list[str] = []
        self.open: list[Node | None] = []
        """The elements around the current one; None for those that we leave alone."""

    def start(self, element: str, attributes: dict[str, str]) -> None:
        if len(self.open) > MAX_STACK_DEPTH:
            raise damaged(
                f"its groups lie more than {MAX_STACK_DEPTH} deep",
                "Merge some of its groups in Krita, then export it again.",
            )
        if not self.open:
            self._image(element, attributes)
            return
        parent = self.open[-1]
        top_level = len(self.open) == 1
        known = element == "stack" or (element == "layer" and not top_level)
        ignored = parent is None and not top_level
        if ignored or not known or (top_level and self.root):
            self.unknown.append(element[:40])
            self.open.append(None)
            return
        node = _node(element, attributes, self._tag(), self.notes)
        if parent is not None:
            parent.children.append(node)
        else:
            self.root = node
        self.open.append(node)

    def end(self, _element: str) -> None:
        ended = self.open.pop()
        if ended is not None and ended is self.root:
            self.root_end = self.parser.CurrentByteIndex

    def _image(self, element: str, attributes: dict[str, str]) -> None:
        if element != "image":
            raise damaged("stack.xml holds no picture")
        self.height, self.width = (_side(attributes, key) for key in ("h", "w"))
        self.image_tag = self._tag()
        self.open.append(None)

    def _tag(self) -> slice:
        start = self.parser.CurrentByteIndex
        found = _START_TAG.match(self.data, start)
        if found is None:
            raise damaged("stack.xml cannot be read")
        return slice(start, found.end())


def _node(kind: str, attributes: dict[str, str], tag: slice, notes: list[str]) -> Node:
    """The layer or group of a start tag; of a number that makes no sense is told in `notes`."""
    name = plain_name(attributes.get("name", ""))
    shown = f"The layer {name[:40]!r}"
    opacity = _number(attributes.get("opacity", "") or "1", {"": 1, "%": 0.01})
    if opacity is None or not -_ROUNDING <= opacity <= 1 + _ROUNDING:
        notes.append(
            f"{shown} is taken as opaque: its opacity is {_written(attributes, 'opacity')}."
        )
        opacity = 1.0
    places = {key: _number(attributes.get(key, "") or "0") for key in ("x", "y")}
    notes.extend(
        f"{shown} lies at {key} = 0: its {key} is {_written(attributes, key)}."
        for key, place in places.items()
        if place is None
    )
    composite_op = attributes.get("composite-op", _OVER).strip()
    return Node(
        kind="layer" if kind == "layer" else "stack",
        name=name,
        visible=attributes.get("visibility", "visible").strip().lower() not in _HIDDEN,
        opacity=min(max(opacity, 0.0), 1.0),
        top=round(places["y"] or 0),
        left=round(places["x"] or 0),
        source=_place_of(attributes.get("src", "")),
        composite_op=composite_op,
        tag=tag,
        settings=attributes.get(_SETTINGS, ""),
        keeps_alpha=attributes.get("alpha-preserve", "").strip().lower() in {"true", "1"},
        # A group that says nothing of it, as most programs write them, is a picture of its own.
        passes_through=attributes.get("isolation") == "auto" and composite_op in {"", _OVER},
    )


def _place_of(source: str) -> str:
    """The name of a file inside the archive, as it is listed there: no "./" before it."""
    return normpath(source) if source else ""


def _side(attributes: dict[str, str], key: str) -> int:
    """The canvas's height or width; one beyond our limits is refused later, by its size."""
    value = _number(attributes.get(key, ""))
    if value is None or value < 1:
        raise damaged(
            f"the canvas's {key} is no sensible number of pixels ({_written(attributes, key)})"
        )
    return round(value)


def _written(attributes: dict[str, str], key: str) -> str:
    return repr(attributes.get(key, "")[:20])


def _number(text: str, units: Mapping[str, float] = _PIXELS) -> float | None:
    """A finite number; some programs write "0,5" or "12.0" where others write "0.5" or "12".

    units: what may stand behind it, and what one of it is.
    """
    text = text.strip().lower().replace(",", ".")
    unit = next((unit for unit in units if unit and text.endswith(unit)), "")
    try:
        value = float(text.removesuffix(unit)) * units[unit]
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST_NUMBER else None
