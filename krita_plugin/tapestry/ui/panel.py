"""The content of the docker, top to bottom; follows the document while it can be seen."""

from __future__ import annotations

from ..qt import QFrame, QScrollArea, Qt, QTimer, QVBoxLayout, QWidget
from ..studio import Studio
from .backend_line import BackendLine
from .history_strip import HistoryStrip
from .lora_field import LoraField
from .mode_fields import ModeFields, ModeTabs, RunButton
from .model_field import ModelField
from .notice_box import NoticeBox
from .progress_view import ProgressView
from .prompt_fields import PromptFields
from .region_list import RegionList
from .sampling_fields import SamplingFields

_LOOK_EVERY_MS = 400
"""How soon the list shows a layer that was added or renamed."""

_LOWEST_FIELDS_PX = 96
"""Krita squeezes dockers to their least height; this much of the fields stays, and scrolls."""

_MARGINS_PX = (6, 4, 6, 4)


class Panel(QWidget):
    """The fields, which scroll where the docker is low, above what must always be seen."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.setObjectName("tapestry_panel")
        self._studio = studio
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._make_fields(), 1)
        column.addWidget(self._make_foot())
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_EVERY_MS)
        self._timer.timeout.connect(studio.look)

    def showEvent(self, event: object) -> None:  # noqa: N802  Qt's name
        """Begin to follow the document."""
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: object) -> None:  # noqa: N802  Qt's name
        """Leave the document alone while nobody looks."""
        super().hideEvent(event)
        self._timer.stop()

    def _make_lora(self) -> LoraField:
        studio = self._studio
        return LoraField(studio, "tapestry_lora", lambda: studio.settings, studio.change)

    def _make_fields(self) -> QScrollArea:
        fields = _column(
            ModeTabs(self._studio),
            ModeFields(self._studio),
            PromptFields(self._studio),
            RegionList(self._studio),
            ModelField(self._studio),
            self._make_lora(),
            SamplingFields(self._studio),
        )
        fields.layout().addStretch(1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(fields)
        bar = area.verticalScrollBar().sizeHint().width()
        area.setMinimumSize(fields.minimumSizeHint().width() + bar, _LOWEST_FIELDS_PX)
        return area

    def _make_foot(self) -> QWidget:
        return _column(
            RunButton(self._studio),
            ProgressView(self._studio),
            HistoryStrip(self._studio),
            NoticeBox(self._studio),
            BackendLine(self._studio),
        )


def _column(*widgets: QWidget) -> QWidget:
    content = QWidget()
    column = QVBoxLayout(content)
    column.setContentsMargins(*_MARGINS_PX)
    column.setSpacing(6)
    for widget in widgets:
        column.addWidget(widget)
    return content
