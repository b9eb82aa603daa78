"""The canvas contract, clause by clause, against documents that are open in Krita."""

import time
import traceback

from PyQt5.QtCore import QUuid
from PyQt5.QtWidgets import QApplication

from tapestry.krita_canvas import KritaCanvas, KritaHost

from .canvas_contract import CanvasContract, clauses


def canvas_contract(stage):
    """Every clause in a document of its own; a clause that is broken leaves its traceback."""
    for clause in clauses():
        try:
            getattr(KritaKeepsIt(stage), clause)()
        except Exception:  # noqa: BLE001  all clauses are tried
            stage.facts[clause] = traceback.format_exc()
        else:
            stage.facts[clause] = "kept"
        yield stage.turns(0.1)


class KritaKeepsIt(CanvasContract):
    """The real thing."""

    def __init__(self, stage):
        self.host = KritaHost()
        self._stage = stage

    def open_canvas(self, height, width):
        return KritaCanvas(self._stage.document(width, height))

    def close(self, canvas):
        document = self._document(canvas)
        document.setModified(False)
        document.close()

    def hide(self, canvas, layer_id):
        document = self._document(canvas)
        document.nodeByUniqueID(QUuid(layer_id)).setVisible(False)
        document.refreshProjection()
        document.waitForDone()

    def wait_for_active(self, canvas, layer_id):
        """A layer that was added just now becomes the active one in a turn of Krita's own."""
        end = time.monotonic() + 10
        while canvas.active_layer() != layer_id and time.monotonic() < end:
            QApplication.processEvents()
            canvas.activate(layer_id)
        super().wait_for_active(canvas, layer_id)

    def _document(self, canvas):
        return next(
            document
            for document in self._stage.krita.documents()
            if document.rootNode().uniqueId().toString() == canvas.id
        )
