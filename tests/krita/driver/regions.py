"""Scenarios without a backend: regions, as a painter works with them."""

import zipfile

from krita import Selection

from tapestry.actions import actions as shortcuts
from tapestry.document.coverage import seen_alpha
from tapestry.krita_adapter.documents import KritaHost
from tapestry_protocol.pixels import Bounds

from .qt import QApplication, QEvent, QMouseEvent, QPointF, Qt

_LONG = "a very long sentence about the sea " * 57

ODD_NAMES = (
    "\U0001f305 sunrise \U0001f30a",
    _LONG[:2000].strip(),
    'a "quoted" <name> & more',
    "\u6d77",
)


def prompts_and_names(stage):
    """A prompt that is edited renames its layer; a layer that is renamed edits its prompt."""
    document = stage.document(128, 96)
    node = stage.layer(document, "sky", (0, 0, 128, 48))
    yield from _until_regions(stage, ["sky"])
    stage.in_region("sky", "tapestry_region_prompt").write("stormy sky")
    stage.facts["layer"] = node.name()
    node.setName("calm sea")
    yield from _until_regions(stage, ["calm sea"])
    stage.facts["prompt"] = stage.regions()


def odd_names(stage):
    """Emoji, two thousand characters, quotation marks, other scripts."""
    document = stage.document(128, 96)
    for name in ODD_NAMES:
        stage.layer(document, name, (0, 0, 64, 48))
    yield from _until_regions(stage, list(reversed(ODD_NAMES)))
    stage.facts["regions"] = stage.regions()
    stage.facts["asked"] = list(reversed(ODD_NAMES))
    row, panel = stage.region(ODD_NAMES[1]), stage.widget("tapestry_panel")
    stage.facts["widths"] = [row.width(), panel.width()]
    yield from stage.picture("odd names")


def settings_survive(stage):
    """What is set for a region is there after saving, closing and opening; its name stays clean."""
    document = stage.document(128, 96)
    stage.layer(document, "moon", (0, 0, 128, 48))
    sky = stage.layer(document, "sky", (0, 0, 128, 48))
    yield from _until_regions(stage, ["sky", "moon"])
    stage.in_region("sky", "tapestry_region_more").click()
    stage.in_region("sky", "tapestry_region_weight").setValue(2.5)
    stage.in_region("sky", "tapestry_region_strength").setValue(0.4)
    stage.in_region("sky", "tapestry_region_avoid").write("clouds")
    stage.in_region("sky", "tapestry_region_on").click()
    stage.facts["modified"] = document.modified()
    document.setActiveNode(sky)
    yield stage.turns(0.5)
    stage.krita.action("duplicatelayer").trigger()
    yield from _until_regions(stage, ["sky", "sky", "moon"])
    yield from stage.picture("settings of a region")
    path = stage.folder / "regions.kra"
    document.setBatchmode(True)
    stage.facts["saved"] = document.saveAs(str(path))
    yield from stage.closed([document])
    with zipfile.ZipFile(path) as file:
        stage.facts["names in the file"] = b"clouds" not in file.read("maindoc.xml")
    again = stage.krita.openDocument(str(path))
    stage.window.addView(again)
    yield from _until_regions(stage, ["sky", "sky", "moon"])
    stage.facts["reopened"] = {
        row.id + row.prompt: vars(row.settings) for row in _scene(stage).rows
    }


def nested_groups(stage):
    """A group is one region; the layers of a chosen one are; those of a hidden one are not."""
    document = stage.document(128, 96)
    wood = document.createGroupLayer("wood")
    document.rootNode().addChildNode(wood, None)
    inner = document.createGroupLayer("inner")
    wood.addChildNode(inner, None)
    stage.layer(document, "tree", (0, 0, 40, 40), parent=inner)
    stage.layer(document, "bush", (50, 0, 40, 40), parent=inner)
    stage.layer(document, "sky", (0, 50, 40, 40))
    yield from _until_regions(stage, ["sky", "wood"])
    scope = stage.widget("tapestry_scope")
    stage.facts["choices"] = [scope.itemText(place) for place in range(scope.count())]
    scope.activated.emit(scope.findText("inner"))
    yield from _until_regions(stage, ["bush", "tree"])
    wood.setVisible(False)
    yield stage.until(lambda: set(stage.badges().values()) == {"hidden"}, stage.badges(), 20)
    stage.facts["badges"] = stage.badges()
    wood.setVisible(True)
    scope.activated.emit(0)
    yield from _until_regions(stage, ["sky", "wood"])


