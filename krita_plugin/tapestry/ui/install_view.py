"""Installs the backend that the plugin carries: what is fetched, how far it is, a button."""

from __future__ import annotations

from ..backend_desk import BackendDesk
from ..qt import QProgressBar, QPushButton, QWidget
from ..sentences import in_own_words
from ..studio import Studio
from ..translation import tr
from .follow import follow
from .manners import column_in, words_of_others

_STEPS = 1000


class InstallView(QWidget):
    """Seen until this plugin's own backend is there."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.setObjectName("tapestry_install_view")
        self._studio = studio
        self._words = words_of_others("tapestry_install_words")
        self._bar = QProgressBar()
        self._bar.setRange(0, _STEPS)
        self._bar.setTextVisible(False)
        self._bar.setMaximumHeight(self.fontMetrics().height() // 2)
        self._button = QPushButton()
        self._button.setObjectName("tapestry_install")
        self._button.clicked.connect(lambda _checked: self._press())
        column_in(self, self._words, self._bar, self._button)
        follow(self, studio, ("backend",), self._show_installer)

    @staticmethod
    def is_wanted(desk: BackendDesk) -> bool:
        """Whether there is something to install, and the artist has not chosen another backend."""
        installer = desk.installer
        if installer is None or desk.choice.address:
            return False
        return installer.is_running or not installer.own.is_installed

    def _press(self) -> None:
        desk = self._studio.desk
        if desk is not None and desk.installer is not None:
            (desk.installer.cancel if desk.installer.is_running else desk.installer.start)()

    def _show_installer(self) -> None:
        desk = self._studio.desk
        is_wanted = desk is not None and self.is_wanted(desk)
        self.setVisible(is_wanted)
        if desk is None or desk.installer is None or not is_wanted:
            return
        installer = desk.installer
        self._bar.setVisible(installer.is_running)
        self._bar.setValue(round(_STEPS * installer.share))
        if installer.is_running:
            self._button.setText(tr("Cancel"))
            self._words.setText(installer.doing)
            return
        is_update = installer.own.is_there
        self._button.setText(tr("Update the backend") if is_update else tr("Install"))
        trouble = installer.trouble
        told = tr(
            "Fetched from the package index: 0.5 GB, or up to 4 GB with a graphics card. "
            "Into {folder}."
        )
        self._words.setText(
            f"{in_own_words(trouble.message)} {in_own_words(trouble.advice)}"
            if trouble
            else told.format(folder=installer.own.folder)
        )
