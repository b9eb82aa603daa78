"""How much larger a picture becomes, and where it goes."""

from __future__ import annotations

from tapestry_protocol.limits import MAX_FACTOR

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import QComboBox, QLabel, QPushButton, QWidget
from ...settings.settings import SMALLEST_FACTOR, TIMES_AT_ONCE, UpscaleInto
from ..base.field_behaviour import calm, column_in, narrow, row_of
from ..base.follow import follow
from ..fields.number_fields import Number, NumberFields


class UpscaleFields(QWidget):
    """Into which document, by which factor, and how freely."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._into = self._make_choice(
            "tapestry_upscale_into",
            "upscale_into",
            tr(
                "This document grows with all its layers, and the picture lies on top of them; or "
                "what one sees of it, or of the rectangle around the selection, becomes a document "
                "of its own."
            ),
        )
        for into, text in _places().items():
            self._into.addItem(text, into)
        self._upscalers = self._make_choice(
            "tapestry_upscaler",
            "upscaler",
            tr(
                "What enlarges the picture before finer detail is painted into it: a filter, or an "
                "ESRGAN network out of the models' folders."
            ),
        )
        self._numbers = NumberFields(
            _numbers(),
            lambda name: getattr(docker_model.settings, name),
            lambda name, value: docker_model.change_and_tell(**{name: value}),
        )
        self._size = QLabel()
        self._size.setObjectName("tapestry_upscaled_size")
        at_once = QPushButton(tr("Make it {count} times as large").format(count=TIMES_AT_ONCE))
        at_once.setObjectName("tapestry_upscale_by_four")
        at_once.setToolTip(
            tr(
                "Regions of which there is no picture yet are painted first, at the document's "
                "size; then the picture becomes larger. If you cancel that, the first one stays."
            )
        )
        at_once.clicked.connect(lambda _checked: docker_model.upscale_by_four())
        upscaler = row_of((self._upscalers, 1))
        column_in(self, row_of((self._into, 1)), self._numbers, upscaler, self._size, at_once)
        follow(self, docker_model, ("models",), self._show_upscalers)
        follow(self, docker_model, ("settings", "scene"), self._show_settings)

    def _make_choice(self, name: str, field: str, tip: str) -> QComboBox:
        """A list whose items carry what this field of the settings takes."""
        choice = QComboBox()
        choice.setObjectName(name)
        choice.setToolTip(tip)
        narrow(choice)
        calm(choice)
        choice.activated.connect(
            lambda index: self._docker_model.change_and_tell(**{field: choice.itemData(index)})
        )
        return choice

    def _show_upscalers(self) -> None:
        """Only where there is something to choose."""
        found = self._docker_model.upscalers
        self._upscalers.clear()
        self._upscalers.addItem(tr("Enlarged by a filter"), "")
        for name in found:
            self._upscalers.addItem(tr("Enlarged by {name}").format(name=name), name)
        self._upscalers.setVisible(bool(found))
        self._show_settings()

    def _show_settings(self) -> None:
        settings = self._docker_model.settings
        self._into.setCurrentIndex(self._into.findData(settings.upscale_into))
        self._upscalers.setCurrentIndex(self._upscalers.findData(settings.upscaler))
        self._numbers.show_values()
        height, width = self._docker_model.scene_watch.size
        is_known = bool(height) and settings.upscale_into != "selection"
        rows, columns = (round(side * settings.upscale_factor) for side in (height, width))
        self._size.setText(f"{columns} \u00d7 {rows} px" if is_known else "")
        self._size.setVisible(is_known)


def _places() -> dict[UpscaleInto, str]:
    return {
        "document": tr("Into this document"),
        "new": tr("Into a new document"),
        "selection": tr("The selection, into a new one"),
    }


def _numbers() -> tuple[Number, ...]:
    return (
        Number(
            "upscale_factor",
            tr("Times"),
            tr("How many times as high and as wide the picture becomes."),
            SMALLEST_FACTOR,
            MAX_FACTOR,
            0.5,
            2,
            slides_to=4,
        ),
        Number(
            "upscale_strength",
            tr("Strength"),
            tr(
                "How far the larger picture may go away from what is there: 0 only enlarges, 0.3 "
                "adds fine detail, 1 paints it anew within its composition."
            ),
            0.0,
            1.0,
            0.05,
            2,
        ),
    )
