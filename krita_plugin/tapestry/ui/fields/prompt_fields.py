"""The fields for what is everywhere else, for how all of it looks, and for what must not appear."""

from __future__ import annotations

from ...docker_model import DockerModel
from ...document.editing import places_in
from ...i18n.translation import tr
from ...qt.compat import QGridLayout, QLabel, QWidget
from ..base.field_behaviour import SPACING_PX
from ..base.follow import follow
from .prompt_edit import PromptEdit


class PromptFields(QWidget):
    """Background prompt, style, and negative prompt."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._edits: dict[str, PromptEdit] = {}
        self._titles: dict[str, QLabel] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(SPACING_PX)
        for line, (name, label, placeholder, tip) in enumerate(_lines()):
            edit = PromptEdit(docker_model, f"tapestry_{name}", placeholder)
            edit.setToolTip(tip)
            edit.setAccessibleName(label)
            # Also what a program writes counts, not only what is typed.
            edit.textChanged.connect(lambda text, n=name: docker_model.change(**{n: text}))
            title = QLabel(label)
            title.setBuddy(edit)
            grid.addWidget(title, line, 0)
            grid.addWidget(edit, line, 1)
            self._edits[name], self._titles[name] = edit, title
        follow(self, docker_model, ("settings", "scene"), self._show_settings)

    def _show_settings(self) -> None:
        for name, edit in self._edits.items():
            text = getattr(self._docker_model.settings, name)
            if edit.text() != text:
                edit.setText(text)
        for widget in (self._edits["prompt"], self._titles["prompt"]):
            widget.setVisible(self._background_counts())

    def _background_counts(self) -> bool:
        """Whether anything is painted by the background's words."""
        settings, scene = self._docker_model.settings, self._docker_model.scene_watch.scene
        if settings.mode != "edit":
            return True
        return settings.edit_method != "instruct" and bool(places_in(scene, settings))


def _lines() -> tuple[tuple[str, str, str, str], ...]:
    """Field of the settings, label, what an empty line shows, and what it does to the picture."""
    return (
        (
            "prompt",
            tr("Background"),
            tr("everywhere else"),
            tr(
                "What is painted where no region is. Write (word:1.3) to give a word more to "
                "say, (word:0.7) for less."
            ),
        ),
        (
            "style",
            tr("Style"),
            tr("for all of them"),
            tr("Is added to every prompt, so that all regions look as if of one hand."),
        ),
        (
            "negative_prompt",
            tr("Avoid"),
            tr("what should not appear"),
            tr("The picture is steered away from this."),
        ),
    )
