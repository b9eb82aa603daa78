"""A line for a prompt: it offers what was written before, and leaves spelling to its writer."""

from __future__ import annotations

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import (
    QAction,
    QCompleter,
    QEvent,
    QLineEdit,
    QMenu,
    QPalette,
    QStringListModel,
    Qt,
)
from ..base.symbols import symbol_icon

_MOST_IN_MENU = 20
_LONGEST_IN_MENU = 60


class PromptEdit(QLineEdit):
    """Completes from all prompts that were used lately; the clock at its end lists them."""

    def __init__(self, docker_model: DockerModel, name: str, placeholder: str) -> None:
        super().__init__()
        self._docker_model = docker_model
        self.setObjectName(name)
        self.setPlaceholderText(placeholder)
        self._known = QStringListModel(self)
        completer = QCompleter(self._known, self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.setCompleter(completer)
        completer.activated.connect(self.textEdited)
        self._clock = QAction(self)
        self._clock.setToolTip(tr("Prompts that were used lately"))
        self._clock.triggered.connect(lambda _checked: self._show_menu())
        self.addAction(self._clock, QLineEdit.ActionPosition.TrailingPosition)
        self._draw()

    def focusInEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """What can be completed is what was used up to now."""
        self._known.setStringList(list(self._docker_model.prompt_history.prompts))
        super().focusInEvent(event)

    def keyPressEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """The arrow down opens the list from the keyboard."""
        if event.key() == Qt.Key.Key_Down and not self.completer().popup().isVisible():
            self._show_menu()
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Another theme has other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw()

    def write(self, text: str) -> None:
        """Take this text as if it had been typed."""
        self.setText(text)
        self.textEdited.emit(text)

    def recent(self) -> QMenu:
        """The latest prompts, to choose from."""
        menu = QMenu(self)
        for prompt in self._docker_model.prompt_history.prompts[:_MOST_IN_MENU]:
            shown = prompt.replace("&", "&&")
            if len(shown) > _LONGEST_IN_MENU:
                shown = shown[: _LONGEST_IN_MENU - 1] + "\u2026"
            menu.addAction(shown).triggered.connect(lambda _checked, p=prompt: self.write(p))
        if menu.isEmpty():
            menu.addAction(tr("No prompts yet")).setEnabled(False)
        return menu

    def _show_menu(self) -> None:
        self.recent().popup(self.mapToGlobal(self.rect().bottomLeft()))

    def _draw(self) -> None:
        color = self.palette().color(QPalette.ColorRole.PlaceholderText)
        self._clock.setIcon(symbol_icon("clock", color))
