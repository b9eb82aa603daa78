"""Notices when the artist is about to save or to merge, and when Krita has written a file.

Krita 5 has no signal before it saves. So the artist's own ways are watched: the File menu opens, or
a shortcut of one of its commands is pressed. Whatever saves otherwise, such as a button of a tool
bar or a script, is heard of afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from krita import Krita

from ..qt.compat import QEvent, QMenu, QObject

_ACTIONS = (
    "file_save",
    "file_save_as",
    "file_export_file",
    "file_export_advanced",
    "save_incremental_version",
    "save_incremental_backup",
    "flatten_image",
    "merge_layer",
    "imagesize",
    "canvassize",
)
_MENUS = ("file", "image", "layer")
"""Where the artist saves, or makes one layer of several."""


class SavingWatch(QObject):
    """Watches all windows of Krita for as long as it lives."""

    def __init__(self, before: Callable[[], None], after: Callable[[str], None]) -> None:
        super().__init__()
        self._before = before
        self._watched: set[int] = set()
        notifier = Krita.instance().notifier()
        notifier.setActive(True)
        notifier.imageSaved.connect(after)
        notifier.windowCreated.connect(self._watch_windows)
        notifier.viewCreated.connect(lambda _view: self._watch_windows())
        self._watch_windows()

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802  Qt's name
        """A shortcut of one of the commands."""
        if event.type() == QEvent.Type.Shortcut:
            self._before()
        return super().eventFilter(watched, event)

    def _watch_windows(self) -> None:
        for window in Krita.instance().windows():
            shell = window.qwindow()
            if shell is None or shell.winId() in self._watched:
                continue
            self._watched.add(shell.winId())
            for menu in shell.findChildren(QMenu):
                if menu.objectName().lower() in _MENUS:
                    menu.aboutToShow.connect(self._before)
            for action in shell.actions():
                if action.objectName() in _ACTIONS:
                    action.installEventFilter(self)
