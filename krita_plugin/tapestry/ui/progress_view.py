"""How far the picture is, how it looks so far, how long it will take, and the button to stop it."""

from __future__ import annotations

from ..pace import time_left
from ..qt import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSize, Qt, QVBoxLayout, QWidget
from ..studio import Studio
from ..translation import tr
from .follow import follow
from .pictures import pixmap
from .queue_view import QueueView

_PREVIEW_HEIGHT_PX = 152
_FIRST_WIDTH_PX = 200


class ProgressView(QWidget):
    """Visible while a picture is on its way."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self._studio = studio
        self._preview = QLabel()
        self._preview.setObjectName("tapestry_preview")
        self._preview.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._bar = QProgressBar()
        self._bar.setObjectName("tapestry_progress")
        self._cancel = QPushButton(tr("Cancel"))
        self._cancel.setObjectName("tapestry_cancel")
        self._cancel.setToolTip(tr("Stop the picture that is being painted"))
        self._cancel.clicked.connect(lambda _checked: studio.cancel())
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self._bar, 1)
        row.addWidget(self._cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._preview)
        column.addLayout(row)
        column.addWidget(QueueView(studio))
        follow(self, studio, ("job",), self._show_job)

    def _show_job(self) -> None:
        job = self._studio.job
        self.setVisible(job is not None)
        if job is None:
            self._preview.clear()
            return
        left = self._studio.queue.seconds_left if job.is_counted else None
        parts = [job.sentence, *([time_left(left)] if left is not None else [])]
        self._bar.setFormat(", ".join(parts))
        self._bar.setToolTip(job.title)
        # A range of nothing is Qt's sign for "busy, nobody knows how long".
        self._bar.setRange(0, job.steps if job.is_counted else 0)
        self._bar.setValue(job.step if job.is_counted else 0)
        self._cancel.setEnabled(job.can_be_cancelled)
        shows = job.preview is not None and self._studio.settings.live_in_docker
        self._preview.setVisible(shows)
        if shows:
            width = max(self.width(), _FIRST_WIDTH_PX)
            self._preview.setPixmap(pixmap(job.preview, QSize(width, _PREVIEW_HEIGHT_PX)))
