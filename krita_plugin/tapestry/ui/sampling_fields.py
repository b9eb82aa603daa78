"""The fields for seed, steps and guidance."""

from __future__ import annotations

from tapestry_protocol.limits import MAX_GUIDANCE_SCALE, MAX_SEED, MAX_STEPS

from ..qt import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPalette,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from ..studio import Studio
from .follow import follow
from .pictures import dice_icon

_NARROWEST_PX = 56


class SamplingFields(QWidget):
    """Seed with its die, steps, guidance."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self._studio = studio
        self._seed = self._make_seed()
        first, second = QHBoxLayout(), QHBoxLayout()
        for label, field, row in (
            ("Seed", self._seed, first),
            ("Steps", self._make_steps(), second),
            ("Guidance", self._make_guidance(), second),
        ):
            # A spin box asks for more width than a docker has.
            field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            field.setMinimumWidth(_NARROWEST_PX)
            row.addWidget(QLabel(label))
            row.addWidget(field, 1)
        first.addWidget(self._make_dice())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for row in (first, second):
            row.setSpacing(4)
            column.addLayout(row)
        follow(self, studio, ("settings",), self._show_seed)

    def _make_seed(self) -> QDoubleSpinBox:
        seed = QDoubleSpinBox()  # a QSpinBox ends at 2**31
        seed.setObjectName("tapestry_seed")
        seed.setDecimals(0)
        seed.setRange(0, MAX_SEED)
        seed.setToolTip("The same seed gives the same picture")
        seed.valueChanged.connect(lambda value: self._studio.change(seed=int(value)))
        return seed

    def _make_dice(self) -> QToolButton:
        dice = QToolButton()
        dice.setObjectName("tapestry_dice")
        dice.setIcon(dice_icon(self.palette().color(QPalette.ColorRole.ButtonText)))
        dice.setToolTip("Another seed, another picture")
        dice.clicked.connect(lambda _checked: self._studio.roll_dice())
        return dice

    def _make_steps(self) -> QSpinBox:
        steps = QSpinBox()
        steps.setObjectName("tapestry_steps")
        steps.setRange(1, MAX_STEPS)
        steps.setValue(self._studio.settings.num_inference_steps)
        steps.setToolTip("More steps take longer and are more careful")
        steps.valueChanged.connect(lambda value: self._studio.change(num_inference_steps=value))
        return steps

    def _make_guidance(self) -> QDoubleSpinBox:
        guidance = QDoubleSpinBox()
        guidance.setObjectName("tapestry_guidance")
        guidance.setRange(0.0, MAX_GUIDANCE_SCALE)
        guidance.setDecimals(1)
        guidance.setSingleStep(0.5)
        guidance.setValue(self._studio.settings.guidance_scale)
        guidance.setToolTip("How strictly the prompts are followed")
        guidance.valueChanged.connect(lambda value: self._studio.change(guidance_scale=value))
        return guidance

    def _show_seed(self) -> None:
        self._seed.setValue(self._studio.settings.seed)
