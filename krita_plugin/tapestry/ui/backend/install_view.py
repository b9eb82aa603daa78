"""Installs the backend that the plugin carries: what is fetched, how far it is, the buttons."""

from __future__ import annotations

from tapestry_protocol import VERSION

from ...backend.controller import BackendController
from ...backend.installer import BackendInstaller
from ...docker_model import DockerModel
from ...i18n.notices import notice_of
from ...i18n.translation import decimal, tr
from ...qt.compat import QProgressBar, QPushButton, QWidget
from ..base.elided_label import ElidedLabel
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
        self._short = ElidedLabel("")
        self._is_low = False
        row = row_of((self._short, 1), self._pause, self._button)
        row.setStretch(1, 1)
        row.setStretch(2, 1)
        column_in(self, self._words, self._bar, row)
        follow(self, docker_model, ("backend",), self._show_installer)

    def set_low(self, *, is_low: bool) -> None:
        """In a low docker, what the button will do stands beside it, cut; all of it is a tip."""
        if is_low != self._is_low:
            self._is_low = is_low
            self._show_installer()

    @staticmethod
    def is_wanted(backend_controller: BackendController) -> bool:
        """Whether there is something to install, and the artist has not chosen another backend."""
        installer = backend_controller.installer
        if installer is None:
            return False
        if installer.is_running or backend_controller.is_outdated:
            return True
        is_whole = installer.own.is_installed and not installer.is_broken
        return not is_whole and not backend_controller.is_distant

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
        if backend_controller is None or installer is None or not is_wanted:
            return
        is_offer = not (installer.is_running or installer.trouble or backend_controller.is_outdated)
        self._words.setVisible(not (self._is_low and is_offer))
        self._short.setVisible(self._is_low and is_offer)
        self._bar.setVisible(installer.is_running)
        self._bar.setValue(round(_STEPS * installer.share))
        self._pause.setVisible(installer.is_running and not installer.is_removing)
        self._button.setVisible(not (installer.is_removing or backend_controller.is_outdated))
        if installer.is_running:
            self._pause.setText(tr("Go on") if installer.is_paused else tr("Pause"))
            self._button.setText(tr("Cancel"))
            paused = tr("Paused: {doing}").format(doing=installer.doing)
            self._words.setText(paused if installer.is_paused else installer.doing)
            return
        if backend_controller.is_outdated:
            self._words.setText(
                tr("The new backend is installed; it starts when the pictures are done.")
            )
            return
        self._button.setText(_press_to(installer))
        self._words.setText(_before(installer))
        self._short.say(_before(installer))


def _press_to(installer: BackendInstaller) -> str:
    """What the button says."""
    if installer.is_broken or installer.own.is_damaged:
        return tr("Repair")
    return tr("Update the backend") if installer.own.is_there else tr("Install")


def _before(installer: BackendInstaller) -> str:
    """What the button will do, or why it has not done it."""
    trouble, kind = installer.trouble, installer.own.accelerator
    if trouble:
        notice = notice_of(trouble)
        return f"{notice.message.rstrip('.')}. {notice.advice}"
    if installer.is_broken or installer.own.is_damaged:
        return tr("The backend does not start: some of it is gone or damaged.")
    sizes = {"fetched": decimal(kind.fetched_gb), "disk": decimal(kind.disk_gb)}
    old = installer.own.outdated_version
    if old and installer.own.has_its_packages:
        return tr(
            "The plugin ({new}) is newer than the backend ({old}); little is fetched."
        ).format(new=VERSION, old=old)
    if old:
        return tr(
            "The plugin ({new}) is newer than the backend ({old}): what has changed is fetched, "
            "at most {fetched} GB; {disk} GB on the disk."
        ).format(new=VERSION, old=old, **sizes)
    text = tr(
        "The backend with PyTorch for {kind}: {fetched} GB from the package index, {disk} GB on "
        "the disk, into {folder}."
    )
    return text.format(kind=kind.label, folder=installer.own.folder, **sizes)
