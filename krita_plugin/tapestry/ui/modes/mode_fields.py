"""What to do, from generating to upscaling: what each asks for, and its button."""

from __future__ import annotations

from tapestry_protocol.limits import MAX_FEATHER_PX

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import (
    QButtonGroup,
    QComboBox,
    QLabel,
    QPushButton,
    QSizePolicy,
    Qt,
    QToolButton,
    QWidget,
)
from ...settings.settings import LARGEST_CONTEXT_PX, Mode
from ..base.field_behaviour import calm, column_in, narrow, row_of
from ..base.follow import follow
from ..fields.harmonise_field import HarmoniseField
from ..fields.number_fields import Number, NumberFields
from ..fields.prompt_edit import PromptEdit
from .edit_fields import EditFields
from .extend_fields import ExtendFields, make_wrap
from .live_fields import LiveFields
from .teach_fields import TeachFields
from .upscale_fields import UpscaleFields

_BUTTON_HEIGHT_PX = 30
_BETWEEN_TABS_PX = 1
_RIM_PX = 4
"""Left and right of a word at least: a short one would touch its frame otherwise."""


class ModeTabs(QWidget):
    """Buttons beside each other, or in two lines in a narrow docker; one of them is down."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._group = QButtonGroup(self)
        self._tabs = {mode: self._make_tab(mode, *words) for mode, words in _modes().items()}
        self._lines = (row_of(), row_of())
        self._in_first_line = 0
        for line in self._lines:
            line.setSpacing(_BETWEEN_TABS_PX)
        column_in(self, *self._lines).setSpacing(_BETWEEN_TABS_PX)
        self._lay_out()
        follow(self, docker_model, ("settings",), self._show_mode)

    def resizeEvent(self, _event: object) -> None:  # noqa: N802  Qt's name
        """Another width may have room for other words beside each other."""
        self._lay_out()

    def _lay_out(self) -> None:
        """Each as wide as its word asks for, in any language: together they fill the docker."""
        tabs = list(self._tabs.values())
        wide = [tab.fontMetrics().horizontalAdvance(tab.text()) + 2 * _RIM_PX for tab in tabs]
        fits = sum(wide) + _BETWEEN_TABS_PX * (len(tabs) - 1) <= self.width()
        in_first_line = len(tabs) if fits else (len(tabs) + 1) // 2
        if in_first_line == self._in_first_line:
            return
        self._in_first_line = in_first_line
        for number, (tab, width) in enumerate(zip(tabs, wide, strict=True)):
            for line in self._lines:
                line.removeWidget(tab)
            self._lines[number >= in_first_line].addWidget(tab, width)

    def _make_tab(self, mode: Mode, title: str, tip: str) -> QToolButton:
        tab = QToolButton()
        tab.setObjectName(f"tapestry_mode_{mode}")
        tab.setText(title)
        tab.setToolTip(tip)
        tab.setCheckable(True)
        tab.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        tab.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._group.addButton(tab)
        tab.clicked.connect(lambda _checked: self._docker_model.change_and_tell(mode=mode))
        return tab

    def _show_mode(self) -> None:
        self._tabs[self._docker_model.settings.mode].setChecked(True)


class ModeFields(QWidget):
    """What the present mode asks for."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._pages: dict[Mode, QWidget] = {
            "generate": GenerateFields(docker_model),
            "extend": ExtendFields(docker_model),
            "refine": SelectionFields(docker_model, "refine"),
            "fill": SelectionFields(docker_model, "fill"),
            "edit": EditFields(docker_model),
            "upscale": UpscaleFields(docker_model),
            "teach": TeachFields(docker_model),
        }
        column_in(self, *self._pages.values())
        follow(self, docker_model, ("settings",), self._show_mode)

    def _show_mode(self) -> None:
        for mode, page in self._pages.items():
            page.setVisible(mode == self._docker_model.settings.mode)


