"""How far the picture is, how it looks so far, how long it will take, and the button to stop it."""

from __future__ import annotations

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...jobs.eta import time_left
from ...jobs.job import Job
from ...qt.compat import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSize,
    Qt,
    QVBoxLayout,
    QWidget,
)
from ..base.follow import follow
from ..base.pixmaps import pixmap
from .queue_view import QueueView

_PREVIEW_HEIGHT_PX = 152
_LOWEST_PREVIEW_PX = 48
"""In a smaller preview nothing can be recognised."""

_FIRST_WIDTH_PX = 200
_SPACING_PX = 4
_RIM_PX = 4


class ProgressView(QWidget):
    """Visible while a picture is on its way."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._most_px = _PREVIEW_HEIGHT_PX
        self._preview = QLabel()
        self._preview.setObjectName("tapestry_preview")
        self._preview.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._bar = QProgressBar()
        self._bar.setObjectName("tapestry_progress")
        self._cancel = QPushButton(tr("Cancel"))
        self._cancel.setObjectName("tapestry_cancel")
        self._cancel.setToolTip(tr("Stop the picture that is being painted"))
        self._cancel.clicked.connect(lambda _checked: docker_model.cancel())
        self._queue = QueueView(docker_model)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self._bar, 1)
        row.addWidget(self._cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(_SPACING_PX)
        column.addWidget(self._preview)
        column.addLayout(row)
        column.addWidget(self._queue)
        follow(self, docker_model, ("job",), self._show_job)

    @property
    def room_px(self) -> int:
        """What is taken by that which gives way where the docker is low."""
        if self._docker_model.job is None:
            return 0
        preview = 0 if self._preview.isHidden() else self._preview.minimumHeight() + _SPACING_PX
        return preview + self._queue.rows_px

    def give_room(self, most_px: int) -> None:
        """Take this much at most for jobs that wait, and for the picture on its way."""
        most_px -= self._queue.give_room(most_px)
        most_px = min(most_px - _SPACING_PX, _PREVIEW_HEIGHT_PX)
        if most_px != self._most_px:
            self._most_px = most_px
            self._show_preview()

    def resizeEvent(self, event: object) -> None:  # noqa: N802  Qt's name
        """Another width may have room for more words."""
        super().resizeEvent(event)
        if self._docker_model.job is not None:
            self._show_words(self._docker_model.job)

    def _show_job(self) -> None:
        job = self._docker_model.job
        self.setVisible(job is not None)
        self._show_preview()
        if job is None:
            return
        self._show_words(job)
        # A range of nothing is Qt's sign for "busy, for an unknown time".
        self._bar.setRange(0, job.steps if job.is_counted else 0)
        self._bar.setValue(job.step if job.is_counted else 0)
        self._cancel.setEnabled(job.can_be_cancelled)

    def _show_words(self, job: Job) -> None:
        """Which step it is, and how long still: as much of it as the bar has room for."""
        words = [job.sentence]
        left = self._docker_model.queue.seconds_left if job.is_counted else None
        if left is not None:
            until = time_left(left)
            words = [f"{job.sentence}, {until}", f"{job.step}/{job.steps}, {until}", until]
        room = self._bar.width() - 2 * _RIM_PX
        wide = self._bar.fontMetrics().horizontalAdvance
        self._bar.setFormat(next((each for each in words if wide(each) <= room), words[-1]))
        self._bar.setToolTip(f"{words[0]}\n{job.title}")

    def _show_preview(self) -> None:
        job = self._docker_model.job
        picture = (
            job.preview if job is not None and self._docker_model.settings.live_in_docker else None
        )
        shows = picture is not None and self._most_px >= _LOWEST_PREVIEW_PX
        self._preview.setVisible(shows)
        if picture is None or not shows:
            self._preview.clear()
            return
        width = max(self.width(), _FIRST_WIDTH_PX)
        sharpness = self.devicePixelRatioF()
        shown = pixmap(picture, QSize(width, self._most_px), sharpness)
        self._preview.setPixmap(shown)
        self._preview.setFixedHeight(round(shown.height() / sharpness))
