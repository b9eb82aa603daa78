"""Plays with the widgets of jobs and results without a screen, and says what it saw as JSON.

Run as a module, with a binding's name and a folder. The binding is imported before the plugin, as
Krita does it.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BINDING, _FOLDER = sys.argv[1], Path(sys.argv[2])
importlib.import_module(f"{_BINDING}.QtCore")

from tapestry.qt.compat import QApplication, QLabel, QMenu, QWidget  # noqa: E402  after the binding
from tapestry.ui.panel import Panel  # noqa: E402
from tapestry_protocol import PROTOCOL_VERSION, VERSION  # noqa: E402
from tapestry_protocol.messages import (  # noqa: E402
    Accepted,
    ModelInfo,
    PixelsRef,
    Preview,
    Progress,
    Welcome,
)
from tapestry_protocol.pixels import Pixels  # noqa: E402
from tests.krita_plugin.fake_canvas import FakeHost  # noqa: E402
from tests.krita_plugin.workshop import Workshop  # noqa: E402


class Play:
    """The panel in a docker of 300 pixels, and a hand that presses its buttons."""

    def __init__(self) -> None:
        self.application = QApplication([])
        self.shop = Workshop()
        self.panel = Panel(self.shop.docker_model)
        self.panel.resize(300, 760)
        self.panel.show()

    def widget(self, name: str) -> Any:
        """The one of this name."""
        return self.panel.findChild(QWidget, name)

    def press(self, name: str) -> None:
        """Click a button."""
        self.widget(name).click()
        self.turn()

    def trigger(self, name: str) -> None:
        """Choose from a menu."""
        menus = self.panel.findChildren(QMenu)
        found = [a for menu in menus for a in menu.actions() if a.objectName() == name]
        found[0].trigger()
        self.turn()

    def turn(self) -> None:
        """Let both event loops turn."""
        for _ in range(3):
            self.application.processEvents()
            self.shop.loop.run()

    def rows(self) -> int:
        """Pictures in the strip."""
        return self.widget("tapestry_history_list").count()

    def search(self, words: str) -> None:
        """Write into the search field."""
        self.widget("tapestry_history_search").setText(words)
        self.turn()

    def picture(self, name: str) -> None:
        """For people to look at."""
        self.application.processEvents()
        self.panel.grab().save(str(_FOLDER / f"{name} {_BINDING}.png"))


def jobs(play: Play) -> Iterator[tuple[str, Any]]:
    """Seven presses, one picture half done."""
    shop = play.shop
    yield "strip at first", play.widget("tapestry_history").isVisible()
    first = shop.submit()
    for _ in range(6):
        play.press("tapestry_generate")
    shop.backend.tell(Accepted(first.job_id, 0))
    shop.backend.tell(Progress(first.job_id, "denoising", 3, 20))
    small = Pixels(8, 12, 4, bytes((90, 140, 200, 255)) * 96)
    shop.backend.tell(Preview(first.job_id, PixelsRef.of(small)), small)
    play.turn()
    yield "bar", play.widget("tapestry_progress").format()
    yield "queue", play.widget("tapestry_queue").isVisible()
    labels = play.panel.findChildren(QLabel, "tapestry_queued")
    yield "queued", sum(label.isVisible() for label in labels)
    yield "more", play.widget("tapestry_queue_more").text()
    play.picture("queue")
    for job in list(shop.docker_model.queue.jobs)[:3]:
        shop.finish_job(job)
    play.press("tapestry_cancel_all")
    shop.answer_cancels()
    play.turn()
    yield "after", [play.widget("tapestry_progress").isVisible(), play.rows()]


def results(play: Play) -> Iterator[tuple[str, Any]]:
    """What one does with pictures."""
    shop = play.shop
    yield "tooltip", play.widget("tapestry_history_list").item(0).toolTip()
    yield "layers", len(shop.canvas.names)
    play.press("tapestry_take_back")
    yield "taken back", len(shop.canvas.names)
    play.press("tapestry_apply")
    yield "applied", len(shop.canvas.names)
    play.trigger("tapestry_apply_regions")
    yield "group", shop.canvas.fakes[1].layer.is_group or shop.canvas.fakes[0].layer.is_group
    play.press("tapestry_favourite")
    yield "favourite", play.widget("tapestry_favourite").text()
    shop.docker_model.change(seed=7, num_inference_steps=3)
    play.trigger("tapestry_use_seed")
    yield "seed", shop.docker_model.settings.seed
    play.trigger("tapestry_use_settings")
    yield "steps", shop.docker_model.settings.num_inference_steps
    play.search("no such words")
    yield "found nothing", [play.rows(), play.widget("tapestry_history").isVisible()]
    play.search("SUNSET sky")
    yield "found", play.rows()
    strip = play.widget("tapestry_history_list")
    strip.itemClicked.emit(strip.item(1))
    play.turn()
    yield "previewed", any("not saved" in name for name in shop.canvas.names)
    play.picture("history")
    play.trigger("tapestry_discard")
    yield "discarded", play.rows()
    yield "notice", shop.said


def backend(play: Play) -> Iterator[tuple[str, Any]]:
    """The backend's page, and a backend that is not there."""
    shop = play.shop
    play.press("tapestry_open_backend_page")
    known = (ModelInfo("sample", "sample", 128),)
    shop.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, known))
    play.turn()
    yield "backend", play.widget("tapestry_backend_facts").text()
    play.application.processEvents()
    page = play.widget("tapestry_backend_page")
    page.grab().save(str(_FOLDER / f"backend page {_BINDING}.png"))
    token = shop.backend.info.token
    shop.server.log_file.write_text(f"Bearer {token}\n{token}", encoding="utf-8")
    play.press("tapestry_copy_diagnostics")
    yield "copied", play.application.clipboard().text()
    yield "token in it", token in play.application.clipboard().text()
    shop.backend.is_alive, shop.backend.can_start, shop.backend.info = False, False, None
    shop.backend.die()
    shop.loop.run(60)
    play.turn()
    yield "no backend", [shop.said, play.widget("tapestry_first_steps").isVisible()]
    play.picture("no backend")
    play.press("tapestry_copy_command")
    yield "command", play.application.clipboard().text()
    shop.backend.can_start, before = True, shop.backend.starts
    play.press("tapestry_try_again")
    yield "tried again", shop.backend.starts - before
    play.widget("tapestry_backend_models").addItem("/models/mine")
    play.widget("tapestry_backend_device").setCurrentIndex(1)
    play.widget("tapestry_backend_address").setText(" localhost:7865")
    play.widget("tapestry_backend_file").setText("/x/server.json")
    play.press("tapestry_backend_use")
    choice = shop.docker_model.backend_controller.choice
    yield "chosen", [list(choice.models), choice.device, choice.address, choice.server_file]
    page.close()


def main() -> None:
    """Play it all; whatever is raised into Qt is said, too."""
    raised: list[str] = []

    def note(*error: Any) -> None:
        raised.append("".join(traceback.format_exception(*error)))
        sys.__excepthook__(*error)  # what ends this script early is read there

    sys.excepthook = note
    FakeHost.data_folder = _FOLDER
    play = Play()
    facts = {"binding": _BINDING, "qt": QWidget.__module__}
    try:
        for scene in (jobs, results, backend):
            facts |= dict(scene(play))
    except Exception:  # noqa: BLE001  the test shows it
        raised.append(traceback.format_exc())
    facts["raised"] = raised
    play.panel.close()
    print(json.dumps(facts))  # noqa: T201  to the test


main()
