"""The canvas contract, clause by clause, against documents that are open in Krita."""

import traceback

from tapestry.krita_adapter.documents import KritaCanvas, KritaHost
from tapestry_protocol.pixels import Bounds

from .canvas_contract import RED, CanvasContract, clauses
from .qt import QUuid

ACTIVE_LAYER = "test_the_active_layer_is_the_one_that_was_activated"
"""Between asking and answering, Krita needs turns of its own loop: no clause can wait for that."""


def canvas_contract(stage):
    """Every clause in a document of its own; a clause that is broken leaves its traceback."""
    for clause in clauses():
        if clause == ACTIVE_LAYER:
            yield from _active_layer(stage)
            stage.facts[clause] = "kept"
            continue
        try:
            getattr(KritaKeepsIt(stage), clause)()
        except Exception:  # noqa: BLE001  all clauses are tried
            stage.facts[clause] = traceback.format_exc()
        else:
            stage.facts[clause] = "kept"
        yield stage.turns(0.1)


def _active_layer(stage):
    """The same as in the contract, in turns."""
    keeps = KritaKeepsIt(stage)
    canvas = keeps.open_canvas(20, 20)
    lower, upper = (keeps.paint(canvas, n, Bounds(0, 0, 5, 5), RED) for n in ("lower", "upper"))
    for layer in (lower, upper):
        yield stage.turns(0.5)
        canvas.activate(layer)
        yield stage.until(lambda: canvas.active_layer() == layer, "the active layer", 20)  # noqa: B023
    canvas.activate("{00000000-0000-4000-8000-000000000000}")
    yield stage.turns(0.5)
    yield stage.until(lambda: canvas.active_layer() == upper, "the layer to stay active", 1)


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

    def _document(self, canvas):
        return next(
            document
            for document in self._stage.krita.documents()
            if document.rootNode().uniqueId().toString() == canvas.id
        )
