"""stack.xml: the tree of layers, and the edits that add a layer or grow the canvas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from posixpath import normpath
from typing import Literal
from xml.etree.ElementTree import Element, TreeBuilder, tostring
from xml.parsers import expat

from tapestry_protocol.blending import ATOP, Operator, operator_of
from tapestry_protocol.layer_names import plain_name
from tapestry_protocol.pixels import Margins
from tapestry_protocol.sentences import quoted

from .errors import damaged
from .limits import MAX_STACK_DEPTH, MAX_STACK_ELEMENTS

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that no XML file may hold, not even by reference."""

_OVER = "svg:src-over"
_LARGEST_NUMBER = 10**9
_ROUNDING = 1e-3
"""An opacity that lies less than this beyond 0 or 1 is rounded without a note."""

_HIDDEN = {"hidden", "none", "false", "no", "0", "collapse"}
"""OpenRaster's own word, and what else is written for it."""

_PIXELS = {"": 1.0, "px": 1.0}

_SETTINGS = "tapestry:region"
_NAMESPACE = ("xmlns:tapestry", "urn:tapestry")
"""Declared beside the attribute: readers with namespaces refuse a prefix without one."""


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

    `number` is its element's place in the file; `top` and `left` are pixels of the canvas;
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
    number: int
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
    """A stack.xml as read: size of the canvas, the root group, and the elements behind both.

    `unknown` holds the names of elements that are neither layer nor group; they are left alone.
    `notes` tells of layers whose numbers make no sense.
    """

    height: int
    width: int
    root: Node
    unknown: tuple[str, ...]
    notes: tuple[str, ...]
    image: Element

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
        """The file with one more layer, its canvas grown; all other elements as they were.

        The new layer fills the grown canvas, and lies on top of all others or below them all.
        inner: it is a group of these instead, topmost first.
        settings: nodes of this stack, and what is to be written about each as a region.
        """
        image = deepcopy(self.image)
        elements = list(image.iter())
        if not margins.is_zero:
            image.set("h", str(self.height + margins.top + margins.bottom))
            image.set("w", str(self.width + margins.left + margins.right))
        if margins.top or margins.left:
            for node in self.root.walk():
                if node.kind == "layer":
                    elements[node.number].set("x", str(node.left + margins.left))
                    elements[node.number].set("y", str(node.top + margins.top))
        _write_settings(elements, settings)
        new = _group(name, inner) if inner else _layer(NewLayer(name, source))
        _insert(elements[self.root.number], new, lowest=lowest)
        return tostring(image, encoding="UTF-8", xml_declaration=True)

    def enlarged(
        self,
        height: int,
        width: int,
        name: str,
        source: str,
        *,
        settings: Sequence[tuple[Node, str]] = (),
    ) -> bytes:
        """The file on a canvas of this size, each layer at its place, and one more on top.

        The new layer fills the canvas; settings: as in `with_layer`.
        """
        image = deepcopy(self.image)
        elements = list(image.iter())
        image.set("h", str(height))
        image.set("w", str(width))
        for node in self.root.walk():
            if node.kind == "layer":
                elements[node.number].set("x", str(round(node.left * width / self.width)))
                elements[node.number].set("y", str(round(node.top * height / self.height)))
        _write_settings(elements, settings)
        _insert(elements[self.root.number], _layer(NewLayer(name, source)), lowest=False)
        return tostring(image, encoding="UTF-8", xml_declaration=True)


def _write_settings(elements: Sequence[Element], settings: Sequence[tuple[Node, str]]) -> None:
    for node, text in settings:
        elements[node.number].set(*_NAMESPACE)
        elements[node.number].set(_SETTINGS, _written_in_xml(text))


def _layer(new: NewLayer) -> Element:
    where = {"x": str(new.left), "y": str(new.top)}
    return Element("layer", _shown(new.name) | {"src": new.source} | where)


def _group(name: str, inner: Sequence[NewLayer]) -> Element:
    group = Element("stack", _shown(name))
    group.extend(map(_layer, inner))
    return group


def _shown(name: str) -> dict[str, str]:
    return {
        "name": _written_in_xml(name),
        "opacity": "1",
        "visibility": "visible",
        "composite-op": _OVER,
    }


def _insert(group: Element, new: Element, *, lowest: bool) -> None:
    """Add to a group on top, or lowest, on a line of its own where the others have one."""
    indent = group.text
    if lowest and len(group):
        new.tail, group[-1].tail = group[-1].tail, indent
        group.append(new)
    else:
        new.tail = indent
        group.insert(0, new)


