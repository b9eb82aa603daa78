"""The pictures of the user guide: every mode once, with the real backend."""

from krita import Selection

from .jobs import A_PICTURE_S
from .qt import Qt

WIDTH, HEIGHT = 384, 256
LAYERS = (
    ("green grass", (0, 168, WIDTH, 88), (70, 150, 60, 255)),
    ("ocean waves", (0, 120, WIDTH, 60), (40, 110, 150, 255)),
    ("sunset sky", (0, 0, WIDTH, 130), (240, 150, 70, 255)),
    ("red bricks", (150, 60, 90, 130), (160, 70, 60, 255)),
)
_STEPS = 20
LOW_PX = (700, 420)
_STUDIO = 3
"""Workers of the studio: ours, and one on each of two other computers."""


def guide(stage):
    """From four rough layers to a longer, refined picture."""
    _arrange(stage)
    document = stage.document(WIDTH, HEIGHT)
    for name, box, color in LAYERS:
        stage.layer(document, name, box, color)
    stage.layer(document, "a ship")
    _fit(stage)
    yield stage.until(lambda: len(stage.regions()) == len(LAYERS), "the regions", 60)
    yield stage.until(lambda: "ready" in stage.status(), "the backend", A_PICTURE_S)
    stage.widget("tapestry_steps").setValue(_STEPS)
    stage.widget("tapestry_seed").setValue(7)
    stage.in_region("red bricks", "tapestry_region_more").click()
    yield stage.turns(3.0)
    yield from _pictures(stage, "regions")
    stage.in_region("red bricks", "tapestry_region_more").click()
    stage.press("tapestry_show_regions")
    yield stage.until(lambda: len(stage.names(document)) == len(LAYERS) + 3, "the colours", 60)
    yield stage.turns(1.5)
    yield from _pictures(stage, "show-regions")
    yield from _run(stage, document, "generate")
    stage.press("tapestry_mode_refine")
    _select(document, (150, 50, 90, 90))
    stage.widget("tapestry_strength").setValue(0.6)
    yield from _run(stage, document, "refine")
    stage.press("tapestry_mode_fill")
    _select(document, (270, 110, 90, 110))
    stage.widget("tapestry_selection_prompt").write("stone wall")
    yield from _run(stage, document, "fill")
    stage.widget("tapestry_selection_prompt").write("")
    stage.krita.action("deselect").trigger()
    yield from _edit(stage, document)
    stage.press("tapestry_mode_extend")
    stage.extend_by(left=64, right=128, top=32)
    yield stage.turns(3.0)
    yield from _pictures(stage, "extend")
    yield from _run(stage, document, "extend")
    stage.press("tapestry_favourite")
    stage.press("tapestry_open_backend_page")
    yield stage.turns(1.5)
    for name in ("history", "backend_page"):
        part = stage.widget(f"tapestry_{name}")
        part.grab().save(str(stage.folder / f"{name.partition('_')[0]}.png"))
    stage.widget("tapestry_backend_page").hide()


def _edit(stage, document):
    """Waves become lava: the place is found, and taken as selection."""
    stage.press("tapestry_mode_edit")
    stage.widget("tapestry_edit_from").write("ocean waves")
    stage.widget("tapestry_edit_to").write("lava")
    stage.press("tapestry_find_place")
    found = stage.widget("tapestry_place_picture").isVisible
    yield stage.until(found, "the map", A_PICTURE_S)
    yield stage.turns(2.0)
    yield from _pictures(stage, "edit")
    stage.press("tapestry_place_as_selection")
    yield stage.until(lambda: document.selection() is not None, "the selection", 30)
    yield from _run(stage, document, "edit")
    for name in ("from", "to"):
        stage.widget(f"tapestry_edit_{name}").write("")
    stage.krita.action("deselect").trigger()


def guide_studio(stage):
    """The backend's page while the computers of a cluster paint."""
    document = stage.document(WIDTH, HEIGHT)
    for name, box, color in LAYERS:
        stage.layer(document, name, box, color)
    yield stage.until(lambda: len(stage.regions()) == len(LAYERS), "the regions", 60)
    stage.press("tapestry_open_backend_page")
    facts = stage.widget("tapestry_backend_facts")
    yield stage.until(lambda: facts.text().count("waits") == _STUDIO, "all workers", A_PICTURE_S)
    stage.widget("tapestry_steps").setValue(100)
    for _ in range(_STUDIO - 1):
        stage.press("tapestry_generate")
    yield stage.until(lambda: facts.text().count("paints") == _STUDIO - 1, "work", A_PICTURE_S)
    yield stage.turns(1.0)
    stage.facts["workers"] = facts.text()
    stage.screenshot("studio-window")
    stage.widget("tapestry_backend_page").grab().save(str(stage.folder / "studio.png"))
    stage.press("tapestry_cancel_all")
    stage.widget("tapestry_backend_page").hide()


