"""How much of the canvas layers and groups cover, by their alpha and by how they are composed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tapestry_protocol.blending import KeptPart
from tapestry_protocol.pixels import Bounds

from .compose import covered, shared
from .stack import Node

ReadAlpha = Callable[[Node], np.ndarray | None]
"""The alpha of a layer, uint8 [height, width] of its own size; None where it has no pixels."""


@dataclass(frozen=True)
class _Part:
    """What is composed as one: a layer, or a group that is a picture of its own.

    opacity  of the part, and of the groups around it that let it pass through
    """

    node: Node
    opacity: float


class Coverage:
    """Alpha of layers and groups, uint8 [height, width], within `area` of the canvas."""

    def __init__(self, read_alpha: ReadAlpha, area: Bounds) -> None:
        self._read_alpha = read_alpha
        self._area = area

    def of(self, node: Node, backdrop: np.ndarray | None = None) -> np.ndarray | None:
        """A layer or group; None where it has no pixels at all.

        Its own opacity does not count: it is a way of looking at the layer. backdrop: what lies
        beneath it, where that decides what is seen of it.
        """
        if node.kind == "layer":
            alpha = self._placed(node, 1.0)
            if alpha is None or backdrop is None:
                return alpha
            return shared(alpha, backdrop, node.operator.above)
        if node.passes_through:
            return self._composed(_parts(node), backdrop)
        alpha = self._composed(_parts_inside(node))
        if alpha is None or backdrop is None:
            return alpha
        return shared(alpha, backdrop, node.operator.above)

    def laid(
        self, node: Node, below: np.ndarray | None
    ) -> tuple[np.ndarray | None, list[tuple[np.ndarray, KeptPart]]]:
        """What covers anything once this node lies on `below`, and what it takes from lower ones.

        The second is a list of alphas with the share by them that lower nodes keep.
        """
        taken: list[tuple[np.ndarray, KeptPart]] = []
        for part in _parts(node):
            operator = part.node.operator
            # What an artist looks through covers as if it were opaque, but half erased is half.
            opacity = part.opacity if operator.adds_paint else part.opacity * node.opacity
            alpha = self._of_part(_Part(part.node, opacity))
            if alpha is None:
                continue
            empty = np.zeros_like(alpha) if below is None else below
            below = covered(empty, alpha, operator, empty)
            if operator.kept != "all":
                taken.append((alpha, operator.kept))
        return below, taken

    def _composed(
        self, parts: Iterator[_Part], backdrop: np.ndarray | None = None
    ) -> np.ndarray | None:
        """What parts cover together, lowest first, on a backdrop that is none of them."""
        total: np.ndarray | None = None
        beneath = backdrop
        for part in parts:
            alpha = self._of_part(part)
            if alpha is None:
                continue
            operator = part.node.operator
            total = np.zeros_like(alpha) if total is None else total
            if beneath is None:
                total = covered(total, alpha, operator, total)
                continue
            total = covered(total, alpha, operator, beneath)
            beneath = covered(beneath, alpha, operator, beneath)
        return total

    def _of_part(self, part: _Part) -> np.ndarray | None:
        if part.node.kind == "layer":
            return self._placed(part.node, part.opacity)
        alpha = self._composed(_parts_inside(part.node))
        return alpha if alpha is None else _thinned(alpha, part.opacity)

    def _placed(self, layer: Node, opacity: float) -> np.ndarray | None:
        """A layer's alpha where it lies in the area."""
        alpha = self._read_alpha(layer)
        if alpha is None:
            return None
        area, canvas = self._area, np.zeros((self._area.height, self._area.width), np.uint8)
        own = Bounds(layer.top, layer.left, layer.top + alpha.shape[0], layer.left + alpha.shape[1])
        common = own.intersection(area)
        if not common.is_empty:
            seen = alpha[slices(common.moved(-own.top, -own.left))]
            canvas[slices(common.moved(-area.top, -area.left))] = _thinned(seen, opacity)
        return canvas


class Siblings:
    """Nodes that lie over each other, topmost first, and what is seen of each among the others.

    An eraser takes from all below it, a clipped layer is seen only on what lies beneath it.
    """

    def __init__(self, coverage: Coverage, nodes: Sequence[Node]) -> None:
        self._coverage = coverage
        self._backdrops: dict[int, np.ndarray | None] = {}
        self._takers: list[tuple[int, np.ndarray, KeptPart]] = []
        self._nothing: np.ndarray | None = None
        shown = [(place, node) for place, node in enumerate(nodes) if node.is_shown]
        clipped = [place for place, node in shown if _needs_backdrop(node)]
        below: np.ndarray | None = None
        for place, node in reversed(shown):
            if place in clipped:
                self._backdrops[place] = below
            is_beneath = bool(clipped) and place > clipped[0]
            if is_beneath or any(part.node.operator.kept != "all" for part in _parts(node)):
                below, taken = coverage.laid(node, below)
                self._takers += [(place, alpha, kept) for alpha, kept in taken]
        self._places = {id(node): place for place, node in enumerate(nodes)}

    def hide(self, nothing: np.ndarray) -> None:
        """Have nothing be seen where this is true, bool [height, width]."""
        self._nothing = nothing

    def of(self, node: Node) -> np.ndarray | None:
        """What is seen of one of these nodes, uint8 [height, width]; None: it has no pixels."""
        place = self._places[id(node)]
        backdrop = self._backdrops.get(place)
        alpha = self._coverage.of(node, backdrop)
        if alpha is None:
            return None
        if place in self._backdrops and backdrop is None and node.operator.above == "in":
            return np.zeros_like(alpha)
        for above, other, kept in self._takers:
            if above < place:
                alpha = shared(alpha, other, kept)
        return alpha if self._nothing is None else np.where(self._nothing, np.uint8(0), alpha)

    def takes_all_of(self, node: Node) -> bool:
        """Whether a node has paint, and those around it leave nothing of it to be seen."""
        alone = self._coverage.of(node, self._backdrops.get(self._places[id(node)]))
        seen = self.of(node)
        return alone is not None and bool(alone.any()) and (seen is None or not bool(seen.any()))


def slices(bounds: Bounds) -> tuple[slice, slice]:
    """The rows and columns of an array that a rectangle means."""
    return slice(bounds.top, bounds.bottom), slice(bounds.left, bounds.right)


def _parts(node: Node, opacity: float = 1.0) -> Iterator[_Part]:
    """What a node is composed of, lowest first; the node's own opacity does not count."""
    if not node.passes_through:
        yield _Part(node, opacity)
        return
    yield from _parts_inside(node, opacity)


def _parts_inside(group: Node, opacity: float = 1.0) -> Iterator[_Part]:
    for child in reversed(group.children):
        if child.is_shown:
            yield from _parts(child, opacity * child.opacity)


def _needs_backdrop(node: Node) -> bool:
    return any(part.node.operator.needs_backdrop for part in _parts(node))


def _thinned(alpha: np.ndarray, opacity: float) -> np.ndarray:
    return alpha if opacity >= 1 else (alpha * opacity + 0.5).astype(np.uint8)
