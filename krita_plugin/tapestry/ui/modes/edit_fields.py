"""What shall change: words for what is there and for what it becomes, how, and where."""

from __future__ import annotations

from collections.abc import Sequence

from tapestry_protocol.fields import EditMethod
from tapestry_protocol.messages import EDIT_STRENGTHS

from ...docker_model import DockerModel
from ...document.editing import rows_called
from ...i18n.translation import tr
from ...qt.compat import QComboBox, QGridLayout, QLabel, QWidget
from ...settings.settings import EDIT_METHODS
from ..base.field_behaviour import SPACING_PX, FoldedSection, calm, column_in, narrow, row_of
from ..base.follow import follow
from ..fields.number_fields import Number, NumberFields
from ..fields.prompt_edit import PromptEdit
from .edit_place import EditPlace


class EditFields(QWidget):
    """Two lines, a method, its numbers, and the place."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._lines = {
            "edit_from": self._make_line(
                "edit_from",
                tr("what is there"),
                tr("What the picture shows now, where it shall change: snow."),
            ),
            "edit_to": self._make_line(
                "edit_to", tr("what it becomes"), tr("What it shall show instead: lava.")
            ),
        }
        words = QGridLayout()
        words.setContentsMargins(0, 0, 0, 0)
        words.setSpacing(SPACING_PX)
        words.setColumnStretch(1, 1)
        for row, (title, line) in enumerate(
            zip((tr("Now"), tr("Then")), self._lines.values(), strict=True)
        ):
            label = QLabel(title)
            label.setBuddy(line)
            words.addWidget(label, row, 0)
            words.addWidget(line, row, 1)
        lines = QWidget()
        lines.setLayout(words)
        self._method = self._make_method()
        self._strength = self._make_numbers((_strength(),))
        self._shapes = FoldedSection(
            tr("Shapes"),
            "tapestry_edit_shapes",
            self._make_numbers(_shapes()),
            tip=tr("How long the shapes of the picture are kept"),
        )
        self._where = QLabel()
        self._where.setObjectName("tapestry_edit_where")
        self._where.setWordWrap(True)
        column_in(
            self,
            lines,
            row_of((self._method, 1)),
            self._strength,
            self._shapes,
            self._where,
            EditPlace(docker_model),
        )
        follow(self, docker_model, ("settings", "scene"), self._show_settings)

    def _make_line(self, field: str, placeholder: str, tip: str) -> PromptEdit:
        line = PromptEdit(self._docker_model, f"tapestry_{field}", placeholder)
        line.setToolTip(tip)
        line.textEdited.connect(lambda text: self._docker_model.change_and_tell(**{field: text}))
        return line

    def _make_method(self) -> QComboBox:
        method = QComboBox()
        method.setObjectName("tapestry_edit_method")
        words = _methods()
        for name in EDIT_METHODS:
            method.addItem(words[name], name)
        method.setToolTip(
            tr(
                "The first paints the place anew and leaves the rest to the pixel. The second "
                "keeps its outlines. The third makes another picture of the whole, with its "
                "composition."
            )
        )
        narrow(method)
        calm(method)
        method.activated.connect(lambda index: self._choose(method.itemData(index)))
        return method

    def _choose(self, method: EditMethod) -> None:
        """Each method goes as far back as is best for it."""
        if method != self._docker_model.settings.edit_method:
            self._docker_model.change_and_tell(
                edit_method=method, edit_strength=EDIT_STRENGTHS[method]
            )

    def _make_numbers(self, numbers: Sequence[Number]) -> NumberFields:
        return NumberFields(
            numbers,
            lambda name: getattr(self._docker_model.settings, name),
            lambda name, value: self._docker_model.change_and_tell(**{name: value}),
        )

    def _show_settings(self) -> None:
        settings = self._docker_model.settings
        for field, line in self._lines.items():
            if line.text() != getattr(settings, field):
                line.setText(getattr(settings, field))
        self._method.setCurrentIndex(self._method.findData(settings.edit_method))
        for numbers in self.findChildren(NumberFields):
            numbers.show_values()
        self._shapes.setVisible(settings.edit_method == "p2p")
        self._where.setText(self._where_it_changes())

    def _where_it_changes(self) -> str:
        settings = self._docker_model.settings
        words = settings.edit_from.strip()
        if rows_called(self._docker_model.scene_watch.scene, words):
            return tr("The layer \u201c{name}\u201d says where.").format(name=words)
        if settings.edit_method == "ddib":
            return tr("All of the picture changes, or what is selected.")
        return tr("What is selected changes; without a selection the words find the place.")


def _methods() -> dict[EditMethod, str]:
    return {
        "diffedit": tr("Find the place, paint it anew"),
        "p2p": tr("Keep the shapes"),
        "ddib": tr("Turn the whole picture"),
    }


def _strength() -> Number:
    return Number(
        "edit_strength",
        tr("Strength"),
        tr("How far the picture is taken back to noise before it is painted with other words."),
        0.05,
        1.0,
        0.05,
        2,
    )


def _shapes() -> tuple[Number, ...]:
    return (
        Number(
            "edit_cross_attention",
            tr("Of words"),
            tr("For how much of the way what a word named keeps its outline."),
            0.0,
            1.0,
            0.05,
            2,
        ),
        Number(
            "edit_self_attention",
            tr("Of parts"),
            tr("For how much of the way parts that look alike stay alike: the layout stays."),
            0.0,
            1.0,
            0.05,
            2,
        ),
    )
