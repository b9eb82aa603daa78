"""The list of regions, as the layers lie; which layers count, a new one, and all in colours."""

from __future__ import annotations

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import QComboBox, QLabel, QPushButton, Qt, QVBoxLayout, QWidget
from ..base.field_behaviour import calm, column_in, narrow, row_of
from ..base.follow import follow
from ..base.symbols import SymbolButton
from .region_row import RegionRow


class RegionList(QWidget):
    """All regions, topmost first."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self.setObjectName("tapestry_regions")
        self._docker_model = docker_model
        self._rows: dict[str, RegionRow] = {}
        self._shown: list[str] = []
        self._scope = self._make_scope()
        self._new = SymbolButton(
            "plus", "tapestry_new_region", tr("New region: a layer to paint on, and its prompt")
        )
        self._new.clicked.connect(lambda _checked: docker_model.regions.new_region())
        self._overlay = SymbolButton(
            "overlay", "tapestry_show_regions", tr("Show on the canvas which prompt holds where")
        )
        self._overlay.setCheckable(True)
        self._overlay.clicked.connect(lambda _checked: docker_model.regions.toggle_overlay())
        self._judge = SymbolButton(
            "eye",
            "tapestry_judge_regions",
            tr("Look whether the picture shows in each region what its layer is called"),
        )
        self._judge.clicked.connect(lambda _checked: docker_model.judge_regions())
        self._column = QVBoxLayout()
        self._column.setSpacing(1)
        self._remarks = QLabel()
        self._remarks.setObjectName("tapestry_remarks")
        self._remarks.setTextFormat(Qt.TextFormat.PlainText)
        self._remarks.setWordWrap(True)
        self._example = QPushButton(tr("Open an example"))
        self._example.setObjectName("tapestry_example")
        self._example.setToolTip(tr("A small document with three painted layers to begin with"))
        self._example.clicked.connect(lambda _checked: docker_model.example.open())
        title = QLabel(tr("Regions"))
        whole = column_in(
            self, row_of(title, (self._scope, 1), self._judge, self._overlay, self._new)
        )
        whole.addLayout(self._column)
        whole.addWidget(self._remarks)
        whole.addWidget(self._example)
        follow(self, docker_model, ("scene",), self._show_scene)
        follow(self, docker_model, ("thumbnails",), self._show_masks)

    def _make_scope(self) -> QComboBox:
        scope = QComboBox()
        scope.setObjectName("tapestry_scope")
        scope.setToolTip(tr("Whose layers are regions: the document's, or those of one group"))
        narrow(scope)
        calm(scope)
        scope.activated.connect(
            lambda index: self._docker_model.regions.choose_group(scope.itemData(index))
        )
        return scope

    def _show_scene(self) -> None:
        watch = self._docker_model.scene_watch
        scene = watch.scene
        self._show_rows()
        choices = [("", tr("all visible layers")), *((g.id, g.name) for g in scene.groups)]
        if choices != [(self._scope.itemData(i), self._scope.itemText(i)) for i in self._places()]:
            self._scope.clear()
            for group_id, name in choices:
                self._scope.addItem(name, group_id)
        self._scope.setCurrentIndex(self._scope.findData(scene.group))
        self._scope.setEnabled(len(choices) > 1)
        self._new.setEnabled(watch.has_document)
        self._judge.setEnabled(bool(scene.regions))
        self._overlay.setEnabled(bool(scene.regions) or watch.has_overlay)
        self._overlay.setChecked(watch.has_overlay)
        ground = scene.background_prompt
        sentence = tr("The lowest layer is the background: {name}.")
        background = [sentence.format(name=ground)] if ground else []
        self._remarks.setText("\n".join([*background, *scene.remarks]))
        self._remarks.setVisible(bool(self._remarks.text()))
        self._example.setVisible(not watch.has_document)

    def _places(self) -> range:
        return range(self._scope.count())

    def _show_rows(self) -> None:
        """Rows stay what they are while their layer is there: the artist may be typing in one."""
        rows = self._docker_model.scene_watch.scene.rows
        wanted = [row.id for row in rows]
        for layer_id in [known for known in self._rows if known not in wanted]:
            gone = self._rows.pop(layer_id)
            self._column.removeWidget(gone)
            gone.hide()
            gone.deleteLater()
        for number, row in enumerate(rows):
            if row.id in self._rows:
                self._rows[row.id].show_row(row, number)
            else:
                self._rows[row.id] = RegionRow(self._docker_model, row, number)
        if wanted != self._shown:
            for place, layer_id in enumerate(wanted):
                self._column.removeWidget(self._rows[layer_id])
                self._column.insertWidget(place, self._rows[layer_id])
            self._shown = wanted
        if self.isVisible() and (begun := self._docker_model.regions.take_begun(self._rows)):
            self._rows[begun].begin_prompt()

    def _show_masks(self) -> None:
        for row in self._rows.values():
            row.show_mask()
