"""The pictures that were made for this document: look, apply, take back, put away."""

from __future__ import annotations

from collections.abc import Callable

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import (
    QAbstractItemView,
    QHBoxLayout,
    QIcon,
    QKeyEvent,
    QLabel,
    QLineEdit,
    QListView,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QSize,
    QSizePolicy,
    Qt,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from ...results.history import HistoryEntry
from ...results.inserting import InsertAs
from ..base.follow import follow
from ..base.pixmaps import pixmap, with_marks
from .history_text import badge, description

_THUMBNAIL = QSize(72, 56)
_STRIP_HEIGHT_PX = 84
_ID = Qt.ItemDataRole.UserRole


class HistoryStrip(QWidget):
    """Visible as soon as there is a picture."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self.setObjectName("tapestry_history")
        self._docker_model = docker_model
        self._shown: list[HistoryEntry] = []
        self._is_filling = False
        self._search = self._make_search()
        self._list = self._make_list()
        self._apply = self._make_apply()
        self._back = _button("tapestry_take_back", tr("Take back"))
        self._back.setToolTip(
            tr("Take this picture out of the document again, an extension as a whole")
        )
        self._back.clicked.connect(lambda _checked: self._call(docker_model.take_back))
        self._star = _tool("tapestry_favourite", "\u2606")
        self._star.setCheckable(True)
        self._star.setToolTip(tr("A favourite stays on disk however old it is"))
        self._star.clicked.connect(self._set_favourite)
        self._more = self._make_more()
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self._apply, 1)
        row.addWidget(self._back, 1)
        row.addWidget(self._star)
        row.addWidget(self._more)
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(QLabel(tr("History")))
        head.addWidget(self._search, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self._list)
        column.addLayout(row)
        follow(self, docker_model, ("history", "scene"), self._show_history)

    # --- parts ------------------------------------------------------------------------------------

    def _make_search(self) -> QLineEdit:
        search = QLineEdit()
        search.setObjectName("tapestry_history_search")
        search.setPlaceholderText(tr("words of a prompt"))
        search.setClearButtonEnabled(True)
        search.textChanged.connect(lambda _text: self._show_history())
        return search

    def _make_list(self) -> QListWidget:
        strip = QListWidget()
        strip.setObjectName("tapestry_history_list")
        strip.setViewMode(QListView.ViewMode.IconMode)
        strip.setFlow(QListView.Flow.LeftToRight)
        strip.setWrapping(False)
        strip.setMovement(QListView.Movement.Static)
        strip.setIconSize(_THUMBNAIL)
        strip.setSpacing(2)
        strip.setFixedHeight(_STRIP_HEIGHT_PX)
        strip.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        strip.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        strip.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        strip.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        strip.customContextMenuRequested.connect(self._open_menu)
        strip.itemClicked.connect(lambda item: self._docker_model.preview(item.data(_ID)))
        strip.itemActivated.connect(lambda _item: self._apply_as("layer"))
        strip.currentItemChanged.connect(lambda *_: self._show_selected())
        return strip

    def _make_apply(self) -> QToolButton:
        apply = _tool("tapestry_apply", tr("Apply"))
        apply.setToolTip(tr("Make a layer of this picture"))
        apply.setPopupMode(QToolButton.ToolButtonPopupMode.MenuButtonPopup)
        apply.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        apply.clicked.connect(lambda _checked: self._apply_as("layer"))
        menu = QMenu(apply)
        self._add(menu, "tapestry_apply_layer", tr("As one layer"), lambda: self._apply_as("layer"))
        self._add(
            menu,
            "tapestry_apply_regions",
            tr("As one layer for each region"),
            lambda: self._apply_as("regions"),
        )
        self._add(
            menu,
            "tapestry_apply_active",
            tr("Into the active layer"),
            lambda: self._apply_as("active"),
        )
        apply.setMenu(menu)
        return apply

    def _make_more(self) -> QToolButton:
        more = _tool("tapestry_history_more", "\u22ef")
        more.setToolTip(tr("More to do with this picture"))
        more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(more)
        for name, text, action in (
            ("use_settings", tr("Use these settings again"), self._use_settings),
            ("use_seed", tr("Use this seed"), self._use_seed),
            (
                "enlarge",
                tr("Make it larger, as on the page Upscale"),
                lambda: self._call(self._docker_model.enlarge),
            ),
            ("discard", tr("Discard"), lambda: self._call(self._docker_model.discard)),
        ):
            self._add(self._menu, f"tapestry_{name}", text, action)
        more.setMenu(self._menu)
        return more

    def _add(self, menu: QMenu, name: str, text: str, action: Callable[[], object]) -> None:
        entry = menu.addAction(text)
        entry.setObjectName(name)
        entry.triggered.connect(lambda _checked=False: action())

    # --- showing ----------------------------------------------------------------------------------

    def _show_history(self) -> None:
        entries = self._docker_model.results.entries(self._search.text())
        self.setVisible(bool(entries or self._search.text()))
        if entries != self._shown:
            self._fill(entries)
        self._show_selected()

    def _fill(self, entries: list[HistoryEntry]) -> None:
        """The same one stays selected, unless there is a new one."""
        known = {entry.id for entry in self._shown}
        selected = self._selected_id()
        if entries and entries[0].id not in known:
            selected = entries[0].id
        self._shown, self._is_filling = list(entries), True
        self._list.clear()
        for entry in entries:
            item = QListWidgetItem()
            item.setData(_ID, entry.id)
            item.setIcon(self._icon(entry))
            item.setToolTip(description(entry))
            item.setData(Qt.ItemDataRole.AccessibleTextRole, entry.name)
            item.setSizeHint(_THUMBNAIL + QSize(4, 4))
            self._list.addItem(item)
            if entry.id == selected:
                self._list.setCurrentItem(item)
        if entries and self._list.currentItem() is None:
            self._list.setCurrentRow(0)
        self._is_filling = False

    def _icon(self, entry: HistoryEntry) -> QIcon:
        small = entry.small
        ratio = self.devicePixelRatioF()
        picture = pixmap(small, _THUMBNAIL * ratio) if small is not None else None
        marks = badge(entry, is_applied=self._docker_model.results.can_take_back(entry))
        return QIcon(with_marks(picture, _THUMBNAIL, ratio, marks, self.palette()))

    def _show_selected(self) -> None:
        if self._is_filling:
            return
        entry = self._selected()
        for widget in (self._apply, self._star, self._more):
            widget.setEnabled(entry is not None)
        can_take_back = entry is not None and self._docker_model.results.can_take_back(entry)
        self._back.setEnabled(can_take_back)
        self._star.setChecked(entry is not None and entry.favourite)
        self._star.setText("\u2605" if self._star.isChecked() else "\u2606")

    # --- what the artist does ---------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's name
        """Delete discards, space shows on the canvas, Escape shows nothing."""
        keys = {
            Qt.Key.Key_Delete: lambda: self._call(self._docker_model.discard),
            Qt.Key.Key_Space: lambda: self._call(self._docker_model.preview),
            Qt.Key.Key_Escape: lambda: self._docker_model.preview(""),
        }
        action = keys.get(event.key())
        if action is None:
            super().keyPressEvent(event)
        else:
            action()

    def _selected_id(self) -> str:
        item = self._list.currentItem()
        return item.data(_ID) if item is not None else ""

    def _selected(self) -> HistoryEntry | None:
        return self._docker_model.results.find(self._selected_id())

    def _call(self, action: Callable[[str], object]) -> None:
        if self._selected_id():
            action(self._selected_id())

    def _apply_as(self, way: InsertAs) -> None:
        self._call(lambda entry_id: self._docker_model.apply(entry_id, way))

    def _set_favourite(self, on: bool) -> None:  # noqa: FBT001  Qt calls it
        self._call(lambda entry_id: self._docker_model.set_favourite(entry_id, on=on))

    def _use_settings(self) -> None:
        entry = self._selected()
        if entry is not None:
            self._docker_model.use_settings(entry)

    def _use_seed(self) -> None:
        entry = self._selected()
        if entry is not None:
            self._docker_model.use_seed(entry)

    def _open_menu(self, place: object) -> None:
        if self._list.itemAt(place) is not None:
            self._menu.popup(self._list.viewport().mapToGlobal(place))


def _button(name: str, text: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    return button


def _tool(name: str, text: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName(name)
    button.setText(text)
    return button
