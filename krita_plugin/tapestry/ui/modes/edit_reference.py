"""Which other picture a model is shown while it follows an instruction."""

from __future__ import annotations

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import QComboBox, QLabel, QWidget
from ...settings.settings import ReferenceFrom
from ..base.field_behaviour import calm, column_in, narrow, row_of
from ..base.follow import follow


class EditReference(QWidget):
    """None, the favourites of the history, or a layer by its name."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._choice = QComboBox()
        self._choice.setObjectName("tapestry_edit_reference")
        self._choice.setToolTip(
            tr(
                "Another picture that the model is shown besides, as a whole: what the "
                "instruction says of it, such as a colour, a thing or a style, is taken from "
                "there. FLUX.1 Kontext is shown one picture alone: let it see nothing but the "
                "reference."
            )
        )
        narrow(self._choice)
        calm(self._choice)
        self._choice.activated.connect(lambda index: self._choose(self._choice.itemData(index)))
        column_in(self, row_of(QLabel(tr("Reference")), (self._choice, 1)))
        follow(self, docker_model, ("settings", "scene"), self._show_choices)

    def _choose(self, chosen: tuple[ReferenceFrom, str]) -> None:
        source, name = chosen
        self._docker_model.change_and_tell(edit_reference_from=source, edit_reference=name)

    def _show_choices(self) -> None:
        """A layer that was chosen and is gone stays to be seen as gone."""
        settings = self._docker_model.settings
        names = [each.name for each in self._docker_model.scene_watch.scene.pictures if each.name]
        wanted = [
            (tr("none"), ("none", "")),
            (tr("Favourites of the history"), ("favourites", "")),
            *((name, ("layer", name)) for name in dict.fromkeys(names)),
        ]
        chosen = settings.edit_reference_from, settings.edit_reference
        if chosen[0] == "layer" and chosen[1] not in names:
            wanted.append((tr("{layer} (gone)").format(layer=chosen[1]), chosen))
        combo = self._choice
        if wanted != [(combo.itemText(n), combo.itemData(n)) for n in range(combo.count())]:
            combo.clear()
            for text, data in wanted:
                combo.addItem(text, data)
        places = [number for number, (_, data) in enumerate(wanted) if data[0] == chosen[0]]
        exact = [number for number in places if wanted[number][1] == chosen]
        combo.setCurrentIndex((exact or places or [0])[0])
