"""The content of the docker, top to bottom; follows the document while it can be seen."""

from __future__ import annotations

from ..docker_model import DockerModel
from ..qt.compat import QEvent, QFrame, QScrollArea, QSize, Qt, QTimer, QVBoxLayout, QWidget
from .adapters.adapter_rows import AdapterRows
from .backend.backend_line import BackendLine
from .base.follow import follow
from .fields.model_field import ModelField
from .fields.prompt_fields import PromptFields
from .fields.sampling_fields import SamplingFields
from .history.history_strip import HistoryStrip
from .modes.mode_fields import ModeFields, ModeTabs, RunButton
from .regions.region_list import RegionList
from .status.notice_box import NoticeBox
from .status.progress_view import ProgressView

_LOOK_EVERY_MS = 400
"""How soon the list shows a layer that was added or renamed."""

_LOWEST_FIELDS_PX = 96
"""Krita squeezes dockers to their least height; this much of modes and fields stays, and the fields
scroll, unless a notice needs the room: Krita's own arrangement leaves a new docker 280 pixels."""

_LOW_PX = 600
"""In a docker lower than this the history scrolls with the fields, and leaves them its room."""

_VERY_LOW_PX = 360
"""In a docker lower than this what may be installed takes one line, and regions come into view."""

_MARGINS_PX, _NO_MARGINS_PX = (6, 4, 6, 4), (0, 0, 0, 0)


class Panel(QWidget):
    """The fields, which scroll where the docker is low, above what must always be seen.

    What is pleasant to see gives way to that: the picture on its way becomes smaller, and jobs that
    wait are counted instead of listed.
    """

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self.setObjectName("tapestry_panel")
        self._docker_model = docker_model
        self._progress = ProgressView(docker_model)
        self._history = HistoryStrip(docker_model)
        self._regions = RegionList(docker_model)
        self._of_painting = (
            _column(PromptFields(docker_model), margins_px=_NO_MARGINS_PX),
            _column(
                AdapterRows(docker_model), SamplingFields(docker_model), margins_px=_NO_MARGINS_PX
            ),
        )
        self._fields = self._make_fields()
        self._area = _scrolling(self._fields)
        self._backend_line = BackendLine(docker_model)
        self._head = _column(ModeTabs(docker_model))
        self._head.layout().setContentsMargins(*_MARGINS_PX[:3], 0)
        self._lowest_px = _LOWEST_FIELDS_PX - self._head.sizeHint().height()
        self._foot = _column(
            RunButton(docker_model),
            self._progress,
            self._history,
            NoticeBox(docker_model),
            self._backend_line,
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._head)
        column.addWidget(self._area, 1)
        column.addWidget(self._foot)
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_EVERY_MS)
        self._timer.timeout.connect(docker_model.look)
        self._had_regions = False
        self._reveal = QTimer(self)
        self._reveal.setSingleShot(True)
        self._reveal.timeout.connect(self._show_regions)
        follow(self, docker_model, ("job", "history", "notice", "backend"), self._share_room)
        follow(self, docker_model, ("scene",), self._note_regions)
        follow(self, docker_model, ("settings",), self._show_settings)

    def showEvent(self, event: object) -> None:  # noqa: N802  Qt's name
        """Begin to follow the document."""
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: object) -> None:  # noqa: N802  Qt's name
        """Leave the document alone while the docker is hidden."""
        super().hideEvent(event)
        self._timer.stop()

    def resizeEvent(self, event: object) -> None:  # noqa: N802  Qt's name
        """Adapt to the docker's size."""
        super().resizeEvent(event)
        self._share_room()

    def event(self, event: QEvent) -> bool:
        """Something in it needs more room, or less; only now it is known how much."""
        is_handled = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            self._share_room()
        return is_handled

    def minimumSizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """What the docker may be made as low as: without all that gives way."""
        least = super().minimumSizeHint()
        giving_way = self._progress.room_px
        if self._history.parentWidget() is self._foot and self._history.isVisible():
            giving_way += self._history.sizeHint().height()
        given_away = self._lowest_px - self._area.minimumHeight()
        return QSize(least.width(), least.height() - giving_way + given_away)

    def _share_room(self) -> None:
        home = self._fields if self.height() < _LOW_PX else self._foot
        if self._history.parentWidget() is not home:
            place = home.layout().count() - 1 if home is self._fields else _PLACE_OF_HISTORY
            home.layout().insertWidget(place, self._history)
        self._backend_line.set_low(is_low=self.height() < _VERY_LOW_PX)
        foot_px = self._foot.heightForWidth(self.width())  # a notice breaks its lines
        fixed = max(foot_px, self._foot.sizeHint().height()) - self._progress.room_px
        fixed += self._head.sizeHint().height()
        self._progress.give_room(self.height() - self._lowest_px - fixed)
        self._area.setMinimumHeight(max(1, min(self._lowest_px, self.height() - fixed)))

    def _note_regions(self) -> None:
        """The first ones: where there is little room, they are what the artist looks for."""
        has_regions = bool(self._docker_model.scene_watch.scene.rows)
        if has_regions and not self._had_regions and self.height() < _VERY_LOW_PX:
            self._reveal.start(0)  # once they have their places
        self._had_regions = has_regions

    def _show_regions(self) -> None:
        self._area.verticalScrollBar().setValue(self._regions.y())

    def _show_settings(self) -> None:
        """What says how a picture is painted is in the way where a word is taught."""
        paints = self._docker_model.settings.mode != "teach"
        for fields in self._of_painting:
            fields.setVisible(paints)

    def _make_fields(self) -> QWidget:
        above, below = self._of_painting
        fields = _column(
            ModeFields(self._docker_model),
            above,
            self._regions,
            ModelField(self._docker_model),
            below,
        )
        fields.layout().addStretch(1)
        return fields


_PLACE_OF_HISTORY = 2
"""In the foot: below the button and the progress."""


def _scrolling(fields: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(fields)
    bar = area.verticalScrollBar().sizeHint().width()
    area.setMinimumWidth(fields.minimumSizeHint().width() + bar)
    return area


def _column(*widgets: QWidget, margins_px: tuple[int, int, int, int] = _MARGINS_PX) -> QWidget:
    content = QWidget()
    column = QVBoxLayout(content)
    column.setContentsMargins(*margins_px)
    column.setSpacing(6)
    for widget in widgets:
        column.addWidget(widget)
    return content
