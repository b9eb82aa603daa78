"""How far each side of the canvas is extended: by dragging, by numbers, or by name."""

from __future__ import annotations

from tapestry_protocol.limits import MAX_UNDER_PX

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import QCheckBox, QGridLayout, QLabel, QMenu, QPushButton, QSpinBox, Qt, QWidget
from ...settings.extension_presets import GRID_PX, ExtensionPreset, preset_margins
from ...settings.settings import LARGEST_EXTENSION_PX, SIDES
from ..base.field_behaviour import SPACING_PX, calm, column_in, narrow, row_of, show_value
from ..base.follow import follow
from ..fields.harmonise_field import HarmoniseField
from ..fields.number_fields import Number, NumberFields
from .extend_picture import ExtendPicture


class ExtendFields(QWidget):
    """The picture with its arrows, a number on each side, presets, and wrapping around."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._spins = {side: self._make_spin(side) for side in SIDES}
        self._size = QLabel()
        self._size.setObjectName("tapestry_new_size")
        self._wrap = make_wrap(docker_model)
        self._continue = _make_continue(docker_model)
        self._under = NumberFields(_under(), self._read, self._write)
        numbers = QGridLayout()
        numbers.setSpacing(SPACING_PX)
        for place, side in enumerate(("left", "right", "top", "bottom")):
            line, column = divmod(place, 2)
            label = QLabel(_titles()[side])
            label.setBuddy(self._spins[side])
            numbers.addWidget(label, line, 2 * column)
            numbers.addWidget(self._spins[side], line, 2 * column + 1)
            numbers.setColumnStretch(2 * column + 1, 1)
        column = column_in(self, ExtendPicture(docker_model))
        column.addLayout(row_of((self._size, 1), self._make_presets()))
        column.addLayout(numbers)
        column.addWidget(_make_suggest(docker_model))
        column.addWidget(self._continue)
        column.addWidget(self._wrap)
        column.addWidget(self._under)
        column.addWidget(HarmoniseField(docker_model, "extend"))
        follow(self, docker_model, ("settings", "scene"), self._show_settings)

    def _make_spin(self, side: str) -> QSpinBox:
        spin = QSpinBox()
        spin.setObjectName(f"tapestry_extend_{side}")
        spin.setRange(0, LARGEST_EXTENSION_PX)
        spin.setSingleStep(GRID_PX * 8)
        spin.setSuffix(" px")
        narrow(spin)
        tip = {
            "top": tr("How far the canvas grows at the top"),
            "left": tr("How far the canvas grows to the left"),
            "bottom": tr("How far the canvas grows at the bottom"),
            "right": tr("How far the canvas grows to the right"),
        }[side]
        spin.setToolTip(tip)
        spin.setAccessibleName(tip)
        calm(spin)
        spin.valueChanged.connect(
            lambda value: self._docker_model.change_and_tell(**{f"extend_{side}": value})
        )
        return spin

    def _make_presets(self) -> QPushButton:
        button = QPushButton()
        button.setObjectName("tapestry_extend_presets")
        button.setText(tr("By how much"))
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setToolTip(tr("Sets the sides that grow now; the right one if there is none"))
        menu = QMenu(button)
        for preset, text in (
            ("half", tr("Half a screen more")),
            ("double", tr("Double")),
            ("around", tr("To 360 degrees")),
        ):
            action = menu.addAction(text)
            action.setObjectName(f"tapestry_extend_{preset}")
            action.triggered.connect(lambda _checked, p=preset: self._extend(p))
        action = menu.addAction(tr("Nothing"))
        action.setObjectName("tapestry_extend_nothing")
        action.triggered.connect(
            lambda _checked: self._docker_model.change_and_tell(
                **{f"extend_{side}": 0 for side in SIDES}, wrap=False
            )
        )
        button.setMenu(menu)
        return button

    def _extend(self, preset: ExtensionPreset) -> None:
        height, width = self._docker_model.scene_watch.size
        if not height or not width:
            return
        margins = preset_margins(preset, height, width, self._docker_model.settings.margins)
        values = {f"extend_{side}": getattr(margins, side) for side in SIDES}
        if preset == "around":
            values["wrap"] = True
        self._docker_model.change_and_tell(**values)

    def _show_settings(self) -> None:
        settings = self._docker_model.settings
        for side, spin in self._spins.items():
            show_value(spin, getattr(settings, f"extend_{side}"))
        self._under.show_values()
        height, width = self._docker_model.scene_watch.size
        margins = settings.margins
        self._size.setText(
            f"{width + margins.left + margins.right} \u00d7 "
            f"{height + margins.top + margins.bottom} px"
            if height
            else ""
        )

    def _read(self, name: str) -> float:
        return getattr(self._docker_model.settings, name)

    def _write(self, name: str, value: float) -> None:
        self._docker_model.change(**{name: value})


def make_wrap(docker_model: DockerModel) -> QCheckBox:
    """The choice that the left and right edge continue each other."""
    wrap = QCheckBox(tr("360\u00b0: the edges meet"))
    wrap.setObjectName("tapestry_wrap")
    wrap.setToolTip(
        tr("The picture goes on from its right edge to its left one, for a panorama all around.")
    )
    wrap.toggled.connect(lambda on: docker_model.change_and_tell(wrap=on))
    follow(wrap, docker_model, ("settings",), lambda: show_value(wrap, docker_model.settings.wrap))
    return wrap


def _make_suggest(docker_model: DockerModel) -> QPushButton:
    """Asks for a prompt of what lies beyond the edges."""
    button = QPushButton(tr("Suggest a prompt"))
    button.setObjectName("tapestry_suggest_prompt")
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    button.setToolTip(
        tr(
            "Looks at the edges that grow, and writes what the picture shows there as the "
            "background's prompt: for a picture without regions."
        )
    )
    button.clicked.connect(lambda _checked: docker_model.suggest_prompt())
    narrow(button)
    return button


def _make_continue(docker_model: DockerModel) -> QCheckBox:
    """The choice that regions go on beyond the edge."""
    box = QCheckBox(tr("Regions go on"))
    box.setObjectName("tapestry_continue")
    box.setToolTip(
        tr(
            "Each region that touches a growing edge goes on beyond it, as the picture above "
            "shows. Paint beyond the edge overrules."
        )
    )
    box.toggled.connect(lambda on: docker_model.change_and_tell(continue_regions=on))
    follow(
        box,
        docker_model,
        ("settings",),
        lambda: show_value(box, docker_model.settings.continue_regions),
    )
    return box


def _titles() -> dict[str, str]:
    return {"left": tr("Left"), "right": tr("Right"), "top": tr("Top"), "bottom": tr("Bottom")}


def _under() -> tuple[Number, ...]:
    return (
        Number(
            "under_px",
            tr("Underneath"),
            tr(
                "How far the new part goes on underneath the old picture: for pictures whose edge "
                "is soft or transparent."
            ),
            0,
            MAX_UNDER_PX,
            8,
            slides_to=256,
            unit=" px",
        ),
    )
