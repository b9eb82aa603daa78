"""Where the backend was installed from the docker, and the button that takes it back."""

from __future__ import annotations

from ...backend.controller import BackendController
from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import QPushButton, QWidget
from ..base.field_behaviour import column_in, words_of_others
from ..base.follow import follow


class InstalledSection(QWidget):
    """Empty where nothing was installed from here."""

    def __init__(self, docker_model: DockerModel, backend_controller: BackendController) -> None:
        super().__init__()
        self._backend_controller = backend_controller
        self._words = words_of_others("tapestry_installed_words")
        self._button = QPushButton()
        self._button.setObjectName("tapestry_uninstall")
        self._button.clicked.connect(lambda _checked: self._press())
        self._is_sure = False
        column_in(self, self._words, self._button)
        follow(self, docker_model, ("backend",), self._show_place)

    def _press(self) -> None:
        """Only the second time: what was fetched would have to be fetched again."""
        if self._is_sure:
            self._backend_controller.uninstall()
        self._is_sure = not self._is_sure
        self._show_place()

    def _show_place(self) -> None:
        installer = self._backend_controller.installer
        is_there = installer is not None and installer.own.is_there and not installer.is_running
        self.setVisible(is_there)
        if installer is None or not is_there:
            self._is_sure = False
            return
        words = tr("Installed in {folder}.").format(folder=installer.own.folder)
        if self._is_sure and self._backend_controller.is_painting:
            warning = tr(
                "A picture is being painted: it would stop, and begin anew with a backend."
            )
            words = f"{words} {warning}"
        self._words.setText(words)
        self._button.setText(tr("Really remove it?") if self._is_sure else tr("Uninstall"))
