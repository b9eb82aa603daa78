"""The one implementation of the port; the only room that knows Krita's documents and BGRA.

What Krita 5.1 can take back: a layer that was added is one step ("Add Layer"), a canvas that was
resized another one ("Resize Image"). So Generate is undone by one undo, Extend by two, and redo
brings pixels and size back. In documents of more than 8 bits there is one step more, "Convert Layer
Color Space", which changes nothing that can be seen. No undo reaches into old layers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from krita import Krita

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.pixels import Bounds, Margins, Pixels

from .backend_process import data_folder
from .canvas import Canvas, Group, Layer, Merged
from .krita_saving import SavingWatch
from .layers import BACKGROUND
from .pixel_bytes import alpha_bytes
from .qt import QByteArray, QImage, Qt, QUuid
from .translation import tr

_SRGB = "sRGB-elle-V2-srgbtrc.icc"
"""The profile of Krita's own 8-bit documents; what models paint in."""

_MADE_IN = ("RGBA", "U8", _SRGB)

_SETTINGS_GROUP = "tapestry"

_WITH_PIXELS = {"paintlayer", "grouplayer", "vectorlayer", "filllayer", "filelayer", "clonelayer"}

_RESOLUTION_PPI = 72.0


_known_documents: list[tuple[Any, str]] = []
"""Open documents and their ids."""


class KritaHost:
    """Krita itself."""

    def active_canvas(self) -> KritaCanvas | None:
        """The document in front, if there is one."""
        document = Krita.instance().activeDocument()
        return KritaCanvas(document) if document is not None else None

    def open_canvases(self) -> list[KritaCanvas]:
        """All documents that are open."""
        return [KritaCanvas(document) for document in Krita.instance().documents()]

    def watch_saving(
        self, before: Callable[[], None], after: Callable[[Canvas | None], None]
    ) -> None:
        """Call `before` when the artist is about to save, and `after` when a file was written."""

        def saved(path: str) -> None:
            found = (c for c in self.open_canvases() if path and c.file_name == path)
            after(next(found, None))

        self._saving = SavingWatch(before, saved)

    def scaled(self, pixels: Pixels, height: int, width: int) -> Pixels:
        """RGBA pixels, smoothly scaled."""
        smooth, exactly = (
            Qt.TransformationMode.SmoothTransformation,
            Qt.AspectRatioMode.IgnoreAspectRatio,
        )
        image = _image(pixels).scaled(width, height, exactly, smooth)
        image = image.convertToFormat(QImage.Format.Format_RGBA8888)
        return Pixels(height, width, 4, image.constBits().asstring(height * width * 4))

    @property
    def version(self) -> str:
        """The program's name and version."""
        return f"Krita {Krita.instance().version()}"

    @property
    def data_folder(self) -> Path:
        """The user's folder for what Tapestry keeps; need not exist yet."""
        return data_folder(os.environ)

    def create_canvas(self, height: int, width: int, name: str) -> KritaCanvas:
        """Open a new RGBA document of 8 bits and show it."""
        krita = Krita.instance()
        document = krita.createDocument(width, height, name, "RGBA", "U8", _SRGB, _RESOLUTION_PPI)
        krita.activeWindow().addView(document)
        return KritaCanvas(document)

    def read_setting(self, key: str) -> str:
        """A setting of this user; empty when it was never written."""
        return Krita.instance().readSetting(_SETTINGS_GROUP, key, "")

    def write_setting(self, key: str, value: str) -> None:
        """Keep a setting for this user."""
        Krita.instance().writeSetting(_SETTINGS_GROUP, key, value)


