"""Keeps Krita 5.1 alive when a view is closed while its document is drawn.

Krita writes what is drawn anew into textures that all views share, in whichever OpenGL context is
the current one. That context goes with a view that is closed; an update that is on its way then
finds none, and ends Krita. So the context of another view takes its place at once.
"""

from __future__ import annotations

from typing import Any

from krita import Krita

from ..qt.compat import QApplication, QObject, QOpenGLWidget, QTimer

_WATCHED = "tapestry_watched"


class ViewWatch(QObject):
    """Watches the canvases of all views for as long as it lives, until `stop`."""

    def __init__(self) -> None:
        super().__init__()
        self._is_stopped = False
        notifier = Krita.instance().notifier()
        notifier.setActive(True)
        notifier.viewCreated.connect(self._look_soon)
        self._look()

    def stop(self) -> None:
        """Krita ends, and all views go."""
        self._is_stopped = True

    def _look_soon(self, _view: Any) -> None:
        QTimer.singleShot(0, self._look)

    def _look(self) -> None:
        for canvas in _canvases():
            if not canvas.property(_WATCHED):
                canvas.setProperty(_WATCHED, _WATCHED)
                canvas.destroyed.connect(self._gone)

    def _gone(self) -> None:
        left = [] if self._is_stopped else [canvas for canvas in _canvases() if canvas.isValid()]
        if left:
            left[0].makeCurrent()


def _canvases() -> list[QOpenGLWidget]:
    return [widget for widget in QApplication.allWidgets() if isinstance(widget, QOpenGLWidget)]
