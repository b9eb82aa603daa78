"""How a widget follows the studio: as long as it lives, and without raising into Krita."""

from __future__ import annotations

from collections.abc import Callable

from ...docker_model import Studio, Topic
from ...qt.compat import QWidget


def follow(widget: QWidget, studio: Studio, topics: tuple[Topic, ...], show: Callable) -> None:
    """Call `show` now, and whenever something of these topics changes, until the widget is gone."""

    def show_safely() -> None:
        try:
            show()
        except Exception as error:  # noqa: BLE001  Krita must not see it
            studio.report(error)

    for topic in topics:
        unwatch = studio.watch(topic, show_safely)
        widget.destroyed.connect(lambda *_, unwatch=unwatch: unwatch())
    show_safely()
