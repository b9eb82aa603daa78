"""The choice of a model; there to be seen only where there is a choice."""

from __future__ import annotations

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QWidget
from ..base.follow import follow


class ModelField(QWidget):
    """The models of the backend, by name."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._models = QComboBox()
        self._models.setObjectName("tapestry_model")
        self._models.setToolTip(tr("The checkpoint that paints"))
        # The path of a checkpoint asks for more width than a docker has.
        self._models.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._models.activated.connect(
            lambda index: docker_model.change_and_tell(model=self._models.itemData(index))
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(QLabel(tr("Model")))
        row.addWidget(self._models, 1)
        follow(self, docker_model, ("models", "settings"), self._show_models)

    def _show_models(self) -> None:
        models = self._docker_model.models
        self._models.clear()
        for model in models:
            self._models.addItem(model.name, model.id)
        self._models.setCurrentIndex(self._models.findData(self._docker_model.settings.model))
        self.setVisible(len(models) > 1)