def layers_among_others(stage):
    """An eraser, inherited alpha, a group that passes through; names that a program gave."""
    document = stage.document(128, 96)
    document.rootNode().childNodes()[0].remove()
    stage.layer(document, "grass", (0, 48, 128, 48))
    group = document.createGroupLayer("bricks")
    document.rootNode().addChildNode(group, None)
    stage.layer(document, "wall", (40, 20, 60, 60), parent=group)
    stage.layer(document, "door", (60, 50, 20, 40), parent=group).setBlendingMode("erase")
    group.setPassThroughMode(True)
    stage.layer(document, "snow", (0, 40, 128, 16)).setInheritAlpha(True)
    stage.layer(document, "hole", (0, 80, 20, 16)).setBlendingMode("erase")
    stage.layer(document, "Paint Layer 7", (120, 0, 4, 4))
    yield from _until_regions(stage, ["snow", "bricks", "grass"])
    document.refreshProjection()
    document.waitForDone()
    yield stage.turns(1.0)
    yield stage.until(lambda: _nameless(stage) is not None, "the layer without a prompt", 60)
    canvas, scene, nameless = KritaHost().active_canvas(), _scene(stage), _nameless(stage)
    whole = Bounds(0, 0, 96, 128)
    masks = [seen_alpha(canvas, scene.around, row.id, whole) for row in scene.regions]
    masks.append(canvas.alpha(nameless.id, whole))
    stage.facts["masks"] = [mask.count(255) for mask in masks]
    stage.facts["together"] = bytes(map(max, *masks)) == canvas.flattened(whole)[3::4]
    stage.facts["nameless"] = nameless.prompt
    bricks = next(row for row in scene.regions if row.prompt == "bricks")
    place = Bounds(56, 60, 57, 82)  # from the door into the wall
    stage.facts["colors"] = list(canvas.colors(bricks.id, place)[3::4])
    stage.facts["remarks"] = list(scene.remarks)
    yield from stage.picture("layers among others")


def rows_and_layers(stage):
    """A click on a row makes its layer the active one, and the other way round."""
    document = stage.document(128, 96)
    sky = stage.layer(document, "sky", (0, 0, 40, 40))
    stage.layer(document, "sea", (0, 40, 40, 40))
    yield from _until_regions(stage, ["sea", "sky"])
    document.setActiveNode(sky)
    yield stage.until(lambda: stage.region("sky").property("active"), "the mark on sky", 20)
    thumbnail = stage.in_region("sea", "tapestry_region_thumbnail")
    _click(thumbnail)
    yield stage.until(lambda: document.activeNode().name() == "sea", "sea to be active", 20)
    yield stage.until(lambda: stage.region("sea").property("active"), "the mark on sea", 20)
    stage.facts["marked"] = [stage.region(name).property("active") for name in ("sea", "sky")]


def new_region(stage):
    """A layer without a name, active, the brush in its colour, the cursor in its prompt."""
    document = stage.document(128, 96)
    yield stage.turns(1.0)
    before = stage.window.activeView().foregroundColor().components()
    stage.press("tapestry_new_region")
    yield stage.until(lambda: "" in stage.badges(), "the row", 20)
    yield stage.until(lambda: document.activeNode().name() == "", "it to be active", 20)
    node = document.activeNode()
    stage.facts["layer"] = [node.name(), node.type(), node.bounds().isEmpty()]
    stage.facts["badge"] = stage.badges()[""]
    brush = stage.window.activeView().foregroundColor().components()
    stage.facts["brush"] = [before, brush]
    focus = QApplication.focusWidget()
    stage.facts["focus"] = focus.objectName() if focus else ""
    stage.in_region("", "tapestry_region_prompt").write("full moon")
    stage.facts["name"] = node.name()
    yield from stage.picture("new region")


def show_regions(stage):
    """A layer in the colours of the regions, which is none itself, and away again."""
    document = stage.document(128, 96)
    stage.layer(document, "sky", (0, 0, 128, 48), (1, 2, 3, 255))
    stage.layer(document, "moon", (40, 10, 20, 20), (200, 200, 1, 255))
    yield from _until_regions(stage, ["moon", "sky"])
    sky = next(node for node in document.rootNode().childNodes() if node.name() == "sky")
    document.setActiveNode(sky)
    yield stage.until(lambda: document.activeNode().name() == "sky", "sky to be active", 20)
    plain = document.projection(0, 0, 128, 96)
    stage.press("tapestry_show_regions")
    yield stage.until(lambda: len(stage.names(document)) == 4, "the layer", 20)
    yield stage.turns(0.5)
    document.waitForDone()
    tinted = document.projection(0, 0, 128, 96)
    yield stage.until(lambda: document.activeNode().name() == "sky", "sky to be active again", 20)
    places = {"moon": (50, 20), "sky": (5, 5), "nothing": (5, 90)}
    stage.facts["changed"] = {
        name: plain.pixel(*place) != tinted.pixel(*place) for name, place in places.items()
    }
    stage.facts["differ"] = tinted.pixel(*places["moon"]) != tinted.pixel(*places["sky"])
    stage.facts["regions"] = stage.regions()
    yield from stage.picture("regions in colours")
    stage.press("tapestry_show_regions")
    yield stage.until(lambda: len(stage.names(document)) == 3, "the layer to go", 20)
    yield stage.turns(0.3)
    document.waitForDone()
    stage.facts["back"] = document.projection(0, 0, 128, 96) == plain


