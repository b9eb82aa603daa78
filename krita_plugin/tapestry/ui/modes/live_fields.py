"""Painting live: a switch, what it asks for, and what the last update took."""

from __future__ import annotations

from tapestry_protocol.limits import MAX_STEPS

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import QCheckBox, QLabel, QPushButton, QSizePolicy, QWidget
from ..base.field_behaviour import column_in, row_of
from ..base.follow import follow
from ..fields.number_fields import Number, NumberFields


class LiveFields(QWidget):
    """The switch, and what is shown while it is on."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._switch = _button("tapestry_live", tr("Live"))
        self._switch.setCheckable(True)
        self._switch.setToolTip(
            tr("Paint at once whatever changes on the layers, and show it on the canvas")
        )
        self._switch.clicked.connect(lambda _checked: self._toggle())
        self._keep = _button("tapestry_keep_live", tr("Keep"))
        self._keep.setToolTip(tr("Make a layer of the live picture"))
        self._keep.clicked.connect(lambda _checked: docker_model.keep_live())
        self._quick = QCheckBox(tr("Quick: four steps"))
        self._quick.setObjectName("tapestry_live_quick")
        self._quick.setToolTip(
            tr("The bundled model has a way of its own to paint in four steps: three times as fast")
        )
        self._quick.toggled.connect(lambda on: docker_model.change_and_tell(live_quick=on))
        self._steps, self._strength = (self._make_number(number) for number in _numbers())
        self._line = QLabel()
        self._line.setObjectName("tapestry_live_line")
        self._line.setWordWrap(True)
        self._while_on = QWidget()
        column_in(self._while_on, self._quick, self._steps, self._strength, self._line)
        column_in(self, row_of((self._switch, 1), (self._keep, 1)), self._while_on)
        follow(self, docker_model, ("live", "settings", "models"), self._show)

    def _make_number(self, number: Number) -> NumberFields:
        return NumberFields(
            (number,),
            lambda name: getattr(self._docker_model.settings, name),
            lambda name, value: self._docker_model.change_and_tell(**{name: value}),
        )

    def _toggle(self) -> None:
        self._docker_model.toggle_live()
        self._show()  # Qt has pressed the switch, also where there is no document

    def _show(self) -> None:
        live = self._docker_model.live
        is_on = live.is_in_front  # another document has a switch of its own
        self._switch.setChecked(is_on)
        self._keep.setVisible(is_on)
        self._keep.setEnabled(live.picture is not None)
        self._while_on.setVisible(is_on)
        can_be_quick = self._docker_model.can_be_quick
        is_quick = can_be_quick and self._docker_model.settings.live_quick
        self._quick.setVisible(can_be_quick)
        self._quick.setChecked(self._docker_model.settings.live_quick)
        self._steps.setVisible(not is_quick)
        for numbers in (self._steps, self._strength):
            numbers.show_values()
        self._line.setText(self._sentence())

    def _sentence(self) -> str:
        live = self._docker_model.live
        if live.trouble is not None:
            return f"{live.trouble.message} {live.trouble.advice}".strip()
        if live.update is None:
            return tr("Paint on a layer and name it: it is painted at once.")
        return tr("{evaluations} evaluations, {ms} ms, {kept} % kept").format(
            evaluations=live.update.evaluations,
            ms=round(live.update.seconds * 1000),
            kept=round(100 * (1 - live.update.painted)),
        )


def _button(name: str, title: str) -> QPushButton:
    button = QPushButton(title)
    button.setObjectName(name)
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return button


def _numbers() -> tuple[Number, ...]:
    return (
        Number(
            "live_steps",
            tr("Live steps"),
            tr("Fewer are sooner; models made for few steps need four."),
            1,
            MAX_STEPS,
            slides_to=20,
        ),
        Number(
            "live_strength",
            tr("Live strength"),
            tr(
                "Below 1, each region starts from the colours on its layer, and goes away from "
                "them by this much."
            ),
            0.05,
            1.0,
            0.05,
            2,
        ),
    )
