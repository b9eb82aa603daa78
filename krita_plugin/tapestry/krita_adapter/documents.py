"""Krita's documents behind the port of `document.canvas`.

What Krita 5.1 can take back: a layer that was added is one step ("Add Layer"), a canvas that was
resized another one ("Resize Image"). So Generate is undone by one undo, Extend by two, and redo
brings pixels and size back. In documents of other colours than RGBA of 8 bits there is one step
more below these, "Convert Layer Color Space", which changes nothing that can be seen. No undo
reaches into old layers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from krita import InfoObject, Krita, ManagedColor, Selection

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.pixels import Bounds, Margins, Pixels

from ..backend.process import data_folder
from ..document.canvas import Canvas, Layer, LayerDraft, NewGroup
from ..qt.compat import QApplication, QByteArray, QImage, Qt, QTimer
from .colors import colors_of
from .layer_drafts import SRGB, KritaLayerDraft, image_of, takes_paint
from .layer_tree import active_node, find_node, layers_in
from .masks import empty_masks
from .menu import added
from .pixel_bytes import alpha_bytes
from .saving import SavingWatch

_SETTINGS_GROUP = "tapestry"

_RESOLUTION_PPI = 72.0

_SCALING = "Bicubic"
"""The default of Krita's own dialog; of its filters every version has it."""

_OWN_FORMAT = ".kra"

_ICON_WITHIN_MS = 3000
"""Krita reads the file for it, in a thread of its own."""


_known_documents: list[tuple[Any, str]] = []
"""Open documents and their ids."""


