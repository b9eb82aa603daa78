"""The docker's last line: what the backend does, and what to do where there is none."""

from __future__ import annotations

from ...backend.controller import BackendController
from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QPushButton,
    Qt,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from ..base.follow import follow
from .backend_page import BackendPage
from .install_view import InstallView

INSTALL_COMMAND = "python3 installer plugin"


class BackendLine(QWidget):
    """A sentence, a button to the page, and more buttons while there is no backend."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._page: BackendPage | None = None
        self._status = QLabel()
        self._status.setObjectName("tapestry_status")
        self._status.setTextFormat(Qt.TextFormat.PlainText)
        self._status.setWordWrap(True)
        page = QToolButton()
        page.setObjectName("tapestry_open_backend_page")
        page.setText("\u2699")
        page.setAutoRaise(True)
        page.setToolTip(tr("Models, device, another computer, results, log"))
        page.clicked.connect(lambda _checked: self._open_page())
        line = QHBoxLayout()
        line.addWidget(self._status, 1)
        line.addWidget(page)
        self._help = self._make_help()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._help)
        self._install_view = InstallView(docker_model)
        column.addWidget(self._install_view)
        column.addLayout(line)
        page.setVisible(docker_model.backend_controller is not None)
        follow(self, docker_model, ("backend",), self._show_backend)

    def set_low(self, *, is_low: bool) -> None:
        """In a low docker what may be installed takes one line."""
        self._install_view.set_low(is_low=is_low)

    def _make_help(self) -> QWidget:
        part = QWidget()
        part.setObjectName("tapestry_first_steps")
        row = QHBoxLayout(part)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for name, text, tip, action in (
            ("try_again", tr("Try again"), tr("Look for the backend once more"), self._try_again),
            ("copy_command", tr("Copy command"), INSTALL_COMMAND, _copy_command),
            ("first_page", tr("Backend\u2026"), tr("Choose another backend"), self._open_page),
        ):
            button = QPushButton(text)
            button.setObjectName(f"tapestry_{name}")
            button.setToolTip(tip)
            button.clicked.connect(lambda _checked, action=action: action())
            row.addWidget(button)
        return part

    def _show_backend(self) -> None:
        self._status.setText(self._docker_model.backend_sentence)
        backend_controller = self._docker_model.backend_controller
        is_offered = backend_controller is not None and InstallView.is_wanted(backend_controller)
        self._help.setVisible(
            backend_controller is not None and backend_controller.is_in_trouble and not is_offered
        )

    def _try_again(self) -> None:
        self._docker_model.try_backend_again()

    def _open_page(self) -> None:
        backend_controller: BackendController | None = self._docker_model.backend_controller
        if backend_controller is None:
            return
        if self._page is None:
            self._page = BackendPage(self._docker_model, backend_controller, self)
        self._page.show()
        self._page.raise_()


def _copy_command() -> None:
    QApplication.clipboard().setText(INSTALL_COMMAND)
