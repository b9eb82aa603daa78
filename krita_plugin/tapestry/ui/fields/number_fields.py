"""Numbers below each other: a label, a slider and a spin box for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...qt.compat import QDoubleSpinBox, QGridLayout, QLabel, QSlider, Qt, QWidget
from ..base.field_behaviour import SPACING_PX, calm, show_value

_SPIN_PX = 74
_SLIDER_PX = 40


@dataclass(frozen=True)
class Number:
    """A number that can be set.

    name      of the field that it sets; the widgets are called `tapestry_NAME` (the spin box) and
              `tapestry_NAME_slider`
    tip       what it does to the picture
    slides_to   as far as the slider goes; the spin box goes to `most`
    """

    name: str
    label: str
    tip: str
    least: float
    most: float
    step: float = 1
    decimals: int = 0
    slides_to: float = 0
    unit: str = ""

    @property
    def slots(self) -> int:
        """Places of the slider."""
        return round(((self.slides_to or self.most) - self.least) / self.step)


class NumberFields(QWidget):
    """The numbers, shown as `read` gives them and set by `write`."""

    def __init__(
        self,
        numbers: Sequence[Number],
        read: Callable[[str], float],
        write: Callable[[str, float], None],
    ) -> None:
        super().__init__()
        self._read, self._write = read, write
        self._fields: list[tuple[Number, QDoubleSpinBox, QSlider]] = []
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(SPACING_PX)
        grid.setColumnStretch(1, 1)
        for line, number in enumerate(numbers):
            spin, slider = _make_spin(number), _make_slider(number)
            label = QLabel(number.label)
            label.setToolTip(number.tip)
            label.setBuddy(spin)
            grid.addWidget(label, line, 0)
            grid.addWidget(slider, line, 1)
            grid.addWidget(spin, line, 2)
            self._fields.append((number, spin, slider))
            spin.valueChanged.connect(lambda value, n=number, s=slider: self._typed(n, s, value))
            slider.valueChanged.connect(lambda slot, n=number, s=spin: self._slid(n, s, slot))
        self.show_values()

    def show_values(self) -> None:
        """Show what the fields are now."""
        for number, spin, slider in self._fields:
            value = self._read(number.name)
            show_value(spin, value)
            show_value(slider, round((value - number.least) / number.step))

    def _typed(self, number: Number, slider: QSlider, value: float) -> None:
        show_value(slider, round((value - number.least) / number.step))
        self._write(number.name, value if number.decimals else int(value))

    def _slid(self, number: Number, spin: QDoubleSpinBox, slot: int) -> None:
        spin.setValue(number.least + slot * number.step)


def _make_spin(number: Number) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setObjectName(f"tapestry_{number.name}")
    spin.setDecimals(number.decimals)
    spin.setRange(number.least, number.most)
    spin.setSingleStep(number.step)
    spin.setSuffix(number.unit)
    spin.setToolTip(number.tip)
    spin.setAccessibleName(number.label)
    spin.setKeyboardTracking(False)
    spin.setFixedWidth(_SPIN_PX)
    calm(spin)
    return spin


def _make_slider(number: Number) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setObjectName(f"tapestry_{number.name}_slider")
    slider.setRange(0, number.slots)
    slider.setPageStep(max(1, number.slots // 10))
    slider.setToolTip(number.tip)
    slider.setAccessibleName(number.label)
    slider.setMinimumWidth(_SLIDER_PX)
    calm(slider)
    return slider
