"""Puts the plugin together and gives Krita its docker."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from logging.handlers import RotatingFileHandler
from typing import Any

from krita import DockWidget, DockWidgetFactory, DockWidgetFactoryBase, Extension, Krita

from ..actions import actions
from ..backend.bundled import backend_home, bundled_backend
from ..backend.choice import ChosenBackend
from ..backend.controller import kept_choice
from ..backend.process import BackendProcess, data_folder
from ..backend.remote import server_file_of
from ..connection.link import Link
from ..connection.websocket import WebSocketConnection
from ..docker_model import DockerModel
from ..i18n.translation import choose_language
from ..qt.compat import QApplication, QLocale, QNetworkAccessManager
from ..qt.download import QtDownload
from ..qt.event_loop import QtLoop
from ..ui.panel import Panel
from .documents import KritaHost
from .views import ViewWatch

DOCKER_ID = "tapestry_docker"

_LOG_BYTES = 1_000_000


class TapestryDocker(DockWidget):
    """What Krita makes for each of its windows: a frame around the panel."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Tapestry")
        # From 5.2 on Krita hides other dockers while no document is open, and what they tell.
        self.setProperty("ShowOnWelcomePage", True)  # noqa: FBT003  Qt's call
        self.setWidget(Panel(_docker_model()))

    def canvasChanged(self, _canvas: Any) -> None:  # noqa: N802  Krita's name
        """Krita shows another document: the panel follows by itself."""


class TapestryActions(Extension):
    """The actions in Krita's shortcut editor and in its menu Tools > Scripts."""

    def setup(self) -> None:
        """Krita calls this before there is a window."""

    def createActions(self, window: Any) -> None:  # noqa: N802  Krita's name
        """Krita makes another window."""
        for action in actions():
            made = window.createAction(action.name, action.text, "tools/scripts")
            made.triggered.connect(lambda *_, run=action.run: run(_docker_model()))


def register() -> None:
    """Tell Krita about the docker and the actions."""
    _keep_log()
    _choose_language()
    Krita.instance().addExtension(TapestryActions(Krita.instance()))
    Krita.instance().addDockWidgetFactory(
        DockWidgetFactory(DOCKER_ID, DockWidgetFactoryBase.DockPosition.DockRight, TapestryDocker)
    )


def _choose_language() -> None:
    """That of Krita, unless another one is set."""
    chosen = KritaHost().read_setting("language")
    krita = os.environ.get("LANGUAGE", "").partition(":")[0]
    choose_language([chosen or krita or QLocale().name()])


@lru_cache(maxsize=1)
def _docker_model() -> DockerModel:
    """The one docker model of all windows."""
    host, loop = KritaHost(), QtLoop()
    local = BackendProcess(host.read_setting("backend_command"))
    server_file = server_file_of(host.read_setting("server_file"), os.environ)
    backend = ChosenBackend(local, kept_choice(host), server_file)
    link = Link(backend, WebSocketConnection, loop)
    docker_model = DockerModel(host, link, loop, backend)
    own = bundled_backend(backend_home())
    if own is not None and docker_model.backend_controller is not None:
        manager = QNetworkAccessManager()
        docker_model.backend_controller.offer(
            own, loop, lambda url, target: QtDownload(manager, url, target)
        )
    views = ViewWatch()

    def close() -> None:
        views.stop()
        if docker_model.backend_controller is not None:
            docker_model.backend_controller.close()
        docker_model.close()
        loop.stop()

    QApplication.instance().aboutToQuit.connect(close)
    return docker_model


def _keep_log() -> None:
    folder = data_folder(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(
        folder / "plugin.log", maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("tapestry")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
