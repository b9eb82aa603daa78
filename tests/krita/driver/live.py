"""Scenarios with a real backend: painting live."""

from tapestry.results.canvas_preview import PREVIEW_NAME as PREVIEW

from .jobs import A_PICTURE_S
from .qt import QByteArray, QImage
from .timing import held

WIDTH, HEIGHT = 384, 256
BOX = (40, 150, 80, 40)
"""x, y, width, height of the boat."""

GRASS = (60, 140, 60, 255)

_SCRIBBLES = 12

_WRITTEN_AGAIN_S = 8.0
"""A file that was saved with the preview has been written again by then."""


def paint_live(stage):
    """A stroke, a new name, a hidden layer; the picture is kept, and then all is as before."""
    document = stage.document(WIDTH, HEIGHT)
    stage.layer(document, "sandy beach", (0, 180, WIDTH, 76), (220, 200, 140, 255))
    stage.layer(document, "the sea", (0, 110, WIDTH, 70), (40, 90, 200, 255))
    stage.layer(document, "sunset sky", (0, 0, WIDTH, 110), (250, 170, 90, 255))
    boat = stage.layer(document, "yellow boat", BOX, (250, 220, 40, 255))
    yield stage.until(lambda: len(stage.regions()) == 4, "the regions", 30)
    stage.press("tapestry_mode_generate")
    document.setModified(False)
    longest = {}
    with held(longest):
        stage.press("tapestry_live")
        yield from _updated(stage, document)
        stage.facts["modified"] = document.modified()
        stage.facts["first"] = _picture(stage, document, "live-0")
        yield from stage.picture("live whole")

        _paint(document, boat, (BOX[0] + 20, BOX[1] - 60, 12, 60))
        yield from _updated(stage, document)
        stage.facts["stroke"] = _picture(stage, document, "live-1")
        yield from stage.picture("live stroke")

        boat.setName("white boat")
        yield from _updated(stage, document)
        stage.facts["renamed"] = _picture(stage, document, "live-2")

        boat.setVisible(False)
        document.refreshProjection()
        yield from _updated(stage, document)
        stage.facts["hidden"] = _picture(stage, document, "live-3")
        boat.setVisible(True)
        yield from _updated(stage, document)

        stage.press("tapestry_keep_live")
        yield stage.until(lambda: len(_kept(stage, document)) == 1, "the layer", A_PICTURE_S)
        yield from stage.picture("live kept")
        for number in range(_SCRIBBLES):  # quicker than anything can be painted
            _paint(document, boat, (BOX[0] + 8 * number, BOX[1] - 70, 6, 20))
            yield stage.turns(0.2)
        yield from _updated(stage, document)
    stage.facts["longest"] = longest
    stage.press("tapestry_live")
    yield stage.until(lambda: PREVIEW not in stage.names(document), "the preview to go", 20)
    yield stage.turns(1.0)
    stage.facts["layers"] = stage.names(document)
    stage.facts["line is seen"] = stage.widget("tapestry_live_line").isVisible()


def live_belongs_to_its_document(stage):
    """Another document comes to the front; the first is saved as a PNG; its layer is deleted."""
    document = stage.document(128, 96)
    grass = stage.layer(document, "green grass", (0, 0, 128, 96), GRASS)
    yield stage.until(lambda: len(stage.regions()) == 1, "the region", 30)
    stage.press("tapestry_mode_generate")
    stage.press("tapestry_live")
    yield from _updated(stage, document)
    stage.facts["in front"] = _shown(stage, document)

    other = stage.document(96, 64)
    yield stage.turns(3.0)
    stage.facts["other in front"] = _shown(stage, document)
    yield from stage.picture("live another document")
    yield from stage.closed([other])
    yield from _updated(stage, document)
    stage.facts["in front again"] = _shown(stage, document)

    document.setBatchmode(True)
    saved = stage.folder / "live.png"
    document.saveAs(str(saved))
    document.waitForDone()
    yield stage.turns(_WRITTEN_AGAIN_S)
    yield from _updated(stage, document)
    image = QImage(str(saved))
    stage.facts["saved"] = [image.pixelColor(x, 48).getRgb()[:3] for x in range(0, 128, 8)]
    stage.facts["after saving"] = _shown(stage, document)

    grass.remove()
    document.refreshProjection()
    yield stage.until(lambda: PREVIEW not in stage.names(document), "the preview to go", 20)
    # A picture that was on its way may still have told its cost.
    yield stage.until(lambda: "nothing to paint" in _line(stage), "the line to say why", 20)
    stage.facts["nothing to paint"] = _line(stage)
    stage.press("tapestry_mode_upscale")
    yield stage.turns(0.5)
    stage.facts["another mode"] = [stage.notice()[0], *_shown(stage, document)]
    stage.press("tapestry_mode_generate")


def _shown(stage, document):
    """Whether the switch is down, the line is seen, and the preview lies in the document."""
    switch, line = stage.widget("tapestry_live"), stage.widget("tapestry_live_line")
    return [switch.isChecked(), line.isVisible(), PREVIEW in stage.names(document)]


def _updated(stage, document):
    """Wait for the picture of the document as it is now."""
    live = stage.widget("tapestry_panel")._docker_model.live
    yield stage.turns(1.0)

    def is_still():
        assert not stage.notice()[0], stage.state()
        assert live.trouble is None, live.trouble
        return live.is_settled and PREVIEW in stage.names(document)

    yield stage.until(is_still, "the live picture", A_PICTURE_S)
    yield stage.turns(0.5)
    stage.facts.setdefault("lines", []).append(_line(stage))


def _paint(document, node, box):
    x, y, width, height = box
    node.setPixelData(
        QByteArray(bytes((40, 220, 250, 255)) * (width * height)), x, y, width, height
    )
    document.refreshProjection()
    document.waitForDone()


def _kept(stage, document):
    return [
        name for name in stage.names(document) if name.startswith("Tapestry: ") and name != PREVIEW
    ]


def _line(stage):
    return stage.widget("tapestry_live_line").text()


def _picture(stage, document, name):
    document.waitForDone()
    stage.dump(f"{name}.bgra", document.pixelData(0, 0, WIDTH, HEIGHT))
    return f"{name}.bgra"
