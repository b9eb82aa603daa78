"""Installing the backend from the docker: what is said, the button, and when all of it goes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapestry.backend.choice import BackendChoice, ChosenBackend
from tapestry.backend.process import BackendProcess
from tapestry.backend.remote import server_file_of
from tapestry.connection.link import Link
from tapestry.docker_model import DockerModel
from tapestry.qt.compat import QApplication
from tapestry.ui.panel import Panel
from tests.krita_plugin.backend.test_installer import Place
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


def test_it_can_be_cancelled_and_begun_again(offering: Offering) -> None:
    """The same button."""
    offering.place.plan.write_text("time.sleep(60)")
    offering.one("tapestry_install").click()
    offering.loop.run(0.4)
    offering.one("tapestry_install").click()
    QApplication.processEvents()
    assert offering.one("tapestry_install").text() == "Install"
    assert not offering.place.own.is_there


def test_it_can_be_paused_and_goes_on(offering: Offering) -> None:
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


def test_it_can_be_taken_back_from_the_page(offering: Offering) -> None:
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


def test_what_went_wrong_is_said_there(offering: Offering) -> None:
    """With what to do."""
    offering.place.plan.write_text("sys.exit('error: dns error')")
    offering.one("tapestry_install").click()
    offering.run()
    words = offering.one("tapestry_install_words").text()
    assert "cannot be reached" in words
    assert "press Install once more" in words


def test_a_newer_plugin_offers_an_update(offering: Offering) -> None:
    """While the old one is there."""
    offering.one("tapestry_install").click()
    offering.run()
    offering.place.write_wheel("0.2.0", "second")
    offering.docker_model.backend_controller.offer(offering.place.own, offering.loop, None)
    offering.docker_model._tell("backend")
    QApplication.processEvents()
    assert offering.one("tapestry_install").text() == "Update the backend"
