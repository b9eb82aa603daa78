"""Adds and merges layers as Krita's own menu does.

Krita 5.1's calls for plugins, `addChildNode` and `mergeDown`, wait until the whole canvas is drawn
anew, and the artist waits with them: a tenth of a second at 4096 x 2048, for an empty layer too.
The menu's actions only begin the work, and an empty layer is not drawn at all. They act on the
active layer of the active document; for any other layer the calls are the only way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from krita import Krita

from tapestry_protocol.layer_names import OWN_PREFIX

from ..common.task_queue import pause
from .layer_tree import active_node, find_node

_ADDING = {"paintlayer": "add_new_paint_layer", "grouplayer": "add_new_group_layer"}

_MERGING = "merge_layer"

_TAKE_NONE_IN = {"paintlayer", "vectorlayer", "filllayer", "filelayer", "clonelayer", "filterlayer"}
"""Above one of these a new layer comes to lie; into an open group it would go."""

_ADDED_WITHIN_S = 2.0
_KNOWN_WITHIN_S = 1.0
_MERGED_WITHIN_S = 10.0
"""Krita draws the largest canvas in a second."""


async def added(document: Callable[[], Any], kind: str, above: str) -> Any | None:
    """Add an empty layer ("paintlayer", "grouplayer") above this one, or on top of all.

    document  gives it, and raises where it was closed meanwhile

    Gives the new node; None where the menu has no way to add one there.
    """
    below, action = _below(document(), above), _action(document(), _ADDING[kind])
    if below is None or action is None:
        return None
    parent, active = below.parentNode(), active_node(document())
    before = _ids(parent)
    if not _activated(document(), below):
        return None
    action.trigger()
    end = time.monotonic() + _ADDED_WITHIN_S
    while time.monotonic() < end:
        document()
        for node in parent.childNodes():
            is_new = _id(node) not in before and node.type() == kind
            if is_new and not node.name().startswith(OWN_PREFIX):
                await _known(document, node)
                if (_id(below), _id(node)) in pairwise(_ids(parent)):
                    return node
                node.remove()  # the artist has chosen another layer just then, or undone this
                return None
        await pause()
    if active is not None:
        document().setActiveNode(active)
    return None


async def merged_down(document: Callable[[], Any], node: Any) -> bool:
    """Merge a layer into the one below; whether the menu could do it."""
    action, own = _action(document(), _MERGING), _id(node)
    if action is None or not _activated(document(), node):
        return False
    view = Krita.instance().activeWindow().activeView()
    if [_id(chosen) for chosen in view.selectedNodes()] != [own]:
        return False  # all that are chosen would be merged
    parent = node.parentNode()
    action.trigger()
    end = time.monotonic() + _MERGED_WITHIN_S
    while own in _ids(parent) and time.monotonic() < end:
        document()
        await pause()
    return own not in _ids(parent)


def _below(document: Any, above: str) -> Any | None:
    """The layer above which the menu would add another one, where that is the right place."""
    # What is selected lies on top, as a mask.
    layers = [node for node in document.rootNode().childNodes() if node.type() != "selectionmask"]
    node = find_node(document, above) if above else next(reversed(layers), None)
    if node is None or node.type() not in _TAKE_NONE_IN or node.parentNode().locked():
        return None
    return node


def _action(document: Any, name: str) -> Any | None:
    """An action of the menu, where it would work on this document."""
    action = Krita.instance().action(name)
    is_ready = action is not None and action.isEnabled()
    return action if is_ready and Krita.instance().activeDocument() == document else None


async def _known(document: Callable[[], Any], node: Any) -> None:
    """Wait until Krita's window has heard of a new layer too, which it makes the active one then.

    It complains of layers that are renamed before.
    """
    end = time.monotonic() + _KNOWN_WITHIN_S
    while time.monotonic() < end and not _is(active_node(document()), node):
        await pause()


def _activated(document: Any, node: Any) -> bool:
    """Make a layer the active one; Krita may not know one yet that was added in this very turn."""
    if not _is(active_node(document), node):
        document.setActiveNode(node)
    return _is(active_node(document), node)


def _is(found: Any | None, node: Any) -> bool:
    return found is not None and _id(found) == _id(node)


def _ids(parent: Any) -> list[str]:
    return [_id(node) for node in parent.childNodes()]


def _id(node: Any) -> str:
    return node.uniqueId().toString()
