"""The fields for what is everywhere else, and for what must not appear."""

from __future__ import annotations

from ..qt import QFormLayout, QLineEdit, QWidget
from ..studio import Studio


class PromptFields(QWidget):
    """Background prompt and negative prompt."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        prompt = QLineEdit(studio.settings.prompt)
        prompt.setObjectName("tapestry_prompt")
        prompt.setPlaceholderText("everywhere else")
        prompt.textChanged.connect(lambda text: studio.change(prompt=text))
        negative = QLineEdit(studio.settings.negative_prompt)
        negative.setObjectName("tapestry_negative_prompt")
        negative.setPlaceholderText("what should not appear")
        negative.textChanged.connect(lambda text: studio.change(negative_prompt=text))
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(4)
        form.addRow("Background", prompt)
        form.addRow("Avoid", negative)
