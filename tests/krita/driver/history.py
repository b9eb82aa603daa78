"""Scenarios with a real backend: pictures in the history, and documents that change meanwhile."""

import zipfile

from .qt import QMenu

SIDE = 128
REGIONS = (
    ("green grass", (0, 64, SIDE, 64), (60, 140, 60, 255)),
    ("sunset sky", (0, 0, SIDE, 64), (230, 130, 60, 255)),
)
A_PICTURE_S = 600
PREVIEW = "Tapestry: preview (not saved)"
BETWEEN_SAVES_S = 3.0
"""Krita 5.1 ends itself when a file is saved before it has made the icon of the last time."""


def documents_that_change(stage):
    """One change after the other while a picture is painted; then Apply."""
    changes = {
        "closed": _close,
        "resized": lambda document: document.resizeImage(0, 0, 100, 90),
        "flattened": lambda document: _from_the_menu(stage, document.flatten),
        "gray": lambda document: document.setColorSpace("GRAYA", "U8", ""),
        "16 bits": lambda document: document.setColorSpace("RGBA", "U16", ""),
        "layer deleted": lambda document: _sky(document).remove(),
        "renamed": lambda document: _sky(document).setName("night"),
        "switched": lambda _document: stage.document(SIDE, SIDE),
    }
    for name, change in changes.items():
        document = _painted(stage)
        yield stage.turns(0.6)  # until the docker shows this document's history, no closed one's
        count = _count(stage)
        stage.press("tapestry_generate")
        yield from _until_a_step(stage)
        change(document)
        yield stage.until(lambda: _is_idle(stage), f"the job to end ({name})", A_PICTURE_S)
        yield stage.turns(0.6)
        before = _names(stage)
        facts = {"notice": stage.notice(), "before": before, "new": _count(stage) - count}
        if name == "closed":
            facts["new"] = _count(stage)
        stage.facts[name] = facts
        if name == "switched":
            facts["its own"] = stage.names(document)
        else:
            yield from _apply_and_look(stage, facts)
        yield from stage.closed(stage.krita.documents())


def _apply_and_look(stage, facts):
    """What becomes of the picture in the document that is there now."""
    if not any(layer.startswith("Tapestry: ") for layer in facts["before"]):
        stage.press("tapestry_apply")
        yield stage.until(lambda: _is_idle(stage), "the picture", 60)
        yield stage.turns(0.6)
    top = stage.krita.activeDocument()
    facts["after"] = stage.names(top)
    facts["colors"] = [top.colorModel(), top.colorDepth(), _colors(top)]


def history_survives(stage):
    """A picture is there after save, close and reopen, and can be applied then."""
    document = _painted(stage)
    yield from _generate(stage, document)
    stage.press("tapestry_favourite")
    path = str(stage.folder / "kept.kra")
    document.setBatchmode(True)
    document.saveAs(path)
    yield stage.turns(1.0)
    yield from stage.closed([document])
    _docker_model(stage).look()  # its timer may not have seen yet that the document is closed
    others = stage.facts["without a document"] = _count(stage)
    again = stage.krita.openDocument(path)
    stage.window.addView(again)
    yield stage.until(lambda: _count(stage) == others + 1, "the history", 20)
    yield stage.turns(0.6)
    stage.facts["tooltip"] = stage.widget("tapestry_history_list").item(0).toolTip()
    stage.facts["favourite"] = stage.widget("tapestry_favourite").isChecked()
    stage.press("tapestry_take_back")
    yield stage.turns(0.6)
    stage.facts["taken back"] = stage.names(again)
    stage.press("tapestry_apply")
    yield stage.until(
        lambda: len(stage.names(again)) == 4 and _is_idle(stage),
        "the layer, and that it is kept",
        20,
    )
    stage.facts["applied"] = stage.names(again)
    stage.facts["note"] = len(again.annotation("tapestry_history"))
    search = stage.widget("tapestry_history_search")
    search.setText("SUNSET grass")
    stage.facts["found"] = _count(stage)
    search.setText("castle")
    stage.facts["found nothing"] = _count(stage)
    search.setText("")
    yield from stage.picture("history")