class KritaCanvas:
    """A document that is open in Krita."""

    def __init__(self, document: Any) -> None:
        self._open_document = document
        self.id = _id_of(document)

    @property
    def is_open(self) -> bool:
        """Whether the document still exists."""
        return any(document == self._open_document for document in Krita.instance().documents())

    @property
    def height(self) -> int:
        """Rows of the canvas."""
        return self._document.height()

    @property
    def width(self) -> int:
        """Columns of the canvas."""
        return self._document.width()

    @property
    def color_model(self) -> str:
        """As Krita calls it: "RGBA", "GRAYA", "CMYKA", "LABA", ..."""
        return self._document.colorModel()

    @property
    def color_depth(self) -> str:
        """As Krita calls it: "U8", "U16", "F16" or "F32"."""
        return self._document.colorDepth()

    @property
    def file_name(self) -> str:
        """The path of its file; empty where it has none."""
        return self._document.fileName()

    @property
    def name(self) -> str:
        """What the artist calls the document; its file's name where it has one."""
        return Path(self.file_name).name or self._document.name()

    @property
    def is_modified(self) -> bool:
        """Whether it differs from its file."""
        return self._document.modified()

    def set_modified(self, *, on: bool) -> None:
        """Say whether it differs from its file."""
        self._document.setModified(on)

    def save(self) -> None:
        """Write its file again."""
        self._document.save()

    def layers(self) -> tuple[Layer, ...]:
        """The layer tree, topmost first."""
        return tuple(_layers(self._document.rootNode()))

    def settle(self) -> None:
        """Wait until what was painted so far is in the pixels."""
        self._document.waitForDone()

    def alpha(self, layer_id: str, bounds: Bounds) -> bytes:
        """How much of each pixel the layer covers: height x width bytes, 255 = fully."""
        node = self._node(layer_id)
        if node is None or bounds.is_empty:
            return bytes(bounds.height * bounds.width)
        # The projection, because it has the transparency masks and the pixels of vector layers.
        data = node.projectionPixelData(bounds.left, bounds.top, bounds.width, bounds.height)
        return alpha_bytes(bytes(data), node.colorDepth(), bounds.height * bounds.width)

    def flattened(self, bounds: Bounds) -> bytes:
        """The visible picture as RGBA, 8 bits, sRGB, straight alpha; within the canvas only."""
        image = self._document.projection(bounds.left, bounds.top, bounds.width, bounds.height)
        image = image.convertToFormat(QImage.Format.Format_RGBA8888)
        return image.constBits().asstring(bounds.height * bounds.width * 4)

    def grow(self, margins: Margins) -> None:
        """Make the canvas larger, as one step that can be undone; no pixel is changed."""
        document = self._document
        width = document.width() + margins.left + margins.right
        height = document.height() + margins.top + margins.bottom
        document.resizeImage(-margins.left, -margins.top, width, height)

    def shrink(self, margins: Margins) -> None:
        """Take back what `grow` did, as one step that can be undone; no pixel is changed."""
        document = self._document
        width = document.width() - margins.left - margins.right
        height = document.height() - margins.top - margins.bottom
        document.resizeImage(margins.left, margins.top, width, height)

    def draft(self, name: str) -> KritaLayerDraft:
        """Begin a new layer."""
        return KritaLayerDraft(lambda: self._document, name)

    def insert_group(self, name: str, drafts: Sequence[KritaLayerDraft], above: str = "") -> Group:
        """Put drafts, topmost first, into the document as a group: one step that can be undone."""
        document = self._document
        group = document.createGroupLayer(name)
        ids = [draft.join(group) for draft in reversed(drafts)]
        root = document.rootNode()
        root.addChildNode(group, _node_to_add_to(root, above) if above else None)
        return Group(group.uniqueId().toString(), tuple(reversed(ids)))

    def active_layer(self) -> str:
        """The id of the layer that the artist works on; empty when there is none."""
        node = self._document.activeNode()
        return node.uniqueId().toString() if node is not None else ""

    def remove(self, layer_id: str) -> None:
        """Take a layer out of the document; nothing happens where it is gone."""
        node = self._node(layer_id)
        if node is not None:
            node.remove()
            self._document.refreshProjection()

    def refresh(self) -> None:
        """Show what was written into layers of the document, as soon as there is time."""
        self._document.refreshProjection()

    @property
    def is_settled(self) -> bool:
        """Whether everything that was asked for is done and shown."""
        document = self._document
        is_idle = document.tryBarrierLock()
        if is_idle:
            document.unlock()
        return is_idle

    def note(self, key: str) -> str:
        """What was kept with the document under this key; empty when nothing was."""
        return bytes(self._document.annotation(key)).decode("utf-8", "replace")

    def keep_note(self, key: str, text: str) -> None:
        """Keep a text with the document, also in its file."""
        self._document.setAnnotation(key, "Tapestry", QByteArray(text.encode("utf-8")))

    def _node(self, layer_id: str) -> Any:
        return self._document.nodeByUniqueID(QUuid(layer_id))

    @property
    def _document(self) -> Any:
        if not self.is_open:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                "The document was closed.",
                "Open it again, then press the button once more.",
            )
        return self._open_document


