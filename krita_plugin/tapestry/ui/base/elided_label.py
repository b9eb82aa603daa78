"""One line of text that is cut where there is no room."""

from __future__ import annotations

from ...qt.compat import QLabel, QSizePolicy, Qt


class ElidedLabel(QLabel):
    """One line, cut with an ellipsis where the docker is narrow; the whole is its tooltip."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._whole = ""
        self.say(text)

    def say(self, text: str) -> None:
        """Show another text."""
        if text != self._whole:
            self._whole = text
            self.setToolTip(text)
            self._cut()

    def resizeEvent(self, _event: object) -> None:  # noqa: N802  Qt's name
        """Cut the text to the new width."""
        self._cut()

    def _cut(self) -> None:
        elide = Qt.TextElideMode.ElideRight
        self.setText(self.fontMetrics().elidedText(self._whole, elide, self.width()))
