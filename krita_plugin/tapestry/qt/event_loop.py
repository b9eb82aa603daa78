"""The plugin's own piece of Qt's event loop: do something soon, later, or again and again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .compat import QTimer

_log = logging.getLogger("tapestry.qt.event_loop")


class QtLoop:
    """The one implementation of `task_queue.Loop` inside Krita."""

    def __init__(self) -> None:
        self._is_stopped = False

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call once after `delay_s` seconds (0: in the next turn); gives what cancels it."""
        pending = [action]

        def fire() -> None:
            if pending and not self._is_stopped:
                self._call(pending.pop())

        QTimer.singleShot(int(delay_s * 1000), fire)
        return pending.clear

    def stop(self) -> None:
        """Cancel everything that is still to come."""
        self._is_stopped = True

    def _call(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:  # noqa: BLE001  what is raised into Qt ends Krita
            _log.exception("unforeseen in a turn of the event loop")