class KritaLayerDraft:
    """A new layer that is not in the document yet."""

    def __init__(self, document: Callable[[], Any], name: str) -> None:
        self._open_document = document
        self._node = self._document.createNode(name, "paintlayer")
        self._node.setColorSpace(*_MADE_IN)

    def write(self, pixels: Pixels, top: int, left: int) -> None:
        """Paint RGBA pixels (8 bits, sRGB, straight alpha) with their corner at (top, left)."""
        image = _image(pixels).convertToFormat(QImage.Format.Format_ARGB32)
        data = QByteArray(image.constBits().asstring(len(pixels.data)))
        place = (left, top, pixels.width, pixels.height)
        if _space(self._node) != _MADE_IN:  # it is in the document already, in that one's colours
            scratch = self._document.createNode("", "paintlayer")
            scratch.setColorSpace(*_MADE_IN)
            scratch.setPixelData(data, *place)
            scratch.setColorSpace(*_space(self._node))
            data = scratch.pixelData(*place)
        self._node.setPixelData(data, *place)

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
        lower = _node_to_add_to(document.rootNode(), above) if above else None
        parent = lower.parentNode() if lower is not None else document.rootNode()
        return self.join(parent, lower)

    def join(self, parent: Any, above: Any = None) -> str:
        """Put the layer into a group, in the document's colours; gives its id."""
        space = _space(self._document)
        if space != _space(self._node):
            self._node.setColorSpace(*space)
        parent.addChildNode(self._node, above)
        return self._node.uniqueId().toString()

    def merge_into(self, layer_id: str) -> Merged:
        """Paint it into a paint layer of the document, as two steps that can be undone."""
        document = self._document
        lower = _node_to_add_to(document.rootNode(), layer_id) if layer_id else None
        if lower is None or lower.type() != "paintlayer" or lower.locked():
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                tr("The active layer takes no picture."),
                tr("Choose a paint layer that is not locked, then apply the picture again."),
            )
        before, parent = lower.duplicate(), lower.parentNode()
        place = [node.uniqueId() for node in parent.childNodes()].index(lower.uniqueId())
        self.join(parent, lower)
        self._node.mergeDown()
        document.waitForDone()
        merged = parent.childNodes()[place]

        def take_back() -> None:
            merged.parentNode().addChildNode(before, merged)
            merged.remove()
            document.refreshProjection()

        return Merged(merged.uniqueId().toString(), take_back)


def _id_of(document: Any) -> str:
    """The same for as long as a document is open: flattening gives it another root node."""
    for known, known_id in _known_documents:
        if known == document:
            return known_id
    still_open = Krita.instance().documents()
    _known_documents[:] = [entry for entry in _known_documents if entry[0] in still_open]
    new_id = document.rootNode().uniqueId().toString()
    _known_documents.append((document, new_id))
    return new_id


def _node_to_add_to(parent: Any, layer_id: str) -> Any:
    """The layer with this id within a group; None where it is gone.

    What `nodeByUniqueID` gives is a QObject to PyQt: its slots can be called, but it is no Node.
    """
    for node in parent.childNodes():
        found = node if node.uniqueId() == QUuid(layer_id) else _node_to_add_to(node, layer_id)
        if found is not None:
            return found
    return None


def _space(thing: Any) -> tuple[str, str, str]:
    return thing.colorModel(), thing.colorDepth(), thing.colorProfile()


def _image(pixels: Pixels) -> QImage:
    size = (pixels.width, pixels.height, pixels.width * 4)
    return QImage(pixels.data, *size, QImage.Format.Format_RGBA8888)


@lru_cache(maxsize=1)
def _first_layer_names() -> frozenset[str]:
    """What Krita calls the first layer of a new document, in the artist's language."""
    context = "Name for the bottom-most layer in the layerstack"
    return frozenset({Krita.krita_i18n(BACKGROUND), Krita.krita_i18nc(context, BACKGROUND)})


def _layers(parent: Any) -> Iterator[Layer]:
    for node in reversed(parent.childNodes()):
        kind, rectangle = node.type(), node.bounds()
        top, left = rectangle.y(), rectangle.x()
        is_group = kind == "grouplayer"
        yield Layer(
            id=node.uniqueId().toString(),
            name=BACKGROUND if node.name() in _first_layer_names() else node.name(),
            bounds=Bounds(top, left, top + rectangle.height(), left + rectangle.width()),
            visible=node.visible(),
            opacity=node.opacity(),
            has_pixels=kind in _WITH_PIXELS,
            is_group=is_group,
            children=tuple(_layers(node)) if is_group else (),
        )
