"""stack.xml: the tree of layers, and the smallest edits that add a layer or grow the canvas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from xml.parsers import expat
from xml.sax.saxutils import escape

from tapestry_protocol.limits import MAX_SIDE_PX
from tapestry_protocol.pixels import Margins

from .errors import damaged
from .limits import MAX_STACK_DEPTH

_START_TAG = re.compile(rb"""<[^\s/>"']+(?:"[^"]*"|'[^']*'|[^"'>])*>""")
_ATTRIBUTE = re.compile(rb"""\s([^\s=/>"']+)\s*=\s*("[^"]*"|'[^']*')""")


@dataclass
class Node:
    """A layer or a group of layers as stack.xml tells of it; children topmost first.

    `tag` is where its start tag stands in the file; `top` and `left` are pixels of the canvas.
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
    children: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        """The node itself and everything in it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True)
class Stack:
    """A stack.xml as read: size of the canvas, the root group, and the bytes they stand in.

    `unknown` holds the names of elements that are neither layer nor group; they are left alone.
    """

    height: int
    width: int
    root: Node
    unknown: tuple[str, ...]
    image_tag: slice
    data: bytes

    def with_layer(self, name: str, source: str, margins: Margins) -> bytes:
        """The file with one more layer on top, its canvas grown; everything else byte for byte.

        The new layer fills the grown canvas.
        """
        edits = [(self.root.tag, self._opened(name, source))]
        if not margins.is_zero:
            height = self.height + margins.top + margins.bottom
            width = self.width + margins.left + margins.right
            edits.append((self.image_tag, self._changed(self.image_tag, h=height, w=width)))
        if margins.top or margins.left:
            for node in self.root.walk():
                if node.kind == "layer":
                    y, x = node.top + margins.top, node.left + margins.left
                    edits.append((node.tag, self._changed(node.tag, x=x, y=y)))
        data = self.data
        for where, new in sorted(edits, key=lambda edit: edit[0].start, reverse=True):
            data = data[: where.start] + new + data[where.stop :]
        return data

    def _opened(self, name: str, source: str) -> bytes:
        """The root group's start tag followed by the new layer."""
        # References keep the text right in whatever encoding the file declares.
        quoted = escape(name, {'"': "&quot;"}).encode("ascii", "xmlcharrefreplace").decode()
        layer = (
            f'\n  <layer name="{quoted}" src="{source}" x="0" y="0" opacity="1" '
            'visibility="visible" composite-op="svg:src-over"/>'
        ).encode()
        tag = self.data[self.root.tag]
        if tag.endswith(b"/>"):
            return tag[:-2] + b">" + layer + b"</stack>"
        return tag + layer

    def _changed(self, tag: slice, **attributes: int) -> bytes:
        """A start tag with some attributes set, the others as they were."""
        text = self.data[tag]
        for key, value in attributes.items():
            quoted = f'"{value}"'.encode()
            found = next((m for m in _ATTRIBUTE.finditer(text) if m[1] == key.encode()), None)
            if found:
                text = text[: found.start(2)] + quoted + text[found.end(2) :]
            else:
                end = len(text) - (2 if text.endswith(b"/>") else 1)
                text = text[:end] + f" {key}=".encode() + quoted + text[end:]
        return text


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
    return Stack(reader.height, reader.width, reader.root, unknown, reader.image_tag, data)


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
        self.unknown: list[str] = []
        self.open: list[Node | None] = []
        """The elements around the current one; None for those that we leave alone."""

    def start(self, element: str, attributes: dict[str, str]) -> None:
        if len(self.open) > MAX_STACK_DEPTH:
            raise damaged(f"its groups lie more than {MAX_STACK_DEPTH} deep")
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
        node = _node(element, attributes, self._tag())
        if parent is not None:
            parent.children.append(node)
        else:
            self.root = node
        self.open.append(node)

    def end(self, _element: str) -> None:
        self.open.pop()

    def _image(self, element: str, attributes: dict[str, str]) -> None:
        if element != "image":
            raise damaged("stack.xml holds no picture")
        self.height, self.width = (
            _integer(attributes.get(key, ""), f"the canvas's {key}", low=1) for key in ("h", "w")
        )
        self.image_tag = self._tag()
        self.open.append(None)

    def _tag(self) -> slice:
        start = self.parser.CurrentByteIndex
        found = _START_TAG.match(self.data, start)
        if found is None:
            raise damaged("stack.xml cannot be read")
        return slice(start, found.end())


def _node(kind: str, attributes: dict[str, str], tag: slice) -> Node:
    name = attributes.get("name", "").strip()
    try:
        opacity = float(attributes.get("opacity", "1"))
    except ValueError:
        opacity = -1.0
    if not 0 <= opacity <= 1:
        raise damaged(f"the opacity of {name[:40]!r} is no number between 0 and 1")
    return Node(
        kind="layer" if kind == "layer" else "stack",
        name=name,
        visible=attributes.get("visibility", "visible") != "hidden",
        opacity=opacity,
        top=_integer(attributes.get("y", "0"), f"the place of {name[:40]!r}"),
        left=_integer(attributes.get("x", "0"), f"the place of {name[:40]!r}"),
        source=attributes.get("src", ""),
        composite_op=attributes.get("composite-op", "svg:src-over"),
        tag=tag,
    )


def _integer(text: str, what: str, low: int = -MAX_SIDE_PX) -> int:
    """A number of pixels; canvases beyond our limits are refused later, by their size."""
    try:
        value = int(text) if len(text) <= len("-1000000000") else None
    except ValueError:
        value = None
    if value is None or not low <= value:
        raise damaged(f"{what} is no sensible number of pixels ({text[:20]!r})")
    return value
