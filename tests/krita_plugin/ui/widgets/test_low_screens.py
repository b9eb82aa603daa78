"""The docker where it is low: what must be seen is seen, and nothing lies upon anything else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tapestry.i18n.notices import Notice
from tapestry.qt.compat import QApplication, QPoint, QRect, QWidget
from tapestry.ui.panel import Panel
from tapestry_protocol.messages import Accepted, PixelsRef, Preview, Progress
from tapestry_protocol.pixels import Pixels
from tests.krita_plugin.ui.widgets.conftest import NARROW_PX
from tests.krita_plugin.workshop import Workshop

ALWAYS = ("generate", "progress", "cancel", "cancel_all", "notice", "status")


class Low:
    """A docker that may be low, with nothing to tell."""

    def __init__(self) -> None:
        self.shop = Workshop()
        self.docker = QWidget()
        self.panel = Panel(self.shop.docker_model)
        self.panel.setParent(self.docker)

    def show(self, height: int) -> None:
        self.docker.resize(NARROW_PX, height)
        self.panel.setGeometry(0, 0, NARROW_PX, height)
        self.docker.show()
        for _ in range(10):
            QApplication.processEvents()
            self.shop.loop.run()

    def find(self, name: str) -> QWidget:
        found = (w for w in self.panel.findChildren(QWidget) if w.objectName() == name)
        return next(found)

    def place(self, name: str) -> QRect:
        """Where a widget is, in the panel."""
        widget = self.find(f"tapestry_{name}")
        return QRect(widget.mapTo(self.panel, QPoint(0, 0)), widget.size())

    def close(self) -> None:
        self.shop.docker_model.close()
        self.docker.deleteLater()
        QApplication.processEvents()


class Crowd(Low):
    """With a picture on its way, six that wait, a history, and something to tell."""

    def __init__(self) -> None:
        super().__init__()
        self.shop.finish(self.shop.submit())
        first = self.shop.submit()
        for _ in range(6):
            self.shop.docker_model.generate()
        self.shop.loop.run()
        self.shop.backend.tell(Accepted(first.job_id, 0))
        self.shop.backend.tell(Progress(first.job_id, "denoising", 3, 20))
        small = Pixels(80, 120, 4, bytes((90, 140, 200, 255)) * 9600)
        self.shop.backend.tell(Preview(first.job_id, PixelsRef.of(small)), small)
        self.shop.loop.run()
        message = "The region “a small red lighthouse” lies wholly underneath others."
        self.shop.docker_model._show(Notice(message, "Move its layer up, or make room for it."))

    def listed(self) -> int:
        """Jobs that wait and are listed."""
        found = (w for w in self.panel.findChildren(QWidget) if w.objectName() == "tapestry_queued")
        return sum(widget.isVisible() for widget in found)


@pytest.fixture
def crowd(application: QApplication) -> Iterator[Crowd]:
    """All at once."""
    made = Crowd()
    yield made
    made.close()


@pytest.fixture
def low(application: QApplication) -> Iterator[Low]:
    """Nothing yet."""
    made = Low()
    yield made
    made.close()


@pytest.mark.parametrize("height", [1000, 700, 560, 480, 400])
def test_essential_widgets_stay_visible(crowd: Crowd, height: int) -> None:
    """Whole, and below each other; some of the fields as well."""
    crowd.show(height)
    assert crowd.panel.height() == height >= crowd.panel.minimumSizeHint().height()
    places = {name: crowd.place(name) for name in ALWAYS}
    for name, place in places.items():
        assert crowd.find(f"tapestry_{name}").isVisible(), name
        assert crowd.panel.rect().contains(place), name
        assert not [n for n, p in places.items() if n != name and p.intersects(place)], name
    assert crowd.panel._head.height() + crowd.panel._area.height() >= 96


def test_optional_widgets_give_way(crowd: Crowd) -> None:
    """The picture becomes smaller and goes, jobs are counted, the history scrolls."""
    seen = []
    for height in (1000, 740, 300):
        crowd.show(height)
        preview = crowd.find("tapestry_preview")
        in_fields = crowd.panel._fields.isAncestorOf(crowd.find("tapestry_history"))
        seen.append((preview.height() if preview.isVisible() else 0, crowd.listed(), in_fields))
    (large, most, low), (medium, some, _), (none, few, scrolls) = seen
    assert large >= medium > none == 0
    assert 4 == most >= some >= few == 0
    assert (low, scrolls) == (False, True)
    crowd.show(1000)
    assert crowd.find("tapestry_preview").height() == large
    assert "more" in crowd.find("tapestry_queue_more").text()


@pytest.mark.parametrize("room", [4, 30, 150])
def test_a_notice_is_whole_where_there_is_little_room(low: Low, room: int) -> None:
    """Krita's own arrangement leaves 280 pixels; the fields give way, and come back."""
    message = "This checkpoint wants 23.4 GB of memory: 15.5 GB are there, and 3.1 GB of them free."
    advice = "Choose a smaller one, close other programs, or paint on another computer: "
    told = Notice(message, f"{advice}the gear below opens a page for that.")
    low.show(1000)
    low.shop.docker_model._show(told)
    low.show(1000)
    height = low.panel._head.height() + low.panel._foot.height() + room
    low.show(height)
    for name in ("message", "advice"):
        label, place = low.find(f"tapestry_{name}"), low.place(name)
        assert place.height() >= label.heightForWidth(place.width()), name
        assert low.panel.rect().contains(place), name
    assert low.panel.rect().contains(low.place("status"))
    low.shop.docker_model.dismiss_notice()
    low.show(height)
    assert low.panel._head.height() + low.panel._area.height() >= 96


def test_where_a_word_is_taught_nothing_says_how_to_paint(low: Low) -> None:
    """Prompts, steps and seed are for pictures; the regions stay, and are the examples."""
    low.show(900)
    painting = ("tapestry_prompt", "tapestry_steps", "tapestry_seed")
    assert all(low.find(name).isVisible() for name in painting)
    low.shop.docker_model.change_and_tell(mode="teach")
    low.show(900)
    assert not any(low.find(name).isVisible() for name in painting)
    assert low.find("tapestry_teach_word").isVisible()
    low.shop.docker_model.change_and_tell(mode="generate")
    low.show(900)
    assert all(low.find(name).isVisible() for name in painting)