def badges(stage):
    """Hidden, empty, covered, too thin, beyond the canvas."""
    document = stage.document(128, 96)
    stage.layer(document, "covered", (10, 10, 30, 30))
    stage.layer(document, "thin", (0, 60, 128, 1))
    stage.layer(document, "outside", (200, 0, 30, 30))
    stage.layer(document, "empty")
    stage.layer(document, "hidden", (0, 0, 30, 30)).setVisible(False)
    stage.layer(document, "cover", (0, 0, 64, 48))
    yield stage.until(lambda: stage.badges().get("covered") == "covered", "the badges", 30)
    stage.facts["badges"] = stage.badges()
    yield from stage.picture("badges")


def one_layer(stage):
    """A document with a single layer that fills it: its name is the background."""
    document = stage.document(64, 64)
    document.rootNode().childNodes()[0].setName("blue sky")
    yield stage.until(lambda: "blue sky" in _remarks(stage), _remarks(stage), 20)
    stage.facts["remarks"] = _remarks(stage)
    stage.facts["regions"] = stage.regions()


def cmyk_document(stage):
    """Regions and their colours, as in any other document."""
    document = stage.document(64, 64, model="CMYKA")
    stage.layer(document, "sky", (0, 0, 64, 32), (90, 140, 230, 255))
    yield from _until_regions(stage, ["sky"])
    plain = document.projection(0, 0, 64, 64)
    stage.press("tapestry_show_regions")
    yield stage.until(lambda: len(stage.names(document)) == 3, "the layer", 20)
    yield stage.turns(0.5)
    document.waitForDone()
    tinted = document.projection(0, 0, 64, 64)
    changed = [plain.pixel(5, y) != tinted.pixel(5, y) for y in (5, 60)]
    stage.facts["changed"] = changed
    stage.press("tapestry_show_regions")
    yield stage.until(lambda: len(stage.names(document)) == 2, "the layer to go", 20)


def two_documents(stage):
    """Each has its own regions, and its own settings of them."""
    first = stage.document(64, 64)
    stage.layer(first, "sky", (0, 0, 64, 32))
    view = stage.window.activeView()
    yield from _until_regions(stage, ["sky"])
    stage.in_region("sky", "tapestry_region_on").click()
    second = stage.document(64, 64)
    stage.layer(second, "sky", (0, 0, 64, 32))
    yield stage.until(lambda: _on(stage, "sky") == [True], "the second one's region", 20)
    stage.window.showView(view)
    view.setVisible()
    yield stage.until(lambda: _on(stage, "sky") == [False], "the first one's region", 20)
    stage.facts["regions"] = stage.regions()


def selections_are_no_regions(stage):
    """A selection that was saved with its document comes back as a mask, which is none."""
    document = stage.document(64, 64)
    stage.layer(document, "sky", (0, 0, 64, 32))
    selection = Selection()
    selection.select(8, 8, 16, 16, 255)
    document.setSelection(selection)
    stage.krita.action("show-global-selection-mask").trigger()
    yield from _until_regions(stage, ["sky"])
    stage.facts["nodes"] = sorted(stage.names(document))
    stage.facts["rows"] = sorted(stage.badges())


def nothing_selected(stage):
    """Refine and Fill say what to do."""
    stage.document(64, 64)
    yield stage.turns(1.0)
    for mode in ("refine", "fill"):
        stage.press(f"tapestry_mode_{mode}")
        stage.press(f"tapestry_{mode}")
        yield stage.until(lambda: stage.notice()[0], "a notice", 20)
        stage.facts[mode] = stage.notice()
        stage.press("tapestry_dismiss")
        yield stage.turns(0.3)
    stage.press("tapestry_mode_generate")


def actions(stage):
    """Krita knows them all; triggering one does what its button does."""
    document = stage.document(64, 64)
    known = [stage.krita.action(action.name) for action in shortcuts()]
    stage.facts["texts"] = [action and action.text().replace("&", "") for action in known]
    stage.facts["wanted"] = [action.text for action in shortcuts()]
    yield stage.turns(0.5)
    stage.krita.action("tapestry_new_region").trigger()
    yield stage.until(lambda: len(stage.names(document)) == 2, "a new layer", 20)
    seed = stage.widget("tapestry_seed").value()
    stage.krita.action("tapestry_roll_seed").trigger()
    stage.facts["rolled"] = stage.widget("tapestry_seed").value() != seed
    stage.widget("tapestry_seed").setValue(42)


def _until_regions(stage, expected):
    yield stage.until(lambda: stage.regions() == expected, f"the regions {expected}"[:200], 30)


def _on(stage, prompt):
    """Whether the regions of this prompt are switched on."""
    boxes = [box for box in stage.widgets("tapestry_region_on") if box.isVisible()]
    return [box.isChecked() for box in boxes if stage.regions() == [prompt]]


def _remarks(stage):
    return stage.widget("tapestry_remarks").text()


def _nameless(stage):
    return next((row for row in _scene(stage).rows if row.state == "nameless"), None)


def _scene(stage):
    from tapestry.krita_adapter.docker import _docker_model

    return _docker_model().scene_watch.scene


def _click(widget):
    """A press on the widget, as the mouse does it; its row hears of it."""
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    place = QPointF(3, 3)
    press = QMouseEvent(QEvent.Type.MouseButtonPress, place, button, button, none)
    QApplication.sendEvent(widget, press)
