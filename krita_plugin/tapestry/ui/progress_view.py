"""How far the picture is, how it looks so far, and the button that stops it."""

from __future__ import annotations

from ..job import Phase
from ..qt import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSize, Qt, QVBoxLayout, QWidget
from ..studio import Studio
from .follow import follow
from .pictures import pixmap

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
        self._cancel = QPushButton("Cancel")
        self._cancel.setObjectName("tapestry_cancel")
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
        follow(self, studio, ("job",), self._show_job)

    def _show_job(self) -> None:
        job = self._studio.job
        self.setVisible(job is not None)
        if job is None:
            self._preview.clear()
            return
        self._bar.setFormat(job.sentence)
        # A range of nothing is Qt's sign for "busy, nobody knows how long".
        self._bar.setRange(0, job.steps if job.is_counted else 0)
        self._bar.setValue(job.step if job.is_counted else 0)
        self._cancel.setEnabled(job.phase not in (Phase.CANCELLING, Phase.INSERTING))
        self._preview.setVisible(job.preview is not None)
        if job.preview is not None:
            width = max(self.width(), _FIRST_WIDTH_PX)
            self._preview.setPixmap(pixmap(job.preview, QSize(width, _PREVIEW_HEIGHT_PX)))
