"""How a widget follows the docker's model: as long as it lives, and without raising into Krita."""

from __future__ import annotations

from collections.abc import Callable

from ...docker_model import DockerModel, Topic
from ...qt.compat import QWidget


def follow(
    widget: QWidget, docker_model: DockerModel, topics: tuple[Topic, ...], show: Callable
) -> None:
    """Call `show` now, and whenever something of these topics changes, until the widget is gone."""

    def show_safely() -> None:
        try:
            show()
        except Exception as error:  # noqa: BLE001  Krita must not see it
            docker_model.report(error)

    for topic in topics:
        unwatch = docker_model.watch(topic, show_safely)
        widget.destroyed.connect(lambda *_, unwatch=unwatch: unwatch())
    show_safely()
