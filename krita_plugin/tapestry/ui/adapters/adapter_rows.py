"""The adapters of the picture or of one region: a row for each, and a button that adds more."""

from __future__ import annotations

from collections.abc import Sequence

from tapestry_protocol.adapters import AdapterInfo

from ...docker_model import DockerModel
from ...document.adapter_settings import PICTURE
from ...i18n.translation import tr
from ...qt.compat import QLabel, QMenu, QToolButton, QVBoxLayout, QWidget
from ..base.field_behaviour import column_in, row_of
from ..base.follow import follow
from ..base.symbols import SymbolButton
from .adapter_row import AdapterRow, kind_words


class AdapterRows(QWidget):
    """There to be seen only where something lies on it, or can be laid on it.

    layer_id  the region's; `PICTURE` for the whole picture
    """

    def __init__(self, docker_model: DockerModel, layer_id: str = PICTURE) -> None:
        super().__init__()
        self.setObjectName("tapestry_adapters")
        self._docker_model = docker_model
        self._layer_id = layer_id
        self._rows: list[AdapterRow] = []
        self._offered: Sequence[AdapterInfo] = ()
        self._add = self._make_add()
        self._column = QVBoxLayout()
        self._column.setSpacing(1)
        title = QLabel(tr("Adapters"))
        title.setBuddy(self._add)
        column_in(self, row_of((title, 1), self._add)).addLayout(self._column)
        follow(self, docker_model, ("scene", "models", "settings"), self._show)

    def _make_add(self) -> SymbolButton:
        tip = (
            tr("Lay a LoRA on the whole picture, or show a layer to a control network")
            if self._layer_id == PICTURE
            else tr("Lay a LoRA on this region alone, or show a layer for it to a control network")
        )
        add = SymbolButton("plus", "tapestry_add_adapter", tip)
        add.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(add)
        menu.setStyleSheet("QMenu { menu-scrollable: 1; }")
        menu.setToolTipsVisible(True)
        add.setMenu(menu)
        return add

    def _show(self) -> None:
        offered = self._docker_model.adapters.offered
        if offered != self._offered:
            self._offered = offered
            self._fill_menu()
        self._add.setEnabled(bool(offered) and self._docker_model.scene_watch.has_document)
        self._show_rows()
        wanted = bool(offered or self._rows)
        if self.parent() is not None or not wanted:  # else it would be a window for a moment
            self.setVisible(wanted)

    def _fill_menu(self) -> None:
        menu = self._add.menu()
        menu.clear()
        kind = ""
        for info in self._offered:
            name, tip = kind_words(info.kind)
            if info.kind != kind:
                kind = info.kind
                menu.addSection(name)
            action = menu.addAction(f"{info.id}   ({name})".replace("&", "&&"))
            action.setToolTip(tip)
            action.setObjectName(f"tapestry_add_{info.id}")
            action.triggered.connect(
                lambda _checked, info=info: self._docker_model.adapters.add(self._layer_id, info)
            )

    def _show_rows(self) -> None:
        """A row stays as it is while it shows the same adapter: the artist may be typing in it."""
        laid = self._docker_model.adapters.laid(self._layer_id)
        while self._rows and [row.adapter for row in self._rows] != [
            (one.adapter, one.kind) for one in laid[: len(self._rows)]
        ]:
            gone = self._rows.pop()
            self._column.removeWidget(gone)
            gone.hide()
            gone.deleteLater()
        for place, one in enumerate(laid):
            if place == len(self._rows):
                self._rows.append(AdapterRow(self._docker_model, self._layer_id, place, one))
                self._column.addWidget(self._rows[-1])
            self._rows[place].show_laid(one)
