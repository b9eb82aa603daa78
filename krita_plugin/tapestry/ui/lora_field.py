"""The choice of a LoRA and its weight; there to be seen only where the backend has any."""

from __future__ import annotations

from collections.abc import Callable

from ..adapters import LORA_WEIGHTS, Choice
from ..qt import QComboBox, QDoubleSpinBox, QHBoxLayout, QLabel, QWidget
from ..studio import Studio
from ..translation import tr
from .follow import follow
from .manners import SPACING_PX, calm, narrow

_STEP = 0.1


class LoraField(QWidget):
    """The LoRAs of the backend by name, for the whole picture or for one region.

    name    how the two widgets are called, `name` and `name_weight`
    read    what is chosen now
    write   takes the fields `lora` and `lora_weight`
    """

    def __init__(
        self, studio: Studio, name: str, read: Callable[[], Choice], write: Callable[..., object]
    ) -> None:
        super().__init__()
        self._studio = studio
        self._read = read
        self._write = write
        self._loras = QComboBox()
        self._loras.setObjectName(name)
        self._loras.setToolTip(tr("A LoRA changes what the model paints, for instance its style"))
        narrow(self._loras)
        calm(self._loras)
        self._loras.activated.connect(self._choose)
        self._weight = QDoubleSpinBox()
        self._weight.setObjectName(f"{name}_weight")
        self._weight.setRange(*LORA_WEIGHTS)
        self._weight.setSingleStep(_STEP)
        self._weight.setToolTip(tr("How much the LoRA changes; 0: nothing"))
        narrow(self._weight)
        calm(self._weight)
        self._weight.valueChanged.connect(lambda value: write(lora_weight=float(value)))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(SPACING_PX)
        row.addWidget(QLabel(tr("LoRA")))
        row.addWidget(self._loras, 2)
        row.addWidget(self._weight, 1)
        follow(self, studio, ("models", "settings"), self.show_choice)

    def _choose(self, index: int) -> None:
        self._write(lora=self._loras.itemData(index))
        self._weight.setEnabled(index > 0)

    def show_choice(self) -> None:
        """Show what is chosen now."""
        known = [info.id for info in self._studio.adapters if info.kind == "lora"]
        chosen = self._read()
        self._loras.clear()
        self._loras.addItem(tr("none"), "")
        # One that this backend does not have is shown: the artist is to see why it is refused.
        for adapter_id in dict.fromkeys([*known, *filter(None, [chosen.lora])]):
            self._loras.addItem(adapter_id, adapter_id)
        self._loras.setCurrentIndex(self._loras.findData(chosen.lora))
        self._weight.blockSignals(True)  # noqa: FBT003  Qt's own signature
        self._weight.setValue(chosen.lora_weight)
        self._weight.blockSignals(False)  # noqa: FBT003  Qt's own signature
        self._weight.setEnabled(bool(chosen.lora))
        self.setVisible(bool(known or chosen.lora))
