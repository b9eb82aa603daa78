"""Scenarios without a backend: what the docker finds in documents, and what it says."""

from krita import InfoObject, Selection

from .timing import held, pieces

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="300px" height="200px">'
    '<rect x="50" y="60" width="100" height="80" fill="#00ff00"/></svg>'
)


def no_document(stage):
    """Generate without a document; the backend is not installed either."""
    stage.facts["seen"] = stage.seen_at_start
    yield stage.turns()
    stage.press("tapestry_generate")
    yield stage.until(lambda: stage.notice()[0], "a notice", 20)
    stage.facts["notice"] = stage.notice()
    stage.facts["remarks"] = stage.widget("tapestry_remarks").text()
    yield from stage.picture("no document")


def no_backend(stage):
    """A document is opened, and there is no backend anywhere."""
    document = stage.document(64, 64)
    stage.layer(document, "green grass", (0, 0, 64, 32))
    yield stage.until(lambda: stage.notice()[0], "a notice", 20)
    stage.facts["opened"] = stage.notice()
    stage.facts["status"] = stage.status()
    stage.press("tapestry_dismiss")
    yield stage.until(lambda: stage.notice() == ["", ""], "the notice to go", 20)
    stage.press("tapestry_generate")
    yield stage.until(lambda: stage.notice()[0], "a notice", 20)
    stage.facts["pressed"] = stage.notice()
    yield from stage.picture("no backend")


def empty_document(stage):
    """Generate and extend in a document where nothing is painted and no prompt is written."""
    document = stage.document(128, 96)
    yield stage.turns(1.0)
    stage.facts["remarks"] = stage.widget("tapestry_remarks").text()
    stage.press("tapestry_generate")
    yield stage.until(lambda: stage.notice()[0], "a notice", 20)
    stage.facts["notice"] = stage.notice()
    stage.facts["layers"] = stage.names(document)
    yield from stage.picture("empty document")


def bad_input(stage):
    """Too many regions, a prompt that is too long, a canvas that is too large."""
    crowd = stage.document(80, 64)
    for number in range(40):
        stage.layer(crowd, f"region {number}", (2 * number, 0, 2, 64))
    yield stage.until(lambda: len(stage.regions()) == 40, "40 regions in the list", 60)
    yield from _press_and_note(stage, "crowd", picture="40 regions")
    verbose = stage.document(80, 64)
    stage.layer(verbose, "very " * 2000, (0, 0, 80, 32))
    yield from _press_and_note(stage, "verbose")
    stage.document(20_000, 20_000)
    yield from _press_and_note(stage, "huge")
    nameless = stage.document(80, 64)
    stage.layer(nameless, "  ", (0, 0, 80, 32))
    yield stage.until(lambda: "without a name" in _remarks(stage), "a remark", 20)
    stage.facts["nameless"] = _remarks(stage)
    yield from stage.picture("layer without a name")


def all_kinds_of_layers(stage):
    """One layer of every kind, some with transparency masks, in the list and as masks."""
    document = stage.document(300, 200)
    root = document.rootNode()
    group = document.createGroupLayer("group of trees")
    root.addChildNode(group, None)
    stage.layer(document, "a tree", (0, 0, 50, 50), parent=group)
    stage.layer(document, "a hidden tree", (100, 0, 50, 50), parent=group).setVisible(False)
    vector = document.createVectorLayer("vector house")
    root.addChildNode(vector, None)
    vector.addShapesFromSvg(_SVG)
    color = InfoObject()
    color.setProperties({"color": "#ff0000"})
    filled = Selection()
    filled.select(200, 100, 60, 60, 255)
    root.addChildNode(document.createFillLayer("filled lake", "color", color, filled), None)
    masked = stage.layer(document, "masked hill", (0, 100, 100, 100))
    stage.layer(document, "half there", (250, 150, 10, 10)).setOpacity(128)
    stage.layer(document, "invisible", (0, 0, 300, 200)).setOpacity(0)
    stage.layer(document, "hidden", (0, 0, 300, 200)).setVisible(False)
    stage.layer(document, "nothing painted")
    stage.layer(document, "Tapestry: an old picture (seed 1)", (0, 0, 300, 200))
    document.refreshProjection()
    document.waitForDone()
    yield stage.turns(1.0)
    yield from _add_transparency_mask(stage, document, masked, (0, 100, 50, 100))
    expected = ["half there", "masked hill", "filled lake", "vector house", "group of trees"]
    yield stage.until(lambda: stage.regions() == expected, f"{expected}, not {stage.regions()}", 20)
    yield stage.turns(1.5)  # the thumbnails
    stage.facts["regions"] = stage.regions()
    stage.facts["alpha"] = _alphas(document)
    yield from stage.picture("all kinds of layers")


