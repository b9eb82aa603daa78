"""Installing the backend from the docker: what is said, the button, and when all of it goes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapestry.backend import bundled
from tapestry.backend.bundled import PACKAGES
from tapestry.backend.choice import BackendChoice, ChosenBackend
from tapestry.backend.process import BackendProcess
from tapestry.backend.remote import server_file_of
from tapestry.connection.link import Link
from tapestry.docker_model import DockerModel
from tapestry.i18n.notices import Notice
from tapestry.i18n.translation import choose_language
from tapestry.qt.compat import QApplication, QPoint, QRect, QWidget
from tapestry.ui.panel import Panel
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.accelerators import CUDA
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Backend, Welcome
from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.backend.install_place import Place
from tests.krita_plugin.fake_backend import FakeBackend
from tests.krita_plugin.fake_canvas import FakeCanvas, FakeHost
from tests.krita_plugin.ui.widgets.conftest import NARROW_PX, Docker

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are scripts")


class Offering(Docker):
    """A docker whose plugin carries a backend that is not installed."""

    def __init__(self, place: Place) -> None:
        self.place, self.loop = place, place.loop
        self.canvas = FakeCanvas(96, 128)
        self.host, self.backend = FakeHost(self.canvas), FakeBackend()
        link = Link(self.backend, self.backend.connect, self.loop)
        chosen = ChosenBackend(BackendProcess(""), BackendChoice(), server_file_of("", {}))
        self.docker_model = DockerModel(self.host, link, self.loop, chosen)
        self.docker_model.backend_controller.offer(place.own, self.loop, None)
        self.panel = Panel(self.docker_model)
        self.panel.resize(NARROW_PX, 900)
        self.panel.show()
        QApplication.processEvents()

    def run(self) -> None:
        end = time.monotonic() + 60
        while self.docker_model.backend_controller.installer.is_running:
            assert time.monotonic() < end
            self.loop.run(0.2)
            QApplication.processEvents()
            time.sleep(0.005)
        QApplication.processEvents()


@pytest.fixture
def offering(application: QApplication, tmp_path: Path) -> Iterator[Offering]:
    """Nothing is installed yet."""
    made = Offering(Place(tmp_path))
    yield made
    made.close()


def test_what_is_fetched_and_where_is_said_before(offering: Offering) -> None:
    """Beside the button."""
    words = offering.one("tapestry_install_words").text()
    kind = offering.place.own.accelerator
    assert f"PyTorch for {kind.label}: {kind.fetched_gb} GB from the package index" in words
    assert f"{kind.disk_gb} GB on the disk" in words
    assert offering.all("tapestry_pause_install") == []
    assert str(offering.place.own.folder) in words
    assert offering.one("tapestry_install").text() == "Install"
    assert offering.all("tapestry_first_steps") == []


def test_kritas_own_arrangement_is_enough(offering: Offering) -> None:
    """250 pixels: modes and buttons are whole, and the regions of the example come into view."""
    low = QWidget()
    offering.panel.setParent(low)
    low.resize(NARROW_PX, 250)
    offering.panel.setGeometry(0, 0, NARROW_PX, 250)
    low.show()
    offering.look()
    for name in ("red bricks", "ocean waves", "sunset sky"):
        offering.canvas.add(name, Bounds(0, 0, 40, 90))
    offering.docker_model._show(Notice("Three painted layers.", "Press Generate."))
    offering.look(8)
    names = ("mode_generate", "mode_fill", "generate", "message", "install", "status")
    for name in names:
        widget = offering.one(f"tapestry_{name}")
        place = QRect(widget.mapTo(offering.panel, QPoint(0, 0)), widget.size())
        assert offering.panel.rect().contains(place), name
        assert place.height() >= min(widget.sizeHint().height(), widget.fontMetrics().height())
    area, regions = offering.panel._area, offering.panel._regions
    assert area.viewport().height() > 24, "a region, also where modes stand in two lines"
    assert area.verticalScrollBar().value() == regions.y() > 0
    words = offering.panel._backend_line._install_view._short
    assert "PyTorch for" in words.toolTip()
    low.deleteLater()


def test_the_button_installs_and_goes(offering: Offering) -> None:
    """The backend is looked for at once."""
    offering.one("tapestry_install").click()
    QApplication.processEvents()
    assert offering.one("tapestry_install").text() == "Cancel"
    offering.run()
    assert offering.place.own.is_installed
    assert offering.all("tapestry_install_view") == []
    offering.loop.run(1)
    assert offering.backend.starts > 0


def test_an_installation_can_be_cancelled_and_begun_again(offering: Offering) -> None:
    """The same button."""
    offering.place.plan.write_text("time.sleep(60)")
    offering.one("tapestry_install").click()
    offering.loop.run(0.4)
    offering.one("tapestry_install").click()
    QApplication.processEvents()
    assert offering.one("tapestry_install").text() == "Install"
    assert not offering.place.own.is_there


def test_an_installation_can_be_paused_and_goes_on(offering: Offering) -> None:
    """A button beside the other one."""
    offering.place.plan.write_text("time.sleep(0.5)")
    offering.one("tapestry_install").click()
    offering.loop.run(0.4)
    offering.one("tapestry_pause_install").click()
    QApplication.processEvents()
    assert offering.one("tapestry_pause_install").text() == "Go on"
    assert offering.one("tapestry_install_words").text().startswith("Paused: ")
    offering.one("tapestry_pause_install").click()
    offering.run()
    assert offering.place.own.is_installed


def test_an_installation_can_be_taken_back_from_the_page(offering: Offering) -> None:
    """The second press counts; then it is offered again."""
    offering.one("tapestry_install").click()
    offering.run()
    offering.one("tapestry_open_backend_page").click()
    QApplication.processEvents()
    assert str(offering.place.own.folder) in offering.one("tapestry_installed_words").text()
    button = offering.one("tapestry_uninstall")
    button.click()
    assert button.text() == "Really remove it?"
    assert offering.place.own.is_there
    button.click()
    offering.run()
    assert not offering.place.own.folder.exists()
    assert offering.all("tapestry_uninstall") == []
    assert offering.one("tapestry_install").text() == "Install"


def test_a_failed_installation_is_explained_on_the_page(offering: Offering) -> None:
    """With what to do."""
    offering.place.plan.write_text("sys.exit('error: dns error')")
    offering.one("tapestry_install").click()
    offering.run()
    words = offering.one("tapestry_install_words").text()
    assert "cannot be reached" in words
    assert "press Install once more" in words


def newer(offering: Offering) -> None:
    """The artist has imported a newer plugin."""
    offering.place.write_wheel("0.2.0", "second")
    offering.docker_model.backend_controller.offer(offering.place.own, offering.loop, None)
    offering.docker_model._tell("backend")
    QApplication.processEvents()


def test_a_newer_plugin_offers_an_update(offering: Offering) -> None:
    """While the old one is there; with what there is to fetch."""
    offering.one("tapestry_install").click()
    offering.run()
    newer(offering)
    assert offering.one("tapestry_install").text() == "Update the backend"
    words = offering.one("tapestry_install_words")
    assert f"The plugin ({VERSION}) is newer than the backend (0.1.0); little" in words.text()
    (offering.place.carried / PACKAGES).write_text("numpy==2.5.0 --hash=sha256:0\n")
    newer(offering)
    assert f"at most {offering.place.own.accelerator.fetched_gb} GB" in words.text()


def test_an_update_waits_for_the_picture(offering: Offering, monkeypatch) -> None:
    """The backend that paints it is not taken away without a word."""
    controller = offering.docker_model.backend_controller
    offering.one("tapestry_install").click()
    offering.run()
    stops = []
    monkeypatch.setattr(controller._backend, "stop", lambda: stops.append(None))
    monkeypatch.setattr(type(controller), "is_painting", property(lambda _self: not is_idle))
    is_idle, old = False, offering.place.own.environment
    connect(offering, "ready")
    newer(offering)
    offering.one("tapestry_install").click()
    offering.run()
    assert "starts when the pictures are done" in offering.one("tapestry_install_words").text()
    assert offering.all("tapestry_install") == []
    assert not stops
    assert old.exists()
    is_idle = True
    controller.note_work()
    offering.run()
    assert stops == [None]
    assert not old.exists()
    assert offering.all("tapestry_install_view") == []


def connect(offering: Offering, state: str) -> None:
    """The backend of all Kritas is there, and says this of itself."""
    offering.backend.appear()
    offering.docker_model.backend_controller.try_again()
    offering.backend.answer()
    offering.backend.tell(Backend(state, "CPU"))
    QApplication.processEvents()


@pytest.mark.parametrize("is_connected", [True, False])
def test_an_update_waits_for_the_picture_of_another_krita(
    offering: Offering, monkeypatch, is_connected: bool
) -> None:
    """The backend is asked, also where this Krita has had no need of it yet."""
    controller, stops = offering.docker_model.backend_controller, []
    monkeypatch.setattr(controller._backend, "stop", lambda: stops.append(None))
    offering.one("tapestry_install").click()
    offering.run()
    old = offering.place.own.environment
    if is_connected:
        connect(offering, "busy")
    else:
        offering.backend.appear()
    monkeypatch.setattr(controller._backend, "may_run", lambda: True)
    stops.clear()
    newer(offering)
    offering.one("tapestry_install").click()
    offering.run()
    if not is_connected:
        for state in ("starting", "loading", "busy"):
            offering.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, ()))
            offering.backend.tell(Backend(state, "CPU"))
    QApplication.processEvents()
    assert "starts when the pictures are done" in offering.one("tapestry_install_words").text()
    assert not stops
    assert old.exists()
    offering.backend.tell(Backend("ready", "CPU"))
    offering.run()
    assert stops == [None]
    assert not old.exists()


def test_an_update_does_not_wait_for_a_backend_that_cannot_be_reached(
    offering: Offering, monkeypatch
) -> None:
    """Nobody can say what it does; it may be of a kind that this plugin does not understand."""
    controller, stops = offering.docker_model.backend_controller, []
    offering.one("tapestry_install").click()
    offering.run()
    monkeypatch.setattr(controller._backend, "stop", lambda: stops.append(None))
    monkeypatch.setattr(controller._backend, "may_run", lambda: True)
    offering.backend.appear()
    newer(offering)
    offering.one("tapestry_install").click()
    offering.run()
    assert not stops
    offering.backend.tell(Welcome(PROTOCOL_VERSION + 1, "9.9", ()))
    offering.run()
    assert stops == [None]


def test_earlier_backends_that_were_left_go_at_the_next_start(
    offering: Offering, monkeypatch
) -> None:
    """Krita had ended before the pictures were done; a backend that runs is left alone."""
    controller = offering.docker_model.backend_controller
    offering.one("tapestry_install").click()
    offering.run()
    old = offering.place.own.environment
    offering.place.write_wheel("0.2.0", "second")
    offering.place.install()
    for is_there in (True, False):
        monkeypatch.setattr(controller._backend, "may_run", lambda is_there=is_there: is_there)
        controller.offer(offering.place.own, offering.loop, None)
        offering.run()
        assert old.exists() == is_there


def test_a_backend_stays_where_nothing_was_installed(offering: Offering, monkeypatch) -> None:
    """An update that was cancelled, or failed."""
    controller = offering.docker_model.backend_controller
    offering.one("tapestry_install").click()
    offering.run()
    monkeypatch.setattr(controller._backend, "stop", lambda: pytest.fail("it was stopped"))
    controller.installer.check()
    offering.run()
    newer(offering)
    offering.place.plan.write_text("sys.exit('error: dns error')")
    offering.one("tapestry_install").click()
    offering.run()
    assert "cannot be reached" in offering.one("tapestry_install_words").text()


def test_a_backend_that_does_not_start_is_repaired(offering: Offering) -> None:
    """It is looked at when no backend can be reached."""
    offering.one("tapestry_install").click()
    offering.run()
    offering.place.own.next_program.write_text("#!/bin/sh\nexit 1\n")
    offering.docker_model.link_failed(TapestryError(ErrorCode.INTERNAL, "It did not start."))
    offering.run()
    assert "does not start" in offering.one("tapestry_install_words").text()
    assert offering.one("tapestry_install").text() == "Repair"
    offering.one("tapestry_install").click()
    offering.run()
    assert offering.all("tapestry_install_view") == []


def test_with_a_token_file_nothing_is_to_be_installed(offering: Offering, monkeypatch) -> None:
    """The artist's backend is another computer's."""
    controller = offering.docker_model.backend_controller
    monkeypatch.setattr(controller._backend, "choice", BackendChoice(server_file="/x"))
    offering.docker_model._tell("backend")
    QApplication.processEvents()
    assert offering.all("tapestry_install_view") == []


def test_a_removal_says_what_stops(offering: Offering, monkeypatch) -> None:
    """While a picture is painted; and it cannot be cancelled in the middle."""
    controller = offering.docker_model.backend_controller
    offering.one("tapestry_install").click()
    offering.run()
    monkeypatch.setattr(type(controller), "is_painting", property(lambda _self: True))
    offering.one("tapestry_open_backend_page").click()
    QApplication.processEvents()
    button = offering.one("tapestry_uninstall")
    button.click()
    assert "A picture is being painted" in offering.one("tapestry_installed_words").text()
    button.click()
    QApplication.processEvents()
    assert offering.all("tapestry_install") == []
    offering.run()
    assert offering.one("tapestry_install").text() == "Install"


def test_sizes_are_written_as_in_german(offering: Offering, monkeypatch) -> None:
    """With a comma."""
    choose_language(["de"])
    monkeypatch.setattr(bundled, "likely_accelerator", lambda: CUDA)
    offering.docker_model._tell("backend")
    QApplication.processEvents()
    words = offering.one("tapestry_install_words").text()
    choose_language([])
    assert "2,9 GB" in words