def _written_in_xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def parse_stack(data: bytes) -> Stack:
    """Read a stack.xml; raises TapestryError when it is none, or declares entities."""
    image = _parse(data)
    if image.tag != "image":
        raise damaged("stack.xml holds no picture")
    height, width = (_side(image.attrib, key) for key in ("h", "w"))
    reader = _LayerReader(image)
    if reader.root is None:
        raise damaged("stack.xml holds no picture")
    return Stack(height, width, reader.root, tuple(reader.unknown), tuple(reader.notes), image)


def _parse(data: bytes) -> Element:
    """The file's elements, with prefixes and their declarations as they are written."""
    builder = _BoundedBuilder(insert_comments=True, insert_pis=True)
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.CommentHandler = builder.comment
    parser.ProcessingInstructionHandler = builder.pi
    parser.StartDoctypeDeclHandler = _refuse_declarations
    parser.SkippedEntityHandler = _refuse_entity
    try:
        parser.Parse(data, True)  # noqa: FBT003  expat takes no keywords
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise damaged(f"stack.xml cannot be read ({error})") from error
    return builder.close()


def _refuse_declarations(_name: str, _system: object, _public: object, has_inner: int) -> None:
    """A document type alone is harmless; what it names elsewhere is never read."""
    if has_inner:
        raise damaged("stack.xml declares entities or the like, which no picture needs")


def _refuse_entity(name: str, _is_parameter: object) -> None:
    raise damaged(f"stack.xml uses the entity {quoted(name[:40])}, which it does not declare")


class _BoundedBuilder(TreeBuilder):
    """Builds a tree of a bounded number of elements and of a bounded depth."""

    _depth = _count = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._depth += 1
        self._count += 1
        if self._depth > MAX_STACK_DEPTH + 1:
            raise damaged(
                f"its groups lie more than {MAX_STACK_DEPTH} deep",
                "Merge some of its groups in Krita, then export it again.",
            )
        if self._count > MAX_STACK_ELEMENTS:
            raise damaged(f"stack.xml has more than {MAX_STACK_ELEMENTS} elements")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


class _LayerReader:
    """The layers and groups of an image element, and notes about the others."""

    def __init__(self, image: Element) -> None:
        self.root: Node | None = None
        self.unknown: list[str] = []
        self.notes: list[str] = []
        self._numbers = {element: number for number, element in enumerate(image.iter())}
        for child in _elements(image):
            if child.tag == "stack" and self.root is None:
                self.root = self._node(child)
            else:
                self._leave_alone(child)

    def _node(self, element: Element) -> Node:
        node = _node(element.tag, element.attrib, self._numbers[element], self.notes)
        for child in _elements(element):
            if child.tag in {"layer", "stack"}:
                node.children.append(self._node(child))
            else:
                self._leave_alone(child)
        return node

    def _leave_alone(self, element: Element) -> None:
        self.unknown.extend(each.tag[:40] for each in element.iter() if isinstance(each.tag, str))


def _elements(parent: Element) -> Iterator[Element]:
    """All but comments and the like."""
    return (child for child in parent if isinstance(child.tag, str))


def _node(kind: str, attributes: dict[str, str], number: int, notes: list[str]) -> Node:
    """The layer or group of an element; numbers that make no sense are noted in `notes`."""
    name = plain_name(attributes.get("name", ""))
    shown = f"The layer {quoted(name[:40])}"
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
        number=number,
        settings=attributes.get(_SETTINGS, ""),
        keeps_alpha=attributes.get("alpha-preserve", "").strip().lower() in {"true", "1"},
        # A group without the attribute, as most programs write them, is a picture of its own.
        passes_through=attributes.get("isolation") == "auto" and composite_op in {"", _OVER},
    )


def _place_of(source: str) -> str:
    """The name of a file inside the archive as it is listed there: no "./" or "/" before it."""
    return normpath(source.replace("\\", "/")).lstrip("/") if source else ""


def _side(attributes: dict[str, str], key: str) -> int:
    """The canvas's height or width; one beyond our limits is refused later, by its size."""
    value = _number(attributes.get(key, ""))
    if value is None or value < 1:
        raise damaged(
            f"the canvas's {key} is no sensible number of pixels ({_written(attributes, key)})"
        )
    return round(value)


def _written(attributes: dict[str, str], key: str) -> str:
    return quoted(attributes.get(key, "")[:20])


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