def stays_usable(stage):
    """A large document is looked at, read, shown in colours; how long Krita waits at most."""
    longest = stage.facts["longest"] = {}
    with held(longest):
        document = stage.document(4096, 2048)
        for number, name in enumerate(("sea", "sky", "moon")):
            stage.layer(document, name, (0, 600 * number, 4096, 800))
        yield stage.until(lambda: len(stage.regions()) == 3, "the regions", 60)
        yield stage.turns(3.0)
        stage.press("tapestry_generate")
        yield stage.until(lambda: stage.notice()[0], "a notice", 120)
    stage.facts["notice"] = stage.notice()
    stage.press("tapestry_dismiss")
    longest = stage.facts["longest in colours"] = {}
    slowest = stage.facts["pieces in colours"] = []
    with held(longest), pieces(slowest):
        stage.press("tapestry_show_regions")
        yield stage.until(lambda: len(stage.names(document)) == 5, "the regions in colours", 60)
        selection = Selection()
        selection.select(200, 200, 3000, 1500, 255)
        document.setSelection(selection)
        stage.widget("tapestry_refine").click()
        yield stage.until(lambda: stage.notice()[0], "a notice", 120)
    stage.press("tapestry_dismiss")
    yield stage.turns(1.0)
    longest = stage.facts["longest of a new region"] = {}
    slowest = stage.facts["pieces of a new region"] = []
    with held(longest), pieces(slowest):
        stage.press("tapestry_new_region")
        yield stage.until(lambda: "" in stage.badges(), "the new region", 60)
        yield stage.turns(1.0)


def _press_and_note(stage, name, picture=""):
    yield stage.turns(1.0)
    stage.press("tapestry_generate")
    yield stage.until(lambda: stage.notice()[0], "a notice", 60)
    stage.facts[name] = stage.notice()
    if picture:
        yield from stage.picture(picture)
    stage.press("tapestry_dismiss")
    yield stage.until(lambda: stage.notice() == ["", ""], "the notice to go", 20)


def _remarks(stage):
    return stage.widget("tapestry_remarks").text()


def _add_transparency_mask(stage, document, node, box):
    """Krita 5.1 has no call for it: a selection, and the action of the menu."""
    selection = Selection()
    selection.select(*box, 255)
    document.setSelection(selection)
    document.setActiveNode(node)
    document.waitForDone()
    yield stage.until(
        lambda: document.activeNode().name() == node.name(), "the layer to be the active one", 20
    )
    stage.krita.action("add_new_transparency_mask").trigger()
    yield stage.until(node.childNodes, "the mask", 20)


def _alphas(document):
    """Layer -> how many pixels its mask covers, as the plugin reads it."""
    from tapestry.krita_adapter.documents import KritaCanvas
    from tapestry_protocol.pixels import Bounds

    canvas = KritaCanvas(document)
    whole = Bounds(0, 0, canvas.height, canvas.width)
    return {layer.name: sum(map(bool, canvas.alpha(layer.id, whole))) for layer in canvas.layers()}
