"""Scenarios with a real backend: two windows of Krita, and two views of one document."""

from contextlib import contextmanager

from tapestry.krita_adapter.layer_drafts import KritaLayerDraft

from .jobs import A_PICTURE_S
from .qt import QApplication, QDockWidget, QWidget

SIDE = 128
REGIONS = (
    ("green grass", (0, 64, SIDE, 64), (60, 140, 60, 255)),
    ("sunset sky", (0, 0, SIDE, 64), (230, 130, 60, 255)),
)


def two_windows(stage):
    """Both dockers show the document in front; a picture goes to its own document."""
    first = _painted(stage, "first")
    yield stage.until(lambda: len(stage.regions()) == 2, "the regions", 30)
    other = stage.krita.openWindow()
    yield stage.turns(1.5)
    second = stage.krita.createDocument(SIDE, SIDE, "second", "RGBA", "U8", "", 72.0)
    other.addView(second)
    _show_docker(other)
    _bring_to_front(other)
    stage.layer(second, "red bricks", (0, 64, SIDE, 64), (150, 60, 50, 255))
    yield stage.until(lambda: _prompts(stage) == ["red bricks"] * 2, "the second window", 30)
    stage.facts["dockers"] = len(stage.widgets("tapestry_panel"))
    _child(other, "tapestry_generate").click()
    yield from _until_idle(stage, lambda: len(stage.names(second)) == 3)
    stage.facts["second"] = stage.names(second)
    stage.facts["first"] = stage.names(first)
    other.qwindow().grab().save(str(stage.folder / "the second window.png"))
    stage.widget("tapestry_steps").setValue(200)
    _child(other, "tapestry_generate").click()
    yield stage.until(lambda: _steps_shown(stage) == 2, "steps in both", 60)
    stage.press("tapestry_cancel")
    yield from _until_idle(stage, lambda: True)
    second.setModified(False)
    other.qwindow().close()
    _bring_to_front(stage.window)
    yield stage.until(
        lambda: _prompts(stage) == ["sunset sky", "green grass"], "the first window again", 30
    )
    stage.widget("tapestry_dismiss").click()
    stage.widget("tapestry_steps").setValue(4)
    stage.press("tapestry_generate")
    yield from _until_idle(stage, lambda: len(stage.names(first)) == 4)
    stage.facts["first afterwards"] = stage.names(first)
    stage.facts["dockers afterwards"] = len(stage.widgets("tapestry_panel"))


def two_views(stage):
    """One document in two views is one document; it stays when one of them is closed."""
    document = _painted(stage, "two views")
    yield stage.until(lambda: len(stage.regions()) == 2, "the regions", 30)
    stage.window.addView(document)
    yield stage.turns(0.6)
    stage.facts["views"] = len(stage.window.views())
    stage.facts["regions"] = stage.regions()
    stage.press("tapestry_generate")
    yield from _until_idle(stage, lambda: len(stage.names(document)) == 4)
    stage.facts["generated"] = stage.names(document)
    yield from stage.picture("two views")
    stage.krita.action("file_close").trigger()
    yield stage.turns(0.6)
    stage.facts["views afterwards"] = len(stage.window.views())
    stage.press("tapestry_generate")
    yield from _until_idle(stage, lambda: len(stage.names(document)) == 5)
    stage.facts["afterwards"] = stage.names(document)
    stage.widget("tapestry_steps").setValue(20)


def views_are_closed_while_layers_come(stage):
    """Krita draws for one view what it was asked to draw while there were two."""
    document = _painted(stage, "views")
    yield stage.until(lambda: len(stage.regions()) == 2, "the regions", 30)
    for _ in range(3):
        stage.window.addView(document)
        yield stage.turns(0.6)
    views = stage.facts["views"] = [len(stage.window.views())]
    for number in range(3):
        with _closing_views(stage):
            stage.press("tapestry_generate")
            yield from _until_idle(stage, lambda: len(stage.names(document)) == 4 + number)  # noqa: B023
        views.append(len(stage.window.views()))
    stage.facts["layers"] = stage.names(document)


@contextmanager
def _closing_views(stage):
    """Right before a layer is added, all views but the last one."""
    insert = KritaLayerDraft.insert

    def inserted(self, above=""):
        if len(stage.window.views()) > 1:
            stage.krita.action("file_close").trigger()
        return insert(self, above)

    KritaLayerDraft.insert = inserted
    try:
        yield
    finally:
        KritaLayerDraft.insert = insert


def _painted(stage, name):
    document = stage.krita.createDocument(SIDE, SIDE, name, "RGBA", "U8", "", 72.0)
    stage.window.addView(document)
    for layer, box, color in REGIONS:
        stage.layer(document, layer, box, color)
    stage.widget("tapestry_steps").setValue(4)
    return document


def _until_idle(stage, condition):
    docker_model = stage.widget("tapestry_panel")._docker_model

    def done():
        return condition() and docker_model.job is None and docker_model.results.is_idle

    yield stage.until(done, "the picture", A_PICTURE_S)
    yield stage.turns(0.5)


def _bring_to_front(window):
    """There is no window manager that would do it."""
    window.qwindow().raise_()
    QApplication.setActiveWindow(window.qwindow())


def _show_docker(window):
    """Our docker alone, at the right, in a window of its own."""
    shell = window.qwindow()
    shell.setGeometry(60, 60, 1300, 900)
    shell.show()
    for docker in shell.findChildren(QDockWidget):
        docker.setVisible(docker.objectName() == "tapestry_docker")


def _child(window, name):
    """The widget of this name in this window; the one that can be seen, if there are several."""
    found = [w for w in window.qwindow().findChildren(QWidget) if w.objectName() == name]
    return next((widget for widget in found if widget.isVisible()), found[0])


def _steps_shown(stage):
    """In how many dockers a picture is seen on its way."""
    bars = stage.widgets("tapestry_progress")
    return sum(bar.isVisible() and bar.value() > 0 for bar in bars)


def _prompts(stage):
    """The prompts of all rows that can be seen, in all dockers."""
    found = [edit for edit in stage.widgets("tapestry_region_prompt") if edit.isVisible()]
    return [edit.text() for edit in found]