def previews_are_not_saved(stage):
    """A click shows the picture on the canvas; a saved file is without it."""
    document = _painted(stage)
    _set(stage, apply_at_once=False)
    yield from _generate(stage, document, layers=3)
    path = str(stage.folder / "preview.kra")
    document.setBatchmode(True)
    document.saveAs(path)
    yield stage.turns(BETWEEN_SAVES_S)
    yield from _click_first(stage)
    yield stage.until(
        lambda: PREVIEW in stage.names(document) and _is_idle(stage), "the preview", 20
    )
    yield stage.turns(1.0)
    stage.facts["modified"] = [document.modified()]
    stage.facts["shown"] = [stage.names(document), _colors(document) > 100]
    yield from stage.picture("preview on the canvas")
    yield from _click_first(stage)
    yield stage.until(lambda: PREVIEW not in stage.names(document), "the preview to go", 20)
    yield stage.turns(1.0)
    stage.facts["modified"].append(document.modified())
    yield from _click_first(stage)
    yield stage.until(
        lambda: PREVIEW in stage.names(document) and _is_idle(stage), "the preview", 20
    )
    _sky(document).setOpacity(200)
    document.setModified(True)  # Krita saves nothing else; it hears of its tools, not of scripts
    stage.krita.action("file_save").trigger()
    yield stage.until(lambda: PREVIEW not in stage.names(document), "the preview to go", 20)
    yield stage.turns(BETWEEN_SAVES_S)
    stage.facts["saved by the action"] = _layers_in(path)
    yield from _click_first(stage)
    yield stage.until(lambda: PREVIEW in stage.names(document), "the preview", 20)
    document.save()
    yield stage.until(lambda: PREVIEW not in stage.names(document), "the preview to go", 20)
    yield stage.turns(1.0)
    stage.facts["saved by a script"] = _layers_in(path)
    yield from _click_first(stage)
    yield stage.until(lambda: PREVIEW in stage.names(document), "the preview", 20)
    stage.press("tapestry_apply")
    yield stage.until(lambda: PREVIEW not in stage.names(document), "the layer", 20)
    yield stage.turns(0.5)
    stage.facts["applied"] = stage.names(document)
    stage.facts["modified"].append(document.modified())
    yield from _undo(stage)
    stage.facts["undone"] = stage.names(document)
    _set(stage, apply_at_once=True)


def ways_to_apply(stage):
    """As a group of regions, into the active layer, as an extension; and back again."""
    document = _painted(stage)
    _set(stage, apply_at_once=False)
    yield from _generate(stage, document, layers=3)
    _trigger(stage, "tapestry_apply_regions")
    yield stage.until(lambda: len(stage.names(document)) == 4, "the group", 20)
    yield stage.turns(0.5)
    group = document.rootNode().childNodes()[-1]
    stage.facts["group"] = [node.name() for node in reversed(group.childNodes())]
    stage.facts["boxes"] = [_box(node) for node in reversed(group.childNodes())]
    stage.facts["regions"] = stage.regions()
    yield from _undo(stage)
    stage.facts["group undone"] = stage.names(document)
    active = document.rootNode().childNodes()[-1]
    document.setActiveNode(active)
    yield stage.turns(0.3)
    _trigger(stage, "tapestry_apply_active")
    yield stage.turns(1.0)
    top = document.rootNode().childNodes()[-1]
    stage.facts["active"] = [stage.names(document), _box(top)]
    stage.press("tapestry_take_back")
    yield stage.turns(1.0)
    top = document.rootNode().childNodes()[-1]
    stage.facts["active taken back"] = [stage.names(document), _box(top)]
    _set(stage, apply_at_once=True)
    stage.extend_by(right=128)
    _docker_model(stage).extend()
    yield stage.until(lambda: document.width() > SIDE and _is_idle(stage), "more", A_PICTURE_S)
    yield stage.turns(0.6)
    stage.facts["extended"] = [document.width(), len(stage.names(document))]
    stage.press("tapestry_take_back")
    yield stage.turns(0.6)
    stage.facts["extension taken back"] = [document.width(), stage.names(document)]


