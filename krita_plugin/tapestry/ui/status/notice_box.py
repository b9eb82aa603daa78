"""The notice: a sentence, what to do next, and a button to put it away."""

from __future__ import annotations

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import QFrame, QHBoxLayout, Qt, QToolButton, QVBoxLayout
from ..base.field_behaviour import words_of_others
from ..base.follow import follow


class NoticeBox(QFrame):
    """Visible while there is something to tell."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self.setObjectName("tapestry_notice")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._message = words_of_others("tapestry_message")
        self._advice = words_of_others("tapestry_advice")
        close = QToolButton()
        close.setObjectName("tapestry_dismiss")
        close.setText("\u00d7")
        close.setAutoRaise(True)
        close.setToolTip(tr("Put this away"))
        close.clicked.connect(lambda _checked: docker_model.dismiss_notice())
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._message)
        words.addWidget(self._advice)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 4, 4, 4)
        row.addLayout(words, 1)
        row.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        follow(self, docker_model, ("notice",), self._show_notice)

    def _show_notice(self) -> None:
        notice = self._docker_model.notice
        self.setVisible(notice is not None)
        font = self._message.font()
        font.setBold(bool(notice and notice.is_error))
        self._message.setFont(font)
        self._message.setText(notice.message if notice else "")
        self._advice.setText(notice.advice if notice else "")
        self._advice.setVisible(bool(notice and notice.advice))
