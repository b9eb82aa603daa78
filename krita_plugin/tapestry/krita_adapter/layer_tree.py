"""Krita's tree of nodes as layers of the port."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from krita import Krita, Node

from tapestry_protocol.layer_names import plain_name
from tapestry_protocol.pixels import Bounds

from ..document.canvas import Layer
from ..document.layers import BACKGROUND
from ..qt.compat import QUuid

_WITH_PIXELS = {"paintlayer", "grouplayer", "vectorlayer", "filllayer", "filelayer", "clonelayer"}


def find_node(document: Any, layer_id: str) -> Any:
    """Krita's node of this id; None where it is gone."""
    node = document.nodeByUniqueID(QUuid(layer_id))
    if node is None or isinstance(node, Node):
        return node
    # Now and then PyKrita takes a new node for an old object of another kind in its place.
    nodes = _inside(document.rootNode())
    return next((n for n in nodes if n.uniqueId().toString() == layer_id), None)


def active_node(document: Any) -> Any:
    """The layer that the artist works on; None where there is none.

    From Krita 5.3 on `activeNode` lets the event loop turn, with all that waits there: a tenth of a
    second and more in a large document. A view that tells what is chosen does not.
    """
    window = Krita.instance().activeWindow()
    view = window.activeView() if window is not None else None
    if view is not None and view.document() == document:
        chosen = view.selectedNodes()
        if len(chosen) == 1:
            return chosen[0]
    return document.activeNode()


@lru_cache(maxsize=1)
def _first_layer_names() -> frozenset[str]:
    """What Krita calls the first layer of a new document, in the artist's language."""
    context = "Name for the bottom-most layer in the layerstack"
    return frozenset({Krita.krita_i18n(BACKGROUND), Krita.krita_i18nc(context, BACKGROUND)})


@lru_cache(maxsize=1)
def _copy_prefix() -> str:
    """What Krita puts before the name of a layer that was duplicated, in the artist's language."""
    return Krita.krita_i18n("Copy of %1").partition("%1")[0]


def _name(node: Any) -> str:
    """The layer's name as a prompt: without the words that Krita puts around it."""
    name = plain_name(node.name())
    prefix = _copy_prefix()
    while prefix and name.startswith(prefix):
        name = name[len(prefix) :]
    return BACKGROUND if name in _first_layer_names() else name


def _inside(parent: Any) -> Iterator[Any]:
    for node in parent.childNodes():
        yield node
        yield from _inside(node)


def layers_in(parent: Any) -> Iterator[Layer]:
    """The layers of a group, or of the root of a document, topmost first."""
    for node in reversed(parent.childNodes()):
        kind, rectangle = node.type(), node.bounds()
        top, left = rectangle.y(), rectangle.x()
        is_group = kind == "grouplayer"
        yield Layer(
            id=node.uniqueId().toString(),
            name=_name(node),
            bounds=Bounds(top, left, top + rectangle.height(), left + rectangle.width()),
            visible=node.visible(),
            opacity=node.opacity(),
            has_pixels=kind in _WITH_PIXELS,
            is_group=is_group,
            blending=node.blendingMode(),
            inherits_alpha=node.inheritAlpha(),
            passes_through=is_group and node.passThroughMode(),
            children=tuple(layers_in(node)) if is_group else (),
        )
