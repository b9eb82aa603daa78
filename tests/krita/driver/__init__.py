"""A Krita plugin that plays scenarios inside Krita and writes down what it saw; judges nothing."""

import faulthandler
import os
import sys
from pathlib import Path

from krita import Extension, Krita

from .qt import QApplication, QTimer
from .stage import ScenarioStage

_WINDOW_SETTLES_MS = 1500
_TURN_MS = 20
_STDERR = 2


class Driver(Extension):
    """Plays the scenarios that the environment names, one after the other."""

    def setup(self) -> None:
        """Called by Krita before there is a window."""
        self._has_begun = False
        notifier = Krita.instance().notifier()
        notifier.setActive(True)
        notifier.windowCreated.connect(self._window_created)

    def createActions(self, _window) -> None:  # noqa: N802  Krita's name
        """Called by Krita for every window; there are none."""

    def _window_created(self) -> None:
        if not self._has_begun:  # a scenario may open another window
            self._has_begun = True
            QTimer.singleShot(_WINDOW_SETTLES_MS, self._begin)

    def _begin(self) -> None:
        faulthandler.enable(_STDERR)  # where Krita crashes inside a call of ours, the log says so
        names = os.environ["TAPESTRY_SCENARIOS"].split(",")
        self._stage = ScenarioStage(Path(os.environ["TAPESTRY_REPORT"]), names)
        self._timer = QTimer()
        self._timer.setInterval(_TURN_MS)
        self._timer.timeout.connect(self._turn)
        self._timer.start()

    def _turn(self) -> None:
        if self._stage.play():
            self._timer.stop()
            sys.stdout.flush()
            QApplication.closeAllWindows()
            QTimer.singleShot(0, QApplication.quit)


Krita.instance().addExtension(Driver(Krita.instance()))