class GenerateFields(QWidget):
    """The whole canvas, or what is selected; and whether it goes all around."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._where = QComboBox()
        self._where.setObjectName("tapestry_where")
        self._where.addItem(tr("The whole canvas"), False)  # noqa: FBT003  Qt's signature
        self._where.addItem(tr("Only what is selected"), True)  # noqa: FBT003  Qt's signature
        self._where.setToolTip(tr("Where to paint; the rest of the picture stays as it is"))
        narrow(self._where)
        calm(self._where)
        self._where.activated.connect(
            lambda index: docker_model.change(only_selection=self._where.itemData(index))
        )
        column_in(self, row_of((self._where, 1)), make_wrap(docker_model), LiveFields(docker_model))
        follow(self, docker_model, ("settings",), self._show_settings)

    def _show_settings(self) -> None:
        self._where.setCurrentIndex(int(self._docker_model.settings.only_selection))


class SelectionFields(QWidget):
    """How what is selected is painted anew."""

    def __init__(self, docker_model: DockerModel, mode: Mode) -> None:
        super().__init__()
        self._docker_model = docker_model
        numbers = _of_a_selection()
        chosen = numbers if mode == "refine" else numbers[1:]
        self._numbers = NumberFields(
            chosen,
            lambda name: getattr(docker_model.settings, name),
            lambda name, value: docker_model.change_and_tell(**{name: value}),
        )
        self._prompt = PromptEdit(
            docker_model, "tapestry_selection_prompt", tr("as the regions say")
        )
        self._prompt.setToolTip(
            tr("What the selection shows; empty: what the regions and the background say.")
        )
        self._prompt.textEdited.connect(
            lambda text: docker_model.change_and_tell(selection_prompt=text)
        )
        title = QLabel(tr("What"))
        title.setBuddy(self._prompt)
        column = column_in(self, row_of(title, (self._prompt, 1)), self._numbers)
        if mode == "fill":
            column.addWidget(HarmoniseField(docker_model, mode))
        follow(self, docker_model, ("settings",), self._show_settings)

    def _show_settings(self) -> None:
        self._numbers.show_values()
        text = self._docker_model.settings.selection_prompt
        if self._prompt.text() != text:
            self._prompt.setText(text)


class RunButton(QWidget):
    """The large button of the present mode; every press is one more picture in the queue."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._buttons = {mode: self._make_button(mode, *words) for mode, words in _modes().items()}
        column_in(self, *self._buttons.values())
        follow(self, docker_model, ("settings",), self._show)

    def _make_button(self, mode: Mode, title: str, tip: str) -> QPushButton:
        button = QPushButton(title)
        button.setObjectName(f"tapestry_{mode}")
        button.setToolTip(tip)
        button.setMinimumHeight(_BUTTON_HEIGHT_PX)
        button.clicked.connect(lambda _checked: getattr(self._docker_model, mode)())
        return button

    def _show(self) -> None:
        for mode, button in self._buttons.items():
            button.setVisible(mode == self._docker_model.settings.mode)


def _modes() -> dict[Mode, tuple[str, str]]:
    return {
        "generate": (
            tr("Generate"),
            tr("Paint the whole canvas, or what is selected, as a new layer"),
        ),
        "extend": (tr("Extend"), tr("Make the canvas larger and paint on there")),
        "refine": (tr("Refine"), tr("Paint over what is selected, starting from what is there")),
        "fill": (tr("Fill"), tr("Paint something new into what is selected")),
        "edit": (tr("Edit"), tr("Change what the picture shows, by words")),
        "upscale": (tr("Upscale"), tr("Make the picture larger, and paint finer details into it")),
        "teach": (tr("Teach"), tr("Teach the model a word from what is painted on layers")),
    }


def _of_a_selection() -> tuple[Number, ...]:
    return (
        Number(
            "strength",
            tr("Strength"),
            tr("How far the new picture may go away from what is there: little, or all the way."),
            0.05,
            1.0,
            0.05,
            2,
        ),
        Number(
            "feather_px",
            tr("Feather"),
            tr("Softens the edge of the selection by this much, so that new and old run together."),
            0,
            MAX_FEATHER_PX,
            slides_to=128,
            unit=" px",
        ),
        Number(
            "context_px",
            tr("Context"),
            tr(
                "How much of the picture around the selection is looked at: more fits better to "
                "its surroundings, less is quicker."
            ),
            0,
            LARGEST_CONTEXT_PX,
            16,
            slides_to=1024,
            unit=" px",
        ),
    )