def many_jobs(stage):
    """A batch, one more, live previews on the canvas; then all are cancelled but one."""
    document = _painted(stage)
    stage.widget("tapestry_steps").setValue(20)
    _set(stage, batch=2)
    stage.press("tapestry_generate")
    _set(stage, batch=1)
    stage.press("tapestry_generate")
    yield stage.until(lambda: PREVIEW in stage.names(document), "a live preview", A_PICTURE_S)
    stage.facts["regions meanwhile"] = stage.regions()
    stage.facts["queue"] = stage.widget("tapestry_queue").isVisible()
    yield from stage.picture("queue")
    yield stage.until(lambda: _count(stage) == 2, "the batch", A_PICTURE_S)
    stage.facts["layers of the batch"] = [n for n in stage.names(document) if n != PREVIEW]
    yield stage.until(lambda: _is_idle(stage), "the last one", A_PICTURE_S)
    yield stage.turns(0.6)
    stage.facts["layers"] = stage.names(document)
    stage.facts["names"] = _names(stage)
    stage.facts["history"] = [e.name for e in _docker_model(stage).results.entries()]
    yield from _undo(stage)
    stage.facts["undone"] = stage.names(document)
    for _ in range(3):
        stage.press("tapestry_generate")
    yield from _until_a_step(stage)
    stage.press("tapestry_cancel_all")
    yield stage.until(lambda: _is_idle(stage), "nothing to do", A_PICTURE_S)
    yield stage.turns(0.3)
    stage.facts["cancelled"] = [stage.names(document), _count(stage), stage.notice()]


def _painted(stage):
    document = stage.document(SIDE, SIDE)
    for name, box, color in REGIONS:
        stage.layer(document, name, box, color)
    stage.widget("tapestry_steps").setValue(4)
    return document


def _generate(stage, document, layers=4):
    yield stage.until(lambda: len(stage.regions()) == 2, "the regions", 20)
    stage.press("tapestry_generate")
    yield stage.until(
        lambda: _count(stage) and _is_idle(stage) and len(stage.names(document)) == layers,
        "a picture",
        A_PICTURE_S,
    )
    yield stage.turns(0.5)


def _until_a_step(stage):
    bar = stage.widget("tapestry_progress")
    yield stage.until(lambda: bar.isVisible() and bar.value() > 0, "a step", A_PICTURE_S)


def _docker_model(stage):
    return stage.widget("tapestry_panel")._docker_model


def _set(stage, **values: object):
    _docker_model(stage).change(**values)


def _is_idle(stage):
    docker_model = _docker_model(stage)
    return docker_model.job is None and docker_model.results.is_idle


def _count(stage):
    return stage.widget("tapestry_history_list").count()


def _names(stage):
    document = stage.krita.activeDocument()
    return stage.names(document) if document is not None else []


def _click_first(stage):
    strip = stage.widget("tapestry_history_list")
    strip.itemClicked.emit(strip.item(0))
    yield stage.turns(0.2)


def _trigger(stage, name):
    menus = stage.widget("tapestry_panel").findChildren(QMenu)
    next(a for menu in menus for a in menu.actions() if a.objectName() == name).trigger()


def _undo(stage):
    stage.krita.action("edit_undo").trigger()
    yield stage.turns(1.0)


def _from_the_menu(stage, action):
    """As an artist does: the menu opens, and something is chosen."""
    window = stage.window.qwindow()
    menus = [menu for menu in window.findChildren(QMenu) if menu.objectName().lower() == "image"]
    menus[0].aboutToShow.emit()
    action()


def _sky(document):
    return next(node for node in document.rootNode().childNodes() if node.name() == "sunset sky")


def _close(document):
    document.setModified(False)
    document.close()


def _box(node):
    box = node.bounds()
    return [box.x(), box.y(), box.width(), box.height()]


def _colors(document):
    """How many colours are on the canvas, at a pixel in four."""
    image = document.projection(0, 0, document.width(), document.height())
    places = [(x, y) for x in range(0, image.width(), 4) for y in range(0, image.height(), 4)]
    return len({image.pixel(x, y) for x, y in places})


def _layers_in(path):
    """What of ours a file holds."""
    with zipfile.ZipFile(path) as archive:
        text = archive.read("maindoc.xml").decode()
    return [PREVIEW in text, "sunset sky" in text]
