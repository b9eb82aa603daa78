"""Installs the backend that the plugin carries: what is fetched, how far it is, the buttons."""

from __future__ import annotations

from ...backend.controller import BackendController
from ...backend.installer import BackendInstaller
from ...docker_model import DockerModel
from ...i18n.notices import notice_of
from ...i18n.translation import tr
from ...qt.compat import QProgressBar, QPushButton, QWidget
from ..base.field_behaviour import column_in, row_of, words_of_others
from ..base.follow import follow

_STEPS = 1000


class InstallView(QWidget):
    """Seen until this plugin's own backend is there."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self.setObjectName("tapestry_install_view")
        self._docker_model = docker_model
        self._words = words_of_others("tapestry_install_words")
        self._bar = QProgressBar()
        self._bar.setRange(0, _STEPS)
        self._bar.setTextVisible(False)
        self._bar.setMaximumHeight(self.fontMetrics().height() // 2)
        self._button, self._pause = QPushButton(), QPushButton()
        self._button.setObjectName("tapestry_install")
        self._button.clicked.connect(lambda _checked: self._press())
        self._pause.setObjectName("tapestry_pause_install")
        self._pause.setToolTip(tr("What has been fetched is kept until you go on"))
        self._pause.clicked.connect(lambda _checked: self._press_pause())
        column_in(self, self._words, self._bar, row_of(self._pause, self._button))
        follow(self, docker_model, ("backend",), self._show_installer)

    @staticmethod
    def is_wanted(backend_controller: BackendController) -> bool:
        """Whether there is something to install, and the artist has not chosen another backend."""
        installer = backend_controller.installer
        if installer is None or backend_controller.choice.address:
            return False
        return installer.is_running or not installer.own.is_installed

    @property
    def _installer(self) -> BackendInstaller | None:
        return (
            self._docker_model.backend_controller.installer
            if self._docker_model.backend_controller
            else None
        )

    def _press(self) -> None:
        installer = self._installer
        if installer is not None:
            (installer.cancel if installer.is_running else installer.start)()

    def _press_pause(self) -> None:
        if self._installer is not None:
            self._installer.pause()

    def _show_installer(self) -> None:
        backend_controller, installer = self._docker_model.backend_controller, self._installer
        is_wanted = backend_controller is not None and self.is_wanted(backend_controller)
        self.setVisible(is_wanted)
        if installer is None or not is_wanted:
            return
        self._bar.setVisible(installer.is_running)
        self._bar.setValue(round(_STEPS * installer.share))
        self._pause.setVisible(installer.is_running and not installer.is_removing)
        if installer.is_running:
            self._pause.setText(tr("Go on") if installer.is_paused else tr("Pause"))
            self._button.setText(tr("Cancel"))
            paused = tr("Paused: {doing}").format(doing=installer.doing)
            self._words.setText(paused if installer.is_paused else installer.doing)
            return
        is_update = installer.own.is_there
        self._button.setText(tr("Update the backend") if is_update else tr("Install"))
        self._words.setText(_before(installer))


def _before(installer: BackendInstaller) -> str:
    """What the button will do, or why it has not done it."""
    trouble, kind = installer.trouble, installer.own.accelerator
    if trouble:
        notice = notice_of(trouble)
        return f"{notice.message.rstrip('.')}. {notice.advice}"
    told = tr(
        "The backend with PyTorch for {kind}: {fetched} GB from the package index, {disk} GB on "
        "the disk, into {folder}."
    )
    return told.format(
        kind=kind.label,
        fetched=kind.fetched_gb,
        disk=kind.disk_gb,
        folder=installer.own.folder,
    )
