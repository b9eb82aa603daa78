"""Presets by name: choose one, keep the present settings as one, remove one."""

from __future__ import annotations

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import QComboBox, QLabel, QWidget
from ..base.field_behaviour import calm, column_in, narrow, row_of
from ..base.follow import follow
from ..base.symbols import SymbolButton


class PresetField(QWidget):
    """A list in which a new name can be written."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._names = QComboBox()
        self._names.setObjectName("tapestry_preset")
        self._names.setEditable(True)
        self._names.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self._names.setToolTip(
            tr("Choose a preset; or write a name and keep the present settings under it.")
        )
        self._names.lineEdit().setPlaceholderText(tr("choose, or write a name"))
        narrow(self._names)
        calm(self._names)
        self._keep = SymbolButton(
            "keep", "tapestry_keep_preset", tr("Keep the present settings under this name")
        )
        self._remove = SymbolButton("remove", "tapestry_remove_preset", tr("Remove this preset"))
        self._names.activated.connect(lambda _index: self._choose())
        self._names.editTextChanged.connect(lambda _text: self._show_buttons())
        self._keep.clicked.connect(lambda _checked: self._keep_preset())
        self._remove.clicked.connect(lambda _checked: self._remove_preset())
        label = QLabel(tr("Preset"))
        column_in(self, row_of(label, (self._names, 1), self._keep, self._remove))
        follow(self, docker_model, ("presets",), self._show_names)

    @property
    def _name(self) -> str:
        return self._names.currentText().strip()

    def _choose(self) -> None:
        self._docker_model.use_preset(self._name)

    def _keep_preset(self) -> None:
        self._docker_model.keep_preset(self._name)

    def _remove_preset(self) -> None:
        self._docker_model.remove_preset(self._name)
        self._names.setEditText("")

    def _show_names(self) -> None:
        written = self._name
        names = self._docker_model.presets.names
        if names != [self._names.itemText(place) for place in range(self._names.count())]:
            self._names.clear()
            self._names.addItems(names)
        self._names.setCurrentIndex(names.index(written) if written in names else -1)
        self._names.setEditText(written)
        self._show_buttons()

    def _show_buttons(self) -> None:
        presets = self._docker_model.presets
        is_new = bool(self._name) and self._name not in presets.names
        self._keep.setEnabled(is_new or presets.is_own(self._name))
        self._remove.setEnabled(presets.is_own(self._name))
