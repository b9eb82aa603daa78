"""Scenarios with a real backend: generate a part, refine, fill, extend, edit, upscale."""

from krita import Selection

from .jobs import A_PICTURE_S

WIDTH, HEIGHT = 192, 160
SELECTED = (96, 64, 48, 48)
"""x, y, width, height."""
_STEPS = 4


def refine_a_selection(stage):
    """What is selected is painted over; not a pixel changes outside its feather."""
    document = _ready(stage, "refine")
    _select(document)
    stage.widget("tapestry_strength").setValue(0.6)
    stage.widget("tapestry_feather_px").setValue(0)
    stage.widget("tapestry_context_px").setValue(32)
    yield from _run(stage, document, "refine")
    yield from stage.picture("refined")


def fill_a_selection(stage):
    """Something new where it is selected."""
    document = _ready(stage, "fill")
    _select(document)
    stage.widget("tapestry_selection_prompt").write("red bricks")
    yield from _run(stage, document, "fill")
    stage.press("tapestry_mode_fill")
    stage.widget("tapestry_selection_prompt").write("")
    stage.press("tapestry_mode_generate")
    yield from stage.picture("filled")


def generate_a_selection(stage):
    """As if the whole had been generated, but only there."""
    document = _ready(stage, "generate")
    _select(document)
    where = stage.widget("tapestry_where")
    where.activated.emit(1)
    yield from _run(stage, document, "generate")
    where.activated.emit(0)


def extend_every_side(stage):
    """Four sides at once, each by its own number; the old picture is where it was."""
    document = _ready(stage, "extend")
    stage.extend_by(top=16, left=32, bottom=8, right=24)
    yield from _run(stage, document, "extend")
    stage.facts["size"] = [document.width(), document.height()]
    yield from stage.picture("extended to every side")


def extend_all_around(stage):
    """To 360 degrees: the edges of the new picture meet."""
    document = _ready(stage, "extend")
    yield stage.until(lambda: len(stage.regions()) == 2, "the docker to know the document", 30)
    menu = stage.widget("tapestry_extend_presets").menu()
    next(a for a in menu.actions() if a.objectName() == "tapestry_extend_around").trigger()
    yield from _run(stage, document, "extend")
    width, height = document.width(), document.height()
    stage.facts["size"] = [width, height]
    stage.dump("around.bgra", document.pixelData(0, 0, width, height))
    next(a for a in menu.actions() if a.objectName() == "tapestry_extend_nothing").trigger()
    yield from stage.picture("all around")


def suggest_a_prompt(stage):
    """Of a flat picture: what its edges show becomes the background's prompt, and is painted."""
    document = _ready(stage, "generate")
    yield stage.until(lambda: len(stage.regions()) == 2, "the regions", 30)
    yield from _run(stage, document, "generate", steps=20)
    document.flatten()
    document.waitForDone()
    document.rootNode().childNodes()[0].setName("Background")
    yield stage.until(lambda: not stage.regions(), "the flat picture", 30)
    stage.press("tapestry_mode_extend")
    stage.extend_by(top=0, left=0, bottom=0, right=0)
    stage.press("tapestry_suggest_prompt")
    yield stage.until(lambda: stage.notice()[0], "a sentence", 30)
    stage.facts["without an edge"] = stage.notice()[0]
    stage.extend_by(top=64, left=0, bottom=0, right=0)
    stage.press("tapestry_suggest_prompt")

    def is_there():
        idle = not stage.widget("tapestry_progress").isVisible()
        return idle and stage.notice()[0].startswith("The edges show")

    yield stage.until(is_there, "what the edges show", A_PICTURE_S)
    stage.facts["told"] = stage.notice()[0]
    stage.facts["prompt"] = stage.widget("tapestry_prompt").text()
    yield from stage.picture("a prompt suggested")
    yield from _run(stage, document, "extend")
    stage.facts["size"] = [document.width(), document.height()]
    yield from stage.picture("extended by the suggestion")
    stage.press("tapestry_mode_extend")
    stage.extend_by(top=0, left=0, bottom=0, right=0)
    stage.widget("tapestry_prompt").write("")
    stage.press("tapestry_mode_generate")


