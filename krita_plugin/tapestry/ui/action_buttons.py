"""The buttons Generate and Extend, and how far to extend."""

from __future__ import annotations

from ..qt import QComboBox, QGridLayout, QPushButton, QSizePolicy, QSpinBox, QWidget
from ..settings import LARGEST_EXTENSION_PX, SIDES, SMALLEST_EXTENSION_PX
from ..studio import Studio

_STEP_PX = 64
_GENERATE_HEIGHT_PX = 30
_NARROWEST_PX = 72


class ActionButtons(QWidget):
    """What the artist presses; every press is one more picture in the queue."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self._studio = studio
        self._generate = QPushButton("Generate")
        self._generate.setObjectName("tapestry_generate")
        self._generate.setMinimumHeight(_GENERATE_HEIGHT_PX)
        self._generate.setToolTip("Paint the whole canvas as a new layer")
        self._generate.clicked.connect(lambda _checked: studio.generate())
        self._extend = QPushButton("Extend")
        self._extend.setObjectName("tapestry_extend")
        self._extend.setToolTip("Make the canvas larger and paint on there")
        self._extend.clicked.connect(lambda _checked: studio.extend())
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.addWidget(self._generate, 0, 0, 1, 3)
        grid.addWidget(self._extend, 1, 0)
        grid.addWidget(self._make_side(), 1, 1)
        grid.addWidget(self._make_distance(), 1, 2)
        for column in range(3):
            grid.setColumnStretch(column, 1)

    def _make_side(self) -> QComboBox:
        side = QComboBox()
        side.setObjectName("tapestry_extend_side")
        side.addItems(list(SIDES))
        side.setCurrentText(self._studio.settings.extend_side)
        side.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        side.setMinimumWidth(_NARROWEST_PX)
        side.setToolTip("Where the canvas grows")
        side.currentTextChanged.connect(lambda text: self._studio.change(extend_side=text))
        return side

    def _make_distance(self) -> QSpinBox:
        distance = QSpinBox()
        distance.setObjectName("tapestry_extend_px")
        distance.setRange(SMALLEST_EXTENSION_PX, LARGEST_EXTENSION_PX)
        distance.setSingleStep(_STEP_PX)
        distance.setSuffix(" px")
        distance.setValue(self._studio.settings.extend_px)
        distance.setToolTip("How far the canvas grows on each of these sides")
        distance.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        distance.setMinimumWidth(_NARROWEST_PX)
        distance.valueChanged.connect(lambda value: self._studio.change(extend_px=value))
        return distance
