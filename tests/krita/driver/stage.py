"""What a scenario can do in Krita: paint, press, wait, look; and the report of what it saw."""

import json
import time
import traceback
from importlib import import_module
from itertools import count

from krita import Krita

from .qt import QApplication, QByteArray, Qt, QWidget

SHOWN_DOCKERS = ("tapestry_docker", "KisLayerBox", "ToolBox")
SCREEN = (1400, 1000)

SCENARIO_MODULES = (
    *("documents", "regions", "jobs", "adapters", "modes", "history", "windows", "restarts"),
    *("teaching", "delays", "guide", "contract", "large", "installing", "editable", "live"),
)


_REST_S = 0.3
"""Krita's list of layers shows changes a tenth of a second later, and falls over those of a
document that was closed meanwhile; it may fall over one that is opened while another is closing."""

_LEAST_TURNS = 5
"""So that Krita's timers have their turn, too, after it was held for a while."""


class ScenarioStage:
    """Plays scenarios: generator functions that yield what they wait for.

    A scenario yields (condition, what, seconds); it goes on when the condition holds, and fails
    when that takes longer.
    """

    def __init__(self, report_file, names):
        self.krita = Krita.instance()
        self.window = self.krita.activeWindow()
        self.folder = report_file.parent
        self.facts = {}
        self._report_file = report_file
        self._report = {"scenarios": {}, "playing": "", "finished": False}
        self._names = list(names)
        self._scenario = None
        self._name = ""
        self._wait = None
        self._deadline = 0.0
        self._is_tidying = False
        self.seen_at_start = self.widget("tapestry_panel").isVisible()
        self.arrange()

    # --- playing ----------------------------------------------------------------------------------

    def play(self):
        """Take the next step; True when everything has been played."""
        try:
            self._step()
        except Exception:  # noqa: BLE001  the report says it
            self._finish_scenario(traceback.format_exc())
        return self._report["finished"]

    def _step(self):
        if self._scenario is None:
            if not self._names:
                self._report["finished"] = True
                self._write()
                return
            self._name, self.facts, self._wait = self._names.pop(0), {}, None
            self._report["playing"] = self._name
            self._write()
            self._scenario = _find(self._name)(self)
        if self._wait is not None:
            condition, what = self._wait
            if not condition():
                if time.monotonic() > self._deadline:
                    raise AssertionError(f"waited in vain for {what}; {self.state()}")
                return
        try:
            condition, what, seconds = next(self._scenario)
        except StopIteration:
            self._finish_scenario(None)
        else:
            self._wait = (condition, what)
            self._deadline = time.monotonic() + seconds

    def _finish_scenario(self, error):
        """Of two parts: its own, and closing what it has left open."""
        if self._is_tidying:
            self._is_tidying, self._scenario = False, None
            self._report["playing"] = ""
            if error:
                self._report["scenarios"][self._name]["error"] = error
        else:
            if error:
                self.screenshot(f"failed {self._name}")
            self._report["scenarios"][self._name] = {"error": error, "facts": self.facts}
            self.widget("tapestry_dismiss").click()
            self._is_tidying, self._wait = True, None
            self._scenario = self.closed(self.krita.documents())
        self._write()

    def _write(self):
        self._report_file.write_text(json.dumps(self._report, indent=1))

    # --- documents --------------------------------------------------------------------------------

    def document(self, width, height, model="RGBA", depth="U8"):
        """A new document in front."""
        document = self.krita.createDocument(width, height, "test", model, depth, "", 72.0)
        is_first = not self.window.views()
        self.window.addView(document)
        if is_first:  # from 5.2 on Krita brings back an arrangement of its own with it
            self.arrange()
        return document

    def layer(self, document, name, box=None, color=(0, 0, 0, 255), parent=None):
        """A paint layer on top, with a box (x, y, width, height) painted in an RGBA colour."""
        node = document.createNode(name, "paintlayer")
        space = document.colorModel(), document.colorDepth(), document.colorProfile()
        if space[:2] != ("RGBA", "U8"):
            node.setColorSpace("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")
        if box:
            red, green, blue, alpha = color
            x, y, width, height = box
            pixels = QByteArray(bytes((blue, green, red, alpha)) * (width * height))
            node.setPixelData(pixels, x, y, width, height)
        if space[:2] != ("RGBA", "U8"):
            node.setColorSpace(*space)
        (parent or document.rootNode()).addChildNode(node, None)
        document.refreshProjection()
        document.waitForDone()
        return node

    def names(self, document):
        """Names of the top layers, topmost first."""
        return [node.name() for node in reversed(document.rootNode().childNodes())]

    def dump(self, name, data):
        """Keep raw bytes for the test to look at."""
        (self.folder / name).write_bytes(bytes(data))

    # --- the docker -------------------------------------------------------------------------------

    def arrange(self):
        """As large as the display, with room for our docker; there is no window manager."""
        for docker in self.krita.dockers():
            docker.setVisible(docker.objectName() in SHOWN_DOCKERS)
        window = self.window.qwindow()
        window.setGeometry(0, 0, *SCREEN)
        right = [d for d in self.krita.dockers() if d.objectName() in SHOWN_DOCKERS[:2]]
        right.sort(key=lambda docker: SHOWN_DOCKERS.index(docker.objectName()))
        window.resizeDocks(right, [650, 250], Qt.Orientation.Vertical)

    def widgets(self, name):
        """All living widgets of this name, in the order of the screen."""
        found = [w for w in QApplication.allWidgets() if w.objectName() == name]
        seen = [w for w in found if w.isVisible()] or found
        return sorted(seen, key=lambda w: w.mapToGlobal(w.rect().topLeft()).y())

    def widget(self, name):
        """The one widget of this name."""
        return self.widgets(name)[0]

    def press(self, name):
        """Press a button of the docker."""
        button = self.widget(name)
        assert button.isEnabled(), f"{name} is disabled; {self.state()}"
        button.click()

    def notice(self):
        """What the docker tells: message and advice; both empty when it tells nothing."""
        if not self.widget("tapestry_notice").isVisible():
            return ["", ""]
        return [self.widget(f"tapestry_{part}").text() for part in ("message", "advice")]

    def status(self):
        """The docker's line about the backend."""
        return self.widget("tapestry_status").text()

    def regions(self):
        """The prompts of the layers that the docker shows as regions."""
        return [prompt for prompt, row in self._rows() if row.property("counts")]

    def badges(self):
        """Prompt -> the word beside it, of all rows."""
        return {prompt: _child(row, "tapestry_region_badge").text() for prompt, row in self._rows()}

    def region(self, prompt):
        """The row of this prompt."""
        return next(row for found, row in self._rows() if found == prompt)

    def in_region(self, prompt, name):
        """A widget in the row of this prompt."""
        return _child(self.region(prompt), name)

    def _rows(self):
        rows = [row for row in self.widgets("tapestry_region") if row.isVisible()]
        return [(_child(row, "tapestry_region_prompt").text(), row) for row in rows]

    def extend_by(self, **sides: int):
        """Fill in how far each side grows; the others do not."""
        for side in ("top", "left", "bottom", "right"):
            self.widget(f"tapestry_extend_{side}").setValue(sides.get(side, 0))

    def state(self):
        """Everything that helps to understand why a scenario does not go on."""
        progress = self.widget("tapestry_progress")
        bar = progress.format() if progress.isVisible() else ""
        return f"notice {self.notice()}, status {self.status()!r}, progress {bar!r}"

    def picture(self, name):
        """A screenshot, after Krita and the docker have laid themselves out."""
        yield self.turns(0.5)
        self.screenshot(name)

    def screenshot(self, name):
        """A picture of Krita's window as it is."""
        self.window.qwindow().grab().save(str(self.folder / f"{name}.png"))

    # --- waiting ----------------------------------------------------------------------------------

    def until(self, condition, what, seconds=120):
        """To be yielded: go on when the condition holds."""
        return condition, what, seconds

    def turns(self, seconds=0.3):
        """To be yielded: let Krita's event loop turn for a while, and a few times at least."""
        end, turns = time.monotonic() + seconds, count(1)
        return (
            lambda: next(turns) > _LEAST_TURNS and time.monotonic() > end,
            "time to pass",
            seconds + 60,
        )

    def closed(self, documents):
        """Close documents without saving them, and be done with it before anything else."""
        for document in documents:
            document.waitForDone()
        yield self.turns(_REST_S)
        for document in documents:
            document.setModified(False)
            document.close()
        yield self.turns(_REST_S)


def _find(name):
    for module in SCENARIO_MODULES:
        scenario = getattr(import_module(f"{__package__}.{module}"), name, None)
        if scenario is not None:
            return scenario
    raise LookupError(name)


def _child(widget, name):
    return next(child for child in widget.findChildren(QWidget) if child.objectName() == name)