class KritaHost:
    """Krita itself."""

    def active_canvas(self) -> KritaCanvas | None:
        """The document in front, if there is one."""
        document = Krita.instance().activeDocument()
        return KritaCanvas(document) if document is not None else None

    @property
    def is_asking(self) -> bool:
        """Whether a menu or a dialog is open."""
        return bool(QApplication.activePopupWidget() or QApplication.activeModalWidget())

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
        image = image_of(pixels).scaled(width, height, exactly, smooth)
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
        document = krita.createDocument(width, height, name, "RGBA", "U8", SRGB, _RESOLUTION_PPI)
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

    @property
    def last_step_was_a_layer(self) -> bool:
        """Whether one undo would take a new layer out, or put a removed one back."""
        front = Krita.instance().activeDocument()
        if front != self._document:
            return True  # only we work on a document behind
        step = Krita.instance().action("edit_undo").text()
        return any(name in step for name in _layer_steps())

    def save(self) -> None:
        """Write its file again, soon.

        Krita 5.1 makes an icon of every file that was saved, for its list of recent ones, and ends
        itself when the same file is saved again before that icon is there. An export makes none; it
        would forget the options of other formats, whose icons are waited for.
        """
        if not self.file_name.endswith(_OWN_FORMAT):
            QTimer.singleShot(_ICON_WITHIN_MS, self._save_if_open)
            return
        document = self._document
        was_quiet = document.batchmode()
        document.setBatchmode(True)  # no dialogs
        document.exportImage(self.file_name, InfoObject())
        document.setBatchmode(was_quiet)

    def _save_if_open(self) -> None:
        if self.is_open:
            self._document.save()

    def layers(self) -> tuple[Layer, ...]:
        """The layer tree, topmost first."""
        return tuple(layers_in(self._document.rootNode()))

    def settle(self) -> None:
        """Wait until what was painted so far is in the pixels."""
        self._document.waitForDone()

    @property
    def is_settled(self) -> bool:
        """Whether what was painted so far is in the pixels; asks, and does not wait."""
        if not self._document.tryBarrierLock():
            return False
        self._document.unlock()
        return True

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

    def colors(self, layer_id: str, bounds: Bounds) -> bytes:
        """The layer's own pixels as RGBA, 8 bits, sRGB, straight alpha; 0 where it is gone."""
        node = self._node(layer_id)
        if node is None or bounds.is_empty:
            return bytes(bounds.height * bounds.width * 4)
        return colors_of(self._document, node, bounds)

    def selection(self) -> Bounds | None:
        """What surrounds all that is selected, within the canvas; None: nothing is."""
        selection = self._document.selection()
        if selection is None:
            return None
        top, left = selection.y(), selection.x()
        around = Bounds(top, left, top + selection.height(), left + selection.width())
        inside = around.intersection(Bounds(0, 0, self.height, self.width))
        return None if inside.is_empty else inside

    def selected(self, bounds: Bounds) -> bytes:
        """How much of each pixel is selected: height x width bytes, 255 = fully."""
        selection = self._document.selection()
        if selection is None:
            return bytes(bounds.height * bounds.width)
        return bytes(selection.pixelData(bounds.left, bounds.top, bounds.width, bounds.height))

    def select(self, mask: Pixels, top: int, left: int) -> None:
        """Select this (1 channel, 255 = fully) with its corner at (top, left), and nothing else."""
        selection = Selection()
        selection.setPixelData(QByteArray(mask.data), left, top, mask.width, mask.height)
        self._document.setSelection(selection)

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

    def scale(self, height: int, width: int) -> None:
        """Make the canvas and all layers larger or smaller, as one step that can be undone."""
        ppi = self._document.resolution()
        self._document.scaleImage(width, height, ppi, ppi, _SCALING)

    def draft(self, name: str, *, masked: bool = False) -> KritaLayerDraft:
        """Begin a new layer; a masked one shows through a mask which the artist can paint on."""
        return KritaLayerDraft(lambda: self._document, name, masked=masked)

    async def insert_group(
        self, name: str, drafts: Sequence[LayerDraft], above: str = ""
    ) -> NewGroup:
        """Put drafts, topmost first, into the document as a group: one step that can be undone."""
        own = [draft for draft in drafts if isinstance(draft, KritaLayerDraft)]
        masked = [draft for draft in own if draft.masked]
        for draft, mask in zip(masked, empty_masks(len(masked)), strict=True):
            draft.take_mask(mask)
        group = await added(lambda: self._document, "grouplayer", above)
        document, is_there = self._document, group is not None
        group, nodes = group or document.createGroupLayer(name), [draft.node for draft in own]
        group.setName(name)
        group.setChildNodes(nodes[::-1])  # added one after the other, each were a step of undo
        if not is_there:
            root = document.rootNode()
            root.addChildNode(group, find_node(document, above) if above else None)
        ids = (node.uniqueId().toString() for node in nodes)
        return NewGroup(group.uniqueId().toString(), tuple(ids))

    def refresh(self) -> None:
        """Show what was written into layers of the document, as soon as there is time."""
        self._document.refreshProjection()

    def takes_paint(self, layer_id: str) -> bool:
        """Whether it is a paint layer that is not locked."""
        return takes_paint(self._node(layer_id) if layer_id else None)

    def active_layer(self) -> str:
        """The id of the layer that the artist works on; empty when there is none."""
        node = active_node(self._document)
        return node.uniqueId().toString() if node is not None else ""

    def activate(self, layer_id: str) -> None:
        """Make a layer the one that the artist works on; nothing happens where it is gone."""
        node = self._node(layer_id)
        if node is not None and layer_id != self.active_layer():
            self._document.setActiveNode(node)

    def rename(self, layer_id: str, name: str) -> None:
        """Give a layer another name; nothing happens where it is gone."""
        node = self._node(layer_id)
        if node is not None:
            node.setName(name)

    def set_visible(self, layer_id: str, *, on: bool) -> None:
        """Show or hide a layer, seen after `refresh`; nothing happens where it is gone."""
        node = self._node(layer_id)
        if node is not None:
            node.setVisible(on)

    def remove(self, layer_id: str) -> None:
        """Take a layer out of the document; nothing happens where it is gone."""
        node = self._node(layer_id)
        if node is not None:
            node.remove()  # Krita draws the canvas without it

    async def add_region(self, group: str, color: tuple[int, int, int]) -> str:
        """An empty paint layer without a name, on top (of this group, if there is one); its id."""
        inside = self._node(group).childNodes() if group and self._node(group) else []
        node = None
        if inside or not group:
            above = inside[-1].uniqueId().toString() if inside else ""
            node = await added(lambda: self._document, "paintlayer", above)
        document, parent = self._document, self._node(group) if group else None
        if node is None:
            node = document.createNode("", "paintlayer")
            (parent or document.rootNode()).addChildNode(node, None)
        node.setName("")
        self.activate(node.uniqueId().toString())
        view = Krita.instance().activeWindow().activeView()
        if view is not None:
            brush = ManagedColor("RGBA", "U8", SRGB)
            brush.setComponents([*(channel / 255 for channel in reversed(color)), 1.0])
            view.setForeGroundColor(brush)
        return node.uniqueId().toString()

    def note(self, key: str) -> str:
        """What was kept with the document under this key; empty when nothing was."""
        return bytes(self._document.annotation(key)).decode("utf-8", "replace")

    def keep_note(self, key: str, text: str) -> None:
        """Keep a text with the document, also in its file; another text is a modification."""
        if self.note(key) != text:
            data = QByteArray(text.encode("utf-8", "replace"))
            self._document.setAnnotation(key, "Tapestry", data)
            self._document.setModified(True)

    def _node(self, layer_id: str) -> Any:
        return find_node(self._document, layer_id)

    @property
    def _document(self) -> Any:
        if not self.is_open:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                "The document was closed.",
                "Open it again, then press the button once more.",
            )
        return self._open_document


@lru_cache(maxsize=1)
def _layer_steps() -> tuple[str, ...]:
    """What Krita calls the steps of adding and of removing a layer, in the artist's language."""
    names = ("Add Layer", "Remove Layer")
    return tuple(Krita.krita_i18nc("(qtundo-format)", name) for name in names)


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