def guide_look(stage):
    """The docker without a backend, for another theme or another scale."""
    _arrange(stage)
    document = stage.document(WIDTH, HEIGHT)
    for name, box, color in LAYERS:
        stage.layer(document, name, box, color)
    stage.layer(document, "covered", (160, 70, 20, 20)).setVisible(False)
    _fit(stage)
    yield stage.until(lambda: len(stage.regions()) == len(LAYERS), "the regions", 60)
    yield stage.turns(3.0)
    for mode in ("generate", "extend", "refine", "fill", "edit", "upscale"):
        stage.press(f"tapestry_mode_{mode}")
        if mode == "generate":
            stage.in_region("red bricks", "tapestry_region_more").click()
        yield stage.turns(1.5)
        yield from _pictures(stage, mode)


def guide_crowded(stage):
    """A low docker with everything at once: history, queue, preview, a notice."""
    docker = next(d for d in stage.krita.dockers() if d.objectName() == "tapestry_docker")
    docker.setFloating(True)
    document = stage.document(WIDTH, HEIGHT)
    for name, box, color in LAYERS:
        stage.layer(document, name, box, color)
    _fit(stage)
    yield stage.until(lambda: len(stage.regions()) == len(LAYERS), "the regions", 60)
    stage.press("tapestry_mode_generate")
    stage.widget("tapestry_steps").setValue(4)
    yield from _run(stage, document, "generate")
    stage.widget("tapestry_steps").setValue(400)
    for _ in range(4):
        stage.press("tapestry_generate")
    bar = stage.widget("tapestry_progress")
    yield stage.until(lambda: bar.value() > 0, "a step", A_PICTURE_S)
    stage.press("tapestry_mode_refine")
    stage.press("tapestry_refine")
    yield stage.until(lambda: stage.notice()[0], "a notice", 30)
    for height in LOW_PX:
        docker.resize(300, height)
        yield stage.turns(1.5)
        stage.facts[str(height)] = [docker.width(), docker.height()]
        yield from _pictures(stage, f"crowded {height}")
    stage.press("tapestry_mode_generate")
    stage.press("tapestry_cancel_all")
    yield stage.until(lambda: not bar.isVisible(), "nothing to do", A_PICTURE_S)
    docker.setFloating(False)


def _run(stage, document, mode):
    """Press the mode's button; a picture before and one afterwards."""
    yield stage.turns(1.0)
    count = len([name for name in stage.names(document) if name != "Tapestry: regions"])
    stage.press(f"tapestry_{mode}")

    def inserted():
        assert not stage.notice()[0], stage.state()
        idle = not stage.widget("tapestry_progress").isVisible()
        return len(stage.names(document)) == count + 1 and idle

    yield stage.until(inserted, "the layer", A_PICTURE_S)
    _fit(stage)
    yield stage.turns(2.0)
    yield from _pictures(stage, f"{mode}d" if mode.endswith("e") else f"{mode}ed")


def _pictures(stage, name):
    """The window, and the docker alone."""
    yield stage.turns(0.5)
    stage.screenshot(name)
    stage.widget("tapestry_panel").grab().save(str(stage.folder / f"{name}-docker.png"))


def _fit(stage):
    """The whole canvas in the window, whatever was shown before."""
    for action in ("zoom_to_100pct", "toggle_zoom_to_fit"):
        stage.krita.action(action).trigger()


def _select(document, box):
    selection = Selection()
    selection.select(*box, 255)
    document.setSelection(selection)
    document.waitForDone()


def _arrange(stage):
    """More of the height for our docker."""
    dockers = {docker.objectName(): docker for docker in stage.krita.dockers()}
    shown = [dockers["KisLayerBox"], dockers["tapestry_docker"]]
    window = stage.window.qwindow()
    window.resizeDocks(shown, [190, 740], Qt.Orientation.Vertical)
    window.resizeDocks(shown, [300, 300], Qt.Orientation.Horizontal)