def edit_by_words(stage):
    """The place is found, shown, taken as selection and changed; then taken as layer, and again."""
    document = _ready(stage, "generate")
    yield stage.until(lambda: len(stage.regions()) == 2, "the regions", 30)
    yield from _run(stage, document, "generate", steps=20)
    stage.press("tapestry_judge_regions")
    yield stage.until(lambda: stage.notice()[0], "what was judged", A_PICTURE_S)
    stage.facts["judged"] = stage.notice()[0]
    yield from stage.picture("judged")
    stage.press("tapestry_mode_edit")
    stage.widget("tapestry_edit_from").write("grass")
    stage.press("tapestry_find_place")
    yield stage.until(lambda: stage.notice()[0], "a sentence", 30)
    stage.facts["without a wish"] = stage.notice()[0]
    yield from _follow_an_instruction(stage, document)
    stage.widget("tapestry_edit_to").write("lava")
    yield from _find_the_place(stage)
    yield stage.turns(2.0)
    for threshold in (0.2, 0.8, 0.5):
        stage.widget("tapestry_edit_threshold").setValue(threshold)
        yield from stage.picture(f"place at {threshold}")
    stage.press("tapestry_place_as_selection")
    yield stage.until(lambda: document.selection() is not None, "the selection", 30)
    selected = bytes(document.selection().pixelData(0, 0, WIDTH, HEIGHT))
    stage.dump("selected.bytes", selected)
    yield from _run(stage, document, "edit", steps=20)
    stage.facts["names"] = stage.names(document)
    stage.facts["changed in the selection"] = stage.facts["changed"]
    yield from stage.picture("edited in the selection")
    stage.press("tapestry_take_back")
    yield stage.turns(1.0)
    stage.krita.action("deselect").trigger()
    stage.press("tapestry_mode_edit")
    stage.press("tapestry_place_as_layer")
    yield stage.until(lambda: "grass" in stage.names(document), "the layer", 30)
    yield stage.until(lambda: "grass" in stage.regions(), "the region", 30)
    yield from stage.picture("place as layer")
    stage.facts["where"] = stage.widget("tapestry_edit_where").text()
    place = next(node for node in document.rootNode().childNodes() if node.name() == "grass")
    yield from _run(stage, document, "edit", steps=20)
    stage.facts["hidden"] = not place.visible()
    stage.facts["with the layer"] = stage.names(document)
    yield from stage.picture("edited by the layer")


def learn_a_picture(stage):
    """Cancelled while it learns, it goes on from there; the slider then costs only a painting."""
    document = _ready(stage, "generate")
    yield stage.until(lambda: len(stage.regions()) == 2, "the regions", 30)
    yield from _run(stage, document, "generate")
    stage.press("tapestry_mode_edit")
    method = stage.widget("tapestry_edit_method")
    method.activated.emit(method.findData("imagic"))
    yield stage.turns(0.5)
    stage.widget("tapestry_edit_to").write("snow")
    stage.widget("tapestry_edit_learning_steps").setValue(30)
    stage.press("tapestry_edit")
    yield stage.until(lambda: _learned(stage) >= 5, "some steps", A_PICTURE_S)
    yield from stage.picture("a picture is learned")
    stage.press("tapestry_cancel")

    def is_idle():
        return not stage.widget("tapestry_progress").isVisible()

    yield stage.until(is_idle, "the job to end", A_PICTURE_S)
    stage.facts["cancelled"] = stage.names(document)
    steps = []

    def goes_on():
        steps.append(_learned(stage))
        return steps[-1] > 0

    stage.press("tapestry_edit")
    yield stage.until(goes_on, "further steps", A_PICTURE_S)
    stage.facts["goes on from"] = steps[-1]
    yield stage.until(is_idle, "the picture", A_PICTURE_S)
    first = document.rootNode().childNodes()[-1]
    stage.widget("tapestry_edit_interpolation").setValue(0.2)
    steps.clear()

    def painted():
        steps.append(_learned(stage))
        return len(stage.names(document)) == 6 and is_idle()

    stage.press("tapestry_edit")
    yield stage.until(painted, "another place on the way", A_PICTURE_S)
    stage.facts["learned again"] = sorted(set(steps))
    stage.facts["first is hidden"] = not first.visible()
    stage.facts["names"] = stage.names(document)
    yield from stage.picture("a learned picture")
    method.activated.emit(method.findData("diffedit"))
    stage.press("tapestry_mode_generate")


