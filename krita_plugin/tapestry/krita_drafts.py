"""A new layer of a Krita document, on its way into it; knows BGRA.

Pictures stay what models paint in, RGBA of 8 bits, in documents of every colour model and depth:
Krita shows a layer in its document's colours. Krita 5.1 can convert layers only, and each time
leaves a step to be undone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapestry_protocol.pixels import Pixels

from .canvas import Merged
from .krita_tree import find_node
from .qt import QByteArray, QImage

SRGB = "sRGB-elle-V2-srgbtrc.icc"
"""The profile of Krita's own 8-bit documents; what models paint in."""


class KritaLayerDraft:
    """A new layer that is not in the document yet."""

    def __init__(self, document: Callable[[], Any], name: str) -> None:
        self._open_document = document
        self._node = self._document.createNode(name, "paintlayer")
        self._node.setColorSpace("RGBA", "U8", SRGB)

    def write(self, pixels: Pixels, top: int, left: int) -> None:
        """Paint RGBA pixels (8 bits, sRGB, straight alpha) with their corner at (top, left)."""
        image = image_of(pixels).convertToFormat(QImage.Format.Format_ARGB32)
        data = QByteArray(image.constBits().asstring(len(pixels.data)))
        self._node.setPixelData(data, left, top, pixels.width, pixels.height)

    @property
    def _document(self) -> Any:
        """Raises TapestryError when it was closed."""
        return self._open_document()

    def rename(self, name: str) -> None:
        """Give it another name."""
        self._node.setName(name)

    def insert(self, above: str = "") -> str:
        """Put the layer into the document, as one step that can be undone; gives its id."""
        document = self._document
        lower = find_node(document, above) if above else None
        parent = lower.parentNode() if lower is not None else document.rootNode()
        parent.addChildNode(self._node, lower)
        return self._node.uniqueId().toString()

    @property
    def node(self) -> Any:
        """The layer as Krita knows it."""
        return self._node

    def merge_into(self, layer_id: str) -> Merged | None:
        """Paint it into the layer right above which it was inserted, as one more step of undo."""
        document, parent = self._document, self._node.parentNode()
        siblings = parent.childNodes() if parent is not None else []
        ids = [node.uniqueId().toString() for node in siblings]
        own = self._node.uniqueId().toString()
        place = ids.index(own) - 1 if own in ids else -1
        if place < 0 or ids[place] != layer_id or not takes_paint(siblings[place]):
            return None
        before = siblings[place].duplicate()
        self._node.mergeDown()  # Krita waits until it is done
        merged = parent.childNodes()[place]

        def take_back() -> None:
            merged.parentNode().addChildNode(before, merged)
            merged.remove()
            document.refreshProjection()

        return Merged(merged.uniqueId().toString(), take_back)


def takes_paint(node: Any) -> bool:
    """Whether it is a paint layer that is not locked."""
    return node is not None and node.type() == "paintlayer" and not node.locked()


def image_of(pixels: Pixels) -> QImage:
    """RGBA pixels as Qt takes them; they must live as long as the image."""
    size = (pixels.width, pixels.height, pixels.width * 4)
    return QImage(pixels.data, *size, QImage.Format.Format_RGBA8888)
