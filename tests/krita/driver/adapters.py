"""Scenarios with a backend that has adapters: rows on the picture and on a region."""

from .jobs import _is_idle, _until_inserted
from .qt import QScrollArea
from .regions import _scene

WIDTH, HEIGHT = 256, 128
LAYERS = (
    ("green grass", (0, 64, WIDTH, 64), (60, 140, 60, 255)),
    ("sunset sky", (0, 0, WIDTH, 64), (230, 130, 60, 255)),
    ("sketch", (96, 32, 64, 64), (0, 0, 0, 255)),
)
_BACKEND_S = 600
_STEPS = 4


def adapters_in_rows(stage):
    """A control picture on the picture, a LoRA on a region; without weight, and with it."""
    document = stage.document(WIDTH, HEIGHT)
    for name, box, color in LAYERS:
        stage.layer(document, name, box, color)
    yield stage.until(lambda: "ready" in stage.status(), "the backend", _BACKEND_S)
    yield stage.until(lambda: len(stage.regions()) == len(LAYERS), "the regions", 30)
    yield stage.until(lambda: _adds(stage), "the rows for adapters", 30)
    stage.facts["offered"] = _offered(stage)
    yield from _lay(stage)
    stage.facts["regions"] = stage.regions()
    for place in range(2):
        _weights(stage)[place].setValue(0)
    yield from _paint(stage, document, "without")
    for place in range(2):
        _weights(stage)[place].setValue(1)
    yield stage.turns(0.5)
    stage.widget("tapestry_adapter_more").click()
    for row in ("first", "last"):
        _scroll_to(stage, row)
        yield from stage.picture(f"adapters, {row} row")
    yield from _paint(stage, document, "with")
    stage.facts["laid"] = _laid(stage)
    yield from _reopen(stage, document)
    yield stage.until(lambda: len(stage.regions()) == 2, "the regions again", 30)
    yield stage.turns(1.0)
    stage.facts["reopened"] = _laid(stage)
    stage.widget("tapestry_adapter_remove").click()
    yield stage.until(lambda: len(_laid(stage)) == 1, "a row less", 30)
    _use_newest_settings()
    yield stage.until(lambda: len(_laid(stage)) > 1, "the row again", 30)
    stage.facts["brought back"] = _laid(stage)


def _lay(stage):
    """The LoRA on the grass, behind its arrow; the scribble on the picture, with its layer."""
    stage.in_region("green grass", "tapestry_region_more").click()
    yield stage.until(lambda: len(_adds(stage)) == 2, "the region's own rows", 30)
    _choose(stage, 0, "tiny-ink")
    yield stage.until(lambda: len(_weights(stage)) == 1, "a row on the region", 30)
    _choose(stage, 1, "tiny-scribble")
    yield stage.until(lambda: len(_weights(stage)) == 2, "a row on the picture", 30)
    layers = stage.widget("tapestry_adapter_layer")
    layers.activated.emit(layers.findText("sketch"))
    yield stage.until(lambda: len(stage.regions()) == 2, "the sketch to be no region", 30)


def _adds(stage):
    return [button for button in stage.widgets("tapestry_add_adapter") if button.isVisible()]


def _weights(stage):
    return [weight for weight in stage.widgets("tapestry_adapter_weight") if weight.isVisible()]


def _offered(stage):
    names = [action.objectName() for action in _adds(stage)[0].menu().actions()]
    return [name for name in names if name]


def _choose(stage, place, adapter):
    actions = _adds(stage)[place].menu().actions()
    next(a for a in actions if a.objectName() == f"tapestry_add_{adapter}").trigger()


def _paint(stage, document, name):
    yield stage.turns(1.0)
    stage.widget("tapestry_steps").setValue(_STEPS)
    stage.widget("tapestry_seed").setValue(7)
    count = len(stage.names(document))
    stage.press("tapestry_generate")
    yield from _until_inserted(stage, document, count + 1)
    made = document.rootNode().childNodes()[-1]
    stage.dump(f"{name}.bgra", made.pixelData(0, 0, WIDTH, HEIGHT))
    made.remove()
    yield stage.until(lambda: _is_idle(stage), "the end", 30)


def _scroll_to(stage, which):
    """The docker is lower than its fields."""
    row = stage.widgets("tapestry_adapter")[0 if which == "first" else -1]
    area = row
    while not isinstance(area, QScrollArea):
        area = area.parentWidget()
    area.ensureWidgetVisible(row)


def _use_newest_settings():
    from tapestry.krita_adapter.docker import _docker_model

    _docker_model().use_settings(_docker_model().results.entries()[0])


def _laid(stage):
    """What the rows show, in the document in front."""
    book = _scene(stage).adapters
    return sorted(
        [one.adapter, one.weight, one.show, one.layer_name]
        for entry in book.entries.values()
        for one in entry.laid
    )


def _reopen(stage, document):
    path = stage.folder / "adapters.kra"
    document.setBatchmode(True)
    stage.facts["saved"] = document.saveAs(str(path))
    yield from stage.closed([document])
    stage.window.addView(stage.krita.openDocument(str(path)))