def _learned(stage):
    """The step of 30 that is done, as the progress says; -1 while nothing is learned."""
    progress = stage.widget("tapestry_progress")
    is_learning = progress.isVisible() and progress.maximum() == 30
    return progress.value() if is_learning else -1


def _follow_an_instruction(stage, document):
    """The bundled model's twin does what it is told; then all is as before."""
    method = stage.widget("tapestry_edit_method")
    method.activated.emit(method.findData("instruct"))
    stage.widget("tapestry_edit_instruction").write("make it night")
    yield from _run(stage, document, "edit", steps=20)
    stage.facts["instructed"] = stage.names(document)
    yield from stage.picture("an instruction")
    stage.press("tapestry_take_back")
    yield stage.turns(1.0)
    stage.press("tapestry_mode_edit")
    method.activated.emit(method.findData("diffedit"))


def _find_the_place(stage):
    """Press the button and wait for the map."""
    yield stage.turns(0.5)
    stage.widget("tapestry_steps").setValue(_STEPS)
    stage.press("tapestry_find_place")

    def is_there():
        assert not stage.notice()[0], stage.state()
        idle = not stage.widget("tapestry_progress").isVisible()
        return idle and stage.widget("tapestry_place_picture").isVisible()

    yield stage.until(is_there, "the map", A_PICTURE_S)


def upscale_the_document(stage):
    """All layers grow with it, taking it back shrinks them, undo brings them back exactly."""
    document = _ready(stage, "upscale")
    stage.layer(document, "a leaf", (37, 21, 45, 33), (220, 60, 30, 255))
    leaf = document.rootNode().childNodes()[-1].uniqueId()
    before = _leaf(document, leaf)
    stage.widget("tapestry_upscale_factor").setValue(2.5)
    stage.widget("tapestry_upscale_strength").setValue(0.5)
    yield stage.until(lambda: len(stage.regions()) == 3, "the regions", 30)
    stage.facts["to be"] = stage.widget("tapestry_upscaled_size").text()
    stage.facts["tabs"] = _cut_off(stage)
    yield from _run(stage, document, "upscale")
    stage.press("tapestry_mode_upscale")
    stage.facts["size"] = [document.width(), document.height()]
    stage.facts["resolution"] = document.resolution()
    stage.facts["names"] = stage.names(document)
    stage.facts["leaf"] = _box(document.nodeByUniqueID(leaf))
    stage.facts["regions"] = stage.regions()
    yield from stage.picture("upscaled")
    stage.press("tapestry_take_back")
    yield stage.turns(1.5)
    stage.facts["taken back"] = [document.width(), document.height(), stage.names(document)]
    again = _leaf(document, leaf)
    stage.facts["leaf taken back"] = max(abs(a - b) for a, b in zip(again, before, strict=True))
    stage.facts["told"] = stage.notice()[0]
    sizes = []
    for _ in range(4):
        stage.krita.action("edit_undo").trigger()
        yield stage.turns(1.0)
        document.waitForDone()
        sizes.append([document.width(), len(stage.names(document))])
    stage.facts["undone"] = sizes
    stage.facts["leaf undone"] = _leaf(document, leaf) == before
    into = stage.widget("tapestry_upscale_into")
    into.activated.emit(into.findData("selection"))
    _select(document)
    stage.press("tapestry_upscale")
    known = [document, *stage.krita.documents()]

    def opened():
        new = stage.krita.activeDocument()
        idle = not stage.widget("tapestry_progress").isVisible()
        return new not in known and idle and len(stage.names(new)) == 2

    yield stage.until(opened, "the new document", A_PICTURE_S)
    yield stage.turns(0.5)
    new = stage.krita.activeDocument()
    stage.facts["new"] = [new.width(), new.height(), stage.names(new)]
    stage.facts["left alone"] = [document.width(), document.height()]
    yield from stage.picture("upscaled selection")
    into.activated.emit(into.findData("document"))
    stage.press("tapestry_mode_generate")


