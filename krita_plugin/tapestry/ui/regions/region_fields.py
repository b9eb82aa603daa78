"""What can be set for one region besides its prompt; behind the small arrow of its row."""

from __future__ import annotations

import secrets

from tapestry_protocol.limits import MAX_GUIDANCE_SCALE, MAX_SEED

from ...docker_model import DockerModel
from ...document.layers import RegionLayer
from ...i18n.translation import tr
from ...qt.compat import QComboBox, QDoubleSpinBox, QGridLayout, QLabel, QWidget
from ..adapters.adapter_rows import AdapterRows
from ..base.field_behaviour import SPACING_PX, calm, column_in, narrow, row_of, show_value
from ..base.symbols import SymbolButton
from ..fields.number_fields import Number, NumberFields
from ..fields.prompt_edit import PromptEdit

_HEAVIEST = 4.0
_LIGHTEST = 0.1


class RegionFields(QWidget):
    """Outline, weight, strength, seed, guidance, and what to avoid."""

    def __init__(self, docker_model: DockerModel, row: RegionLayer) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._row = row
        self._fit = self._make_fit()
        self._numbers = NumberFields(_numbers(), self._read, self._write)
        self._seed = self._make_seed()
        self._seed_lock = _lock("tapestry_region_seed_lock", tr("A seed of its own"))
        self._seed_lock.toggled.connect(
            lambda own: self._set(own_seed=own, seed=int(self._seed.value()))
        )
        self._guidance = self._make_guidance()
        self._guidance_lock = _lock("tapestry_region_guidance_lock", tr("Guidance of its own"))
        self._guidance_lock.toggled.connect(
            lambda own: self._set(own_guidance=own, guidance_scale=self._guidance.value())
        )
        dice = SymbolButton("dice", "tapestry_region_dice", tr("Another seed for this region"))
        dice.clicked.connect(lambda _checked: self._roll())
        self._avoid = PromptEdit(docker_model, "tapestry_region_avoid", tr("as everywhere"))
        self._avoid.setToolTip(tr("What should not appear here; empty: what the picture avoids."))
        self._avoid.textEdited.connect(lambda text: self._set(negative_prompt=text))
        grid = QGridLayout()
        grid.setSpacing(SPACING_PX)
        grid.setColumnStretch(1, 1)
        grid.addWidget(QLabel(tr("Outline")), 0, 0)
        grid.addWidget(self._fit, 0, 1)
        grid.addWidget(QLabel(tr("Seed")), 1, 0)
        grid.addLayout(row_of((self._seed, 1), dice, self._seed_lock), 1, 1)
        grid.addWidget(QLabel(tr("Guidance")), 2, 0)
        grid.addLayout(row_of((self._guidance, 1), self._guidance_lock), 2, 1)
        grid.addWidget(QLabel(tr("Avoid")), 3, 0)
        grid.addWidget(self._avoid, 3, 1)
        column = column_in(self, self._numbers)
        column.insertLayout(0, grid)
        column.addWidget(AdapterRows(docker_model, row.id))
        column.setContentsMargins(26, 0, 0, 6)
        self.show_row(row)

    def show_row(self, row: RegionLayer) -> None:
        """Show what is set now."""
        self._row = row
        wanted, everywhere = row.settings, self._docker_model.settings
        self._fit.setCurrentIndex(self._fit.findData(wanted.fit))
        self._numbers.show_values()
        seed = wanted.seed if wanted.own_seed else everywhere.seed
        _show_own(self._seed, self._seed_lock, seed, is_own=wanted.own_seed)
        guidance = wanted.guidance_scale if wanted.own_guidance else everywhere.guidance_scale
        _show_own(self._guidance, self._guidance_lock, guidance, is_own=wanted.own_guidance)
        if not self._avoid.hasFocus() and self._avoid.text() != wanted.negative_prompt:
            self._avoid.setText(wanted.negative_prompt)

    def _make_fit(self) -> QComboBox:
        fit = QComboBox()
        fit.setObjectName("tapestry_region_fit")
        fit.addItem(tr("Tight: fills what is painted"), "tight")
        fit.addItem(tr("Loose: finds its own outline"), "loose")
        fit.setToolTip(
            tr(
                "Tight keeps what is shown to the painted area; loose takes the area as a rough "
                "hint of where it is."
            )
        )
        narrow(fit)
        calm(fit)
        fit.activated.connect(lambda index: self._set(fit=fit.itemData(index)))
        return fit

    def _make_seed(self) -> QDoubleSpinBox:
        seed = QDoubleSpinBox()  # a QSpinBox ends at 2**31
        seed.setObjectName("tapestry_region_seed")
        seed.setDecimals(0)
        seed.setRange(0, MAX_SEED)
        seed.setToolTip(
            tr("With a seed of its own a region keeps its look when the picture's seed changes.")
        )
        narrow(seed)
        calm(seed)
        seed.valueChanged.connect(lambda value: self._set(seed=int(value)))
        return seed

    def _make_guidance(self) -> QDoubleSpinBox:
        guidance = QDoubleSpinBox()
        guidance.setObjectName("tapestry_region_guidance")
        guidance.setDecimals(1)
        guidance.setRange(0, MAX_GUIDANCE_SCALE)
        guidance.setSingleStep(0.5)
        guidance.setKeyboardTracking(False)
        guidance.setToolTip(
            tr("How strictly this region follows its prompt; too much makes its colours glaring.")
        )
        narrow(guidance)
        calm(guidance)
        guidance.valueChanged.connect(lambda value: self._set(guidance_scale=value))
        return guidance

    def _roll(self) -> None:
        self._set(own_seed=True, seed=secrets.randbelow(MAX_SEED + 1))

    def _read(self, name: str) -> float:
        return getattr(self._row.settings, name.removeprefix("region_"))

    def _write(self, name: str, value: float) -> None:
        self._set(**{name.removeprefix("region_"): float(value)})

    def _set(self, **values: object) -> None:
        self._docker_model.regions.set(self._row.id, **values)


def _lock(name: str, tip: str) -> SymbolButton:
    lock = SymbolButton("unlocked", name, tip)
    lock.setCheckable(True)
    return lock


def _show_own(field: QDoubleSpinBox, lock: SymbolButton, value: float, *, is_own: bool) -> None:
    """Show the region's own value; or the picture's, which cannot be edited here."""
    show_value(field, value)
    show_value(lock, is_own)
    field.setEnabled(is_own)
    lock.show_symbol("locked" if is_own else "unlocked")


def _numbers() -> tuple[Number, ...]:
    return (
        Number(
            "region_weight",
            tr("Weight"),
            tr("How much this region has to say where it shares cells with others."),
            _LIGHTEST,
            _HEAVIEST,
            0.1,
            1,
        ),
        Number(
            "region_strength",
            tr("Strength"),
            tr(
                "At 1 the colours you painted with do not matter; with less the picture starts "
                "from them and keeps closer to them."
            ),
            0.0,
            1.0,
            0.05,
            2,
        ),
    )
