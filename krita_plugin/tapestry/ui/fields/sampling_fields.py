"""The fields for how the picture is painted: seed, number, preset, steps, and what is rarer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tapestry_protocol.limits import MAX_FEATHER_PX, MAX_GUIDANCE_SCALE, MAX_SEED, MAX_STEPS

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import QComboBox, QDoubleSpinBox, QLabel, QSpinBox, QWidget
from ...settings.settings import MOST_PICTURES, SCHEDULERS, SPEEDS
from ..base.field_behaviour import FoldedSection, calm, column_in, narrow, row_of, show_value
from ..base.follow import follow
from ..base.symbols import SymbolButton
from .number_fields import Number, NumberFields
from .preset_field import PresetField


class SamplingFields(QWidget):
    """Preset, seed with its die and lock, number of pictures, steps, guidance, and the rest."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._seed = self._make_seed()
        self._lock = self._make_lock()
        self._batch = self._make_batch()
        dice = SymbolButton("dice", "tapestry_dice", tr("Another seed, another picture"))
        dice.clicked.connect(lambda _checked: docker_model.roll_dice())
        self._numbers = NumberFields(_common(), self._read, self._write)
        self._step_cache = NumberFields(_step_cache(), self._read, self._write)
        self._rare = NumberFields(_rare(), self._read, self._write)
        self._speed = self._make_choice("speed", SPEEDS, _speeds())
        self._speed.setToolTip(
            tr(
                "Quality leaves nothing out. Balanced takes fewer windows, and guidance in every "
                "second step only: a large picture is done sooner and has a little less fine "
                "detail. Fast leaves out more."
            )
        )
        self._scheduler = self._make_choice(
            "scheduler", SCHEDULERS, {"checkpoint": tr("as the model brings it")}
        )
        self._scheduler.setToolTip(
            tr("The way from noise to the picture; some need fewer steps, some paint livelier.")
        )
        more = QWidget()
        column_in(
            more,
            row_of(QLabel(tr("Scheduler")), (self._scheduler, 1)),
            self._step_cache,
            self._rare,
        )
        column_in(
            self,
            PresetField(docker_model),
            row_of(QLabel(tr("Seed")), (self._seed, 1), dice, self._lock, self._batch),
            self._numbers,
            row_of(QLabel(tr("Speed")), (self._speed, 1)),
            FoldedSection(tr("More"), "tapestry_more", more),
        )
        follow(self, docker_model, ("models", "settings"), self._show_settings)

    def _make_seed(self) -> QDoubleSpinBox:
        seed = QDoubleSpinBox()  # a QSpinBox ends at 2**31
        seed.setObjectName("tapestry_seed")
        seed.setDecimals(0)
        seed.setRange(0, MAX_SEED)
        seed.setToolTip(tr("The same seed gives the same picture"))
        seed.setAccessibleName(tr("Seed"))
        narrow(seed)
        calm(seed)
        seed.valueChanged.connect(lambda value: self._docker_model.change(seed=int(value)))
        return seed

    def _make_lock(self) -> SymbolButton:
        lock = SymbolButton("locked", "tapestry_seed_lock", tr("Keep the seed for every picture"))
        lock.setCheckable(True)
        lock.toggled.connect(self._lock_toggled)
        return lock

    def _make_batch(self) -> QSpinBox:
        batch = QSpinBox()
        batch.setObjectName("tapestry_batch")
        batch.setRange(1, MOST_PICTURES)
        batch.setPrefix("\u00d7 ")
        batch.setToolTip(tr("How many pictures to paint; each takes the next seed"))
        batch.setAccessibleName(tr("How many pictures to paint; each takes the next seed"))
        batch.setFixedWidth(NUMBER_OF_PICTURES_PX)
        calm(batch)
        batch.valueChanged.connect(lambda value: self._docker_model.change(batch=value))
        return batch

    def _make_choice(
        self, field: str, values: Sequence[str], words: Mapping[str, str]
    ) -> QComboBox:
        """A list for a field of the settings; values without words are shown as they are."""
        choice = QComboBox()
        choice.setObjectName(f"tapestry_{field}")
        for value in values:
            choice.addItem(words.get(value, value), value)
        narrow(choice)
        calm(choice)
        choice.activated.connect(
            lambda index: self._docker_model.change(**{field: choice.itemData(index)})
        )
        return choice

    def _lock_toggled(self, is_locked: bool) -> None:  # noqa: FBT001  Qt calls it
        self._docker_model.change(seed_locked=is_locked)
        self._show_lock()

    def _show_lock(self) -> None:
        is_locked = self._docker_model.settings.seed_locked
        self._lock.show_symbol("locked" if is_locked else "unlocked")
        self._lock.setToolTip(
            tr("The seed stays: press to take another one for every picture")
            if is_locked
            else tr("Every picture takes another seed: press to keep this one")
        )

    def _show_settings(self) -> None:
        settings = self._docker_model.settings
        show_value(self._seed, settings.seed)
        show_value(self._batch, settings.batch)
        show_value(self._lock, settings.seed_locked)
        self._show_lock()
        self._scheduler.setCurrentIndex(self._scheduler.findData(settings.scheduler))
        self._speed.setCurrentIndex(self._speed.findData(settings.speed))
        model = self._docker_model.model
        self._step_cache.setVisible(model is not None and model.step_cache)
        for numbers in (self._numbers, self._step_cache, self._rare):
            numbers.show_values()

    def _read(self, name: str) -> float:
        return getattr(self._docker_model.settings, _FIELDS.get(name, name))

    def _write(self, name: str, value: float) -> None:
        self._docker_model.change(**{_FIELDS.get(name, name): value})


