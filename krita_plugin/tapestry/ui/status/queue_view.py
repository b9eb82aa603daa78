"""The pictures behind the first one, each with a button to take it out."""

from __future__ import annotations

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...jobs.job import Job
from ...qt.compat import QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget
from ..base.elided_label import ElidedLabel
from ..base.follow import follow

_MOST_ROWS = 4
"""Those behind are counted."""


_LEAST_ROW_PX = 22


class QueueView(QWidget):
    """Visible while more than one picture is on its way."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self.setObjectName("tapestry_queue")
        self._docker_model = docker_model
        self._shown: list[str] = []
        self._rows: list[QWidget] = []
        self._names: list[ElidedLabel] = []
        self._most = _MOST_ROWS
        self._column = QVBoxLayout()
        self._column.setSpacing(0)
        self._more = QLabel()
        self._more.setObjectName("tapestry_queue_more")
        stop = QPushButton(tr("Cancel all"))
        stop.setObjectName("tapestry_cancel_all")
        stop.setToolTip(tr("Stop the picture that is being painted and all that wait"))
        stop.clicked.connect(lambda _checked: docker_model.cancel_all())
        foot = QHBoxLayout()
        foot.addWidget(self._more, 1)
        foot.addWidget(stop)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(2)
        whole.addLayout(self._column)
        whole.addLayout(foot)
        follow(self, docker_model, ("job",), self._show_jobs)

    @property
    def rows_px(self) -> int:
        """The height of those that are listed."""
        return sum(row.sizeHint().height() for row in self._rows)

    def give_room(self, most_px: int) -> int:
        """List as many as there is room for; what is taken of it."""
        row_px = self._row_px()
        most = max(0, min(_MOST_ROWS, most_px // row_px))
        if most != self._most:
            self._most = most
            self._show_jobs()
        return min(most, max(0, len(self._docker_model.queue.jobs) - 1)) * row_px

    def _row_px(self) -> int:
        """The row of one job."""
        return max([_LEAST_ROW_PX, *(row.sizeHint().height() for row in self._rows)])

    def _show_jobs(self) -> None:
        behind = self._docker_model.queue.jobs[1:]
        self.setVisible(bool(behind))
        first = behind[: self._most]
        shown = [job.id for job in first]
        more = len(behind) - len(first)
        self._more.setText(tr("and {count} more").format(count=more) if more else "")
        if shown != self._shown:
            self._shown = shown
            self._make_rows(first)
        for name, job in zip(self._names, first, strict=True):
            name.say(f"{job.sentence}: {job.title}" if job.is_counted else job.title)

    def _make_rows(self, jobs: list[Job]) -> None:
        for row in self._rows:
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        self._names = [ElidedLabel(job.title) for job in jobs]
        self._rows = [self._row(*pair) for pair in zip(jobs, self._names, strict=True)]
        for row in self._rows:
            self._column.addWidget(row)

    def _row(self, job: Job, name: ElidedLabel) -> QWidget:
        row = QWidget()
        name.setObjectName("tapestry_queued")
        stop = QToolButton()
        stop.setObjectName("tapestry_queued_cancel")
        stop.setText("\u00d7")
        stop.setAutoRaise(True)
        stop.setToolTip(tr("Take this picture out of the queue"))
        stop.clicked.connect(lambda _checked: self._docker_model.cancel(job))
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(name, 1)
        line.addWidget(stop)
        return row
