"""A new layer of a Krita document, on its way into it.

Pictures stay what models paint in, RGBA of 8 bits, in documents of every colour model and depth:
Krita shows a layer in its document's colours. Krita 5.1 can convert layers only, and each time
leaves a step to be undone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapestry_protocol.pixels import Pixels

from ..document.canvas import Merged
from ..qt.compat import QByteArray, QImage
from .layer_tree import find_node
from .menu import added, merged_down

SRGB = "sRGB-elle-V2-srgbtrc.icc"
"""The profile of Krita's own 8-bit documents; what models paint in."""


class KritaLayerDraft:
    """A new layer that is not in the document yet.

    masked    it shows through a mask, which it gets when it becomes a part of a group
    """

    def __init__(self, document: Callable[[], Any], name: str, *, masked: bool = False) -> None:
        self._open_document = document
        self._name = name
        self._node: Any = None
        self._mask: Any = None
        self.masked = masked

    def write(self, pixels: Pixels, top: int, left: int) -> None:
        """Paint RGBA pixels (8 bits, sRGB, straight alpha) with their corner at (top, left)."""
        image = image_of(pixels).convertToFormat(QImage.Format.Format_ARGB32)
        data = QByteArray(image.constBits().asstring(len(pixels.data)))
        self.node.setPixelData(data, left, top, pixels.width, pixels.height)

    def write_mask(self, mask: Pixels, top: int, left: int) -> None:
        """Say how much of the layer shows: 1 channel, with its corner at (top, left)."""
        self._mask.setPixelData(QByteArray(mask.data), left, top, mask.width, mask.height)

    def take_mask(self, mask: Any) -> None:
        """Show through this mask of Krita's from now on."""
        self._mask = mask
        self.node.addChildNode(mask, None)

    @property
    def _document(self) -> Any:
        """Raises TapestryError when it was closed."""
        return self._open_document()

    def rename(self, name: str) -> None:
        """Give it another name."""
        self.node.setName(name)

    async def insert(self, above: str = "") -> str:
        """Put the layer into the document, as one step that can be undone; gives its id."""
        if self._node is None and self._is_of_its_colors:
            self._node = await added(self._open_document, "paintlayer", above)
            if self._node is not None:
                self._node.setName(self._name)
                return self._node.uniqueId().toString()
        document = self._document
        lower = find_node(document, above) if above else None
        parent = lower.parentNode() if lower is not None else document.rootNode()
        parent.addChildNode(self.node, lower)
        return self.node.uniqueId().toString()

    @property
    def node(self) -> Any:
        """Krita's layer; made when it is first used."""
        if self._node is None:
            self._node = self._document.createNode(self._name, "paintlayer")
            self._node.setColorSpace("RGBA", "U8", SRGB)
        return self._node

    @property
    def _is_of_its_colors(self) -> bool:
        """Whether the document's own new layers are what models paint in."""
        document = self._document
        space = (document.colorModel(), document.colorDepth(), document.colorProfile())
        return space == ("RGBA", "U8", SRGB)

    async def merge_into(self, layer_id: str) -> Merged | None:
        """Paint it into the layer right above which it was inserted, as one more step of undo."""
        parent = self.node.parentNode()
        siblings = parent.childNodes() if parent is not None else []
        ids = [node.uniqueId().toString() for node in siblings]
        own = self.node.uniqueId().toString()
        place = ids.index(own) - 1 if own in ids else -1
        if place < 0 or ids[place] != layer_id or not takes_paint(siblings[place]):
            return None
        before = siblings[place].duplicate()
        if not await merged_down(self._open_document, self.node):
            self.node.mergeDown()  # Krita waits until it is done
        document, merged = self._document, parent.childNodes()[place]

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
