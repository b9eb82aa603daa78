"""The docker's panel without a screen, on a canvas of plain bytes."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
importlib.import_module(f"{os.environ.get('TAPESTRY_TEST_QT', 'PyQt6')}.QtCore")
# Every later import of Qt gets the same binding.

from tapestry.connection.link import Link  # noqa: E402  after the choice of Qt
from tapestry.docker_model import DockerModel  # noqa: E402
from tapestry.qt.compat import QApplication, QWidget  # noqa: E402
from tapestry.ui.panel import Panel  # noqa: E402
from tests.krita_plugin.fake_backend import FakeBackend  # noqa: E402
from tests.krita_plugin.fake_canvas import FakeCanvas, FakeHost  # noqa: E402
from tests.krita_plugin.fake_loop import FakeLoop  # noqa: E402

NARROW_PX = 300


class Docker:
    """A panel in a narrow docker, and what it works on."""

    def __init__(self) -> None:
        self.canvas = FakeCanvas(96, 128)
        self.host, self.loop, self.backend = FakeHost(self.canvas), FakeLoop(), FakeBackend()
        link = Link(self.backend, self.backend.connect, self.loop)
        self.docker_model = DockerModel(self.host, link, self.loop)
        self.panel = Panel(self.docker_model)
        self.panel.resize(NARROW_PX, 900)
        self.panel.show()
        self.look()

    def look(self, times: int = 2) -> None:
        """Let the docker look at the document, and Qt lay it out."""
        for _ in range(times):
            self.loop.run()
            self.docker_model.look()
            self.loop.run()
            QApplication.processEvents()

    def all(self, name: str) -> list[Any]:
        """All widgets of this name that can be seen, from top to bottom."""
        found = [w for w in self.panel.findChildren(QWidget) if w.objectName() == name]
        shown = [widget for widget in found if widget.isVisible()]
        return sorted(shown, key=lambda w: w.mapTo(self.panel, w.rect().topLeft()).y())

    def one(self, name: str) -> Any:
        """The one widget of this name."""
        (widget,) = self.all(name)
        return widget

    def close(self) -> None:
        self.docker_model.close()
        self.panel.deleteLater()
        QApplication.processEvents()


@pytest.fixture(scope="session")
def application() -> QApplication:
    """Qt's own."""
    return QApplication.instance() or QApplication([])


@pytest.fixture
def docker(application: QApplication) -> Iterator[Docker]:
    """A docker with one empty document."""
    made = Docker()
    yield made
    made.close()