NUMBER_OF_PICTURES_PX = 58

_FIELDS = {"steps": "num_inference_steps", "guidance": "guidance_scale"}
"""Widgets with a short name -> the field that they set."""


def _speeds() -> dict[str, str]:
    return {"quality": tr("Quality"), "balanced": tr("Balanced"), "fast": tr("Fast")}


def _common() -> tuple[Number, ...]:
    return (
        Number(
            "steps",
            tr("Steps"),
            tr("More steps take longer and paint more carefully."),
            1,
            MAX_STEPS,
            slides_to=100,
        ),
        Number(
            "guidance",
            tr("Guidance"),
            tr("How strictly the prompts are followed; too much makes colours glaring."),
            0.0,
            MAX_GUIDANCE_SCALE,
            0.5,
            1,
            slides_to=20,
        ),
    )


def _step_cache() -> tuple[Number, ...]:
    return (
        Number(
            "step_cache",
            tr("Step cache"),
            tr(
                "Above 0, a window that changes by no more than this from one step to the next is "
                "not computed to the end: done sooner, and a little less exact (try 0.1). 0 "
                "computes everything."
            ),
            0.0,
            1.0,
            0.01,
            2,
            slides_to=0.5,
        ),
    )


def _rare() -> tuple[Number, ...]:
    return (
        Number(
            "coherence",
            tr("Coherence"),
            tr("Evens out colour and texture along a large picture."),
            0.0,
            1.0,
            0.05,
            2,
        ),
        Number(
            "composition",
            tr("Composition"),
            tr("How firmly a large picture keeps to a small draft of the whole."),
            0.0,
            1.0,
            0.05,
            2,
        ),
        Number(
            "melt",
            tr("Melt together"),
            tr(
                "Above 0, Generate paints all layers together, as one picture with one light: "
                "pasted photographs and sketches melt into what is around them. The words of each "
                "layer look at its place, the more firmly the higher this is (try 0.5). A layer "
                "whose own strength is below 1 starts from its colours."
            ),
            0.0,
            1.0,
            0.05,
            2,
        ),
        Number(
            "outline_px",
            tr("Outlines"),
            tr("Softens the outlines of all regions by this much, so that they run together."),
            0,
            MAX_FEATHER_PX,
            slides_to=128,
            unit=" px",
        ),
    )
