"""How often what is filled or extended is fitted to what is there, and how long that takes."""

from __future__ import annotations

from tapestry_protocol.limits import MAX_HARMONISING

from ...docker_model import DockerModel
from ...i18n.translation import decimal, tr
from ...qt.compat import QLabel, QWidget
from ...settings.settings import Mode
from ..base.field_behaviour import column_in, narrow
from ..base.follow import follow
from .number_fields import Number, NumberFields

_MORE = 2 / 3
"""Each time takes so much of a picture's time more, with the schedulers that have most steps in the
middle."""


class HarmoniseField(QWidget):
    """A slider, and below it what it costs, as soon as it costs something."""

    def __init__(self, docker_model: DockerModel, mode: Mode) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._number = NumberFields(
            (_harmonise(),),
            lambda name: getattr(docker_model.settings, name),
            lambda name, value: docker_model.change_and_tell(**{name: value}),
        )
        self._cost = QLabel()
        self._cost.setObjectName(f"tapestry_harmonise_cost_{mode}")
        narrow(self._cost)
        column_in(self, self._number, self._cost)
        follow(self, docker_model, ("settings",), self._show_settings)

    def _show_settings(self) -> None:
        self._number.show_values()
        times = self._docker_model.settings.harmonise
        self._cost.setVisible(times > 0)
        longer = decimal(f"{1 + _MORE * times:.2g}")
        self._cost.setText(tr("takes up to {times} times as long").format(times=longer))


def _harmonise() -> Number:
    return Number(
        "harmonise",
        tr("Harmonise"),
        tr(
            "How often the steps in the middle are taken back and again, so that new and old fit. "
            "Each takes up to two thirds of the time more. Try it where a border shows; 0 is right "
            "for most pictures."
        ),
        0,
        MAX_HARMONISING,
    )