def four_times_as_large(stage):
    """One press: the regions are painted, then the picture becomes larger with its document."""
    document = _ready(stage, "upscale")
    yield stage.until(lambda: len(stage.regions()) == 2, "the regions", 30)
    stage.widget("tapestry_steps").setValue(_STEPS)
    yield stage.turns(0.5)
    yield from stage.picture("before it is four times as large")
    stage.press("tapestry_upscale_by_four")

    def is_there():
        idle = not stage.widget("tapestry_progress").isVisible()
        return idle and document.width() > WIDTH

    yield stage.until(is_there, "the larger picture", 2 * A_PICTURE_S)
    yield stage.turns(1.0)
    stage.facts["size"] = [document.width(), document.height()]
    stage.facts["names"] = stage.names(document)
    yield from stage.picture("four times as large")
    stage.press("tapestry_take_back")
    yield stage.turns(1.5)
    stage.facts["taken back"] = [document.width(), document.height(), stage.names(document)]
    stage.press("tapestry_mode_generate")


def _leaf(document, leaf):
    return bytes(document.nodeByUniqueID(leaf).pixelData(0, 0, WIDTH, HEIGHT))


def _box(node):
    box = node.bounds()
    return [box.x(), box.y(), box.width(), box.height()]


def _cut_off(stage):
    """The words of modes that have less room than they need."""
    names = ("generate", "extend", "refine", "fill", "edit", "upscale")
    tabs = [stage.widget(f"tapestry_mode_{name}") for name in names]
    return [t.text() for t in tabs if t.width() < t.fontMetrics().horizontalAdvance(t.text())]


def settings_of_regions_matter(stage):
    """A region that keeps to its paint, in a document of 16 bits, looks like its paint."""
    document = stage.document(128, 128, depth="U16")
    stage.layer(document, "snow", (0, 64, 128, 64), (250, 250, 250, 255))
    stage.layer(document, "night sky", (0, 0, 128, 64), (250, 20, 240, 255))
    yield stage.until(lambda: len(stage.regions()) == 2, "the regions", 30)
    stage.press("tapestry_mode_generate")
    stage.in_region("night sky", "tapestry_region_more").click()
    shown = {}
    for strength in (1.0, 0.2):
        stage.in_region("night sky", "tapestry_region_strength").setValue(strength)
        yield stage.turns(1.0)
        yield from _run(stage, document, "generate")
        picture = document.projection(0, 0, 128, 128)
        colors = [picture.pixelColor(x, 16) for x in range(128)]
        shown[strength] = sum(c.redF() + c.blueF() - 2 * c.greenF() for c in colors) / 128
        document.rootNode().childNodes()[-1].remove()
    stage.facts["magenta"] = [shown[1.0], shown[0.2]]


def _ready(stage, mode):
    """A document with two regions, in this mode, with few steps."""
    document = stage.document(WIDTH, HEIGHT)
    stage.layer(document, "green grass", (0, 80, WIDTH, 80), (60, 140, 60, 255))
    stage.layer(document, "blue sky", (0, 0, WIDTH, 80), (90, 140, 230, 255))
    stage.press(f"tapestry_mode_{mode}")
    return document


def _select(document):
    selection = Selection()
    selection.select(*SELECTED, 255)
    document.setSelection(selection)
    document.waitForDone()


def _run(stage, document, mode, steps=_STEPS):
    """Press the mode's button and wait; where the new layer is, and what changed around it."""
    yield stage.turns(0.5)
    before = document.projection(0, 0, document.width(), document.height())
    count = len(stage.names(document))
    stage.widget("tapestry_steps").setValue(steps)
    stage.press(f"tapestry_{mode}")

    def inserted():
        assert not stage.notice()[0], stage.state()
        idle = not stage.widget("tapestry_progress").isVisible()
        return len(stage.names(document)) == count + 1 and idle

    yield stage.until(inserted, "the layer", A_PICTURE_S)
    yield stage.turns(0.3)
    document.waitForDone()
    top = document.rootNode().childNodes()[-1]
    box = top.bounds()
    stage.facts["name"] = top.name()
    stage.facts["box"] = [box.x(), box.y(), box.width(), box.height()]
    after = document.projection(0, 0, document.width(), document.height())
    if before.size() == after.size():
        stage.facts["changed"] = _changed(before, after)
        stage.widget(f"tapestry_mode_{mode}").click()
    stage.press("tapestry_mode_generate")


def _changed(before, after):
    """[x, y, right, bottom] of all pixels that differ."""
    places = [
        (x, y)
        for y in range(before.height())
        for x in range(before.width())
        if before.pixel(x, y) != after.pixel(x, y)
    ]
    xs, ys = [x for x, _ in places], [y for _, y in places]
    return [min(xs), min(ys), max(xs) + 1, max(ys) + 1] if places else []
