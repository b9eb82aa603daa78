"""What a model is taught, from what, and for how long."""

from __future__ import annotations

from collections.abc import Mapping

from tapestry_protocol.fields import TeachMethod
from tapestry_protocol.limits import MAX_TAUGHT_WORD_CHARACTERS

from ...docker_model import DockerModel
from ...document.teaching import groups_of
from ...i18n.translation import tr
from ...qt.compat import QCheckBox, QComboBox, QLabel, QLineEdit, QPushButton, QWidget
from ...settings.settings import LARGEST_TEACHING_MIN
from ..base.field_behaviour import calm, column_in, narrow, row_of
from ..base.follow import follow
from ..fields.number_fields import Number, NumberFields
from ..fields.prompt_edit import PromptEdit


class TeachFields(QWidget):
    """The word, its examples, the method, and a button that makes the file of what is learned."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._word = QLineEdit()
        self._word.setObjectName("tapestry_teach_word")
        self._word.setMaxLength(MAX_TAUGHT_WORD_CHARACTERS)
        self._word.setPlaceholderText(tr("my wool"))
        self._word.setToolTip(tr("The new word, as layers will be named with it."))
        self._word.textEdited.connect(lambda text: docker_model.change(teach_word=text))
        self._like = PromptEdit(docker_model, "tapestry_teach_like", tr("what it is near to"))
        self._like.setToolTip(
            tr("Words that the model knows for something near: it begins there, and keeps them.")
        )
        self._like.textEdited.connect(lambda text: docker_model.change(teach_like=text))
        self._from = self._make_choice(
            "tapestry_teach_from", tr("What shows it: 3 to 5 examples; only their paint counts.")
        )
        self._from.activated.connect(lambda _index: self._choose_from())
        self._method = self._make_choice("tapestry_teach_method", "")
        for method, (text, tip) in _methods().items():
            self._method.addItem(text, method)
            self._method.setItemData(self._method.count() - 1, tip, _TIP)
        self._method.activated.connect(
            lambda index: docker_model.change_and_tell(teach_method=self._method.itemData(index))
        )
        self._numbers = NumberFields(
            _numbers(),
            lambda name: getattr(docker_model.settings, name),
            lambda name, value: docker_model.change(**{name: value}),
        )
        self._switches = {name: self._make_switch(name, *says) for name, says in _ways().items()}
        self._licence = QLineEdit()
        self._licence.setObjectName("tapestry_teach_licence")
        self._licence.setPlaceholderText(tr("what you say about its use"))
        self._licence.setToolTip(tr("Stands in the file, beside the hashes of the examples."))
        self._licence.textEdited.connect(lambda text: docker_model.change(teach_licence=text))
        keep = QPushButton(tr("Keep what is learned so far"))
        keep.setObjectName("tapestry_teach_keep")
        keep.setToolTip(
            tr(
                "After Cancel: makes the file of it now. Pressing Teach again goes on from there "
                "instead."
            )
        )
        keep.clicked.connect(lambda _checked: docker_model.keep_taught())
        column_in(
            self,
            row_of(_label(tr("Word"), self._word), (self._word, 1)),
            row_of(_label(tr("Like"), self._like), (self._like, 1)),
            row_of((self._from, 1), (self._method, 1)),
            self._numbers,
            row_of(*self._switches.values()),
            row_of(_label(tr("Licence"), self._licence), (self._licence, 1)),
            keep,
        )
        follow(self, docker_model, ("settings", "scene"), self._show_settings)

    def _make_choice(self, name: str, tip: str) -> QComboBox:
        choice = QComboBox()
        choice.setObjectName(name)
        choice.setToolTip(tip)
        narrow(choice)
        calm(choice)
        return choice

    def _make_switch(self, name: str, title: str, tip: str) -> QCheckBox:
        switch = QCheckBox(title)
        switch.setObjectName(f"tapestry_{name}")
        switch.setToolTip(tip)
        switch.toggled.connect(lambda on: self._docker_model.change(**{name: on}))
        return switch

    def _choose_from(self) -> None:
        source, group = self._from.currentData()
        self._docker_model.change(teach_from=source, teach_group=group)

    def _show_settings(self) -> None:
        settings = self._docker_model.settings
        for field, text in (
            (self._word, settings.teach_word),
            (self._like, settings.teach_like),
            (self._licence, settings.teach_licence),
        ):
            if field.text() != text:
                field.setText(text)
        self._show_sources()
        self._method.setCurrentIndex(self._method.findData(settings.teach_method))
        self._method.setToolTip(_methods()[settings.teach_method][1])
        self._numbers.show_values()
        for name, switch in self._switches.items():
            switch.setChecked(getattr(settings, name))

    def _show_sources(self) -> None:
        """Layers, the selection, the favourites of the history, and each group by its name."""
        settings, canvas = self._docker_model.settings, self._docker_model.canvas_in_front
        wanted = [
            (tr("All layers that show"), ("layers", "")),
            (tr("The selection on each layer"), ("selection", "")),
            (tr("Favourites of the history"), ("history", "")),
        ]
        groups = groups_of(canvas) if canvas is not None else ()
        wanted += [(tr("Group {name}").format(name=name), ("group", name)) for name in groups]
        texts = [text for text, _ in wanted]
        if texts != [self._from.itemText(index) for index in range(self._from.count())]:
            self._from.clear()
            for text, data in wanted:
                self._from.addItem(text, data)
        chosen = settings.teach_from, settings.teach_group
        places = [index for index, (_, data) in enumerate(wanted) if data == chosen]
        self._from.setCurrentIndex(places[0] if places else 0)


_TIP = 3
"""Qt's role of a tooltip."""


def _label(text: str, buddy: QWidget) -> QLabel:
    label = QLabel(text)
    label.setBuddy(buddy)
    return label


def _methods() -> Mapping[TeachMethod, tuple[str, str]]:
    return {
        "lora": (
            tr("LoRA"),
            tr("Small changes of the layers: for most things, and for what has fine detail."),
        ),
        "word": (
            tr("Word alone"),
            tr("A few numbers: for a mood or a mixture of what the model knows."),
        ),
        "attention": (
            tr("Keys and values"),
            tr("The layers that read the text, and the word: quick, and good beside each other."),
        ),
        "key-locked": (
            tr("Key-locked"),
            tr("The smallest change; it opens for the word alone, and touches no other."),
        ),
    }


def _ways() -> Mapping[str, tuple[str, str]]:
    return {
        "teach_flips": (tr("Mirrored"), tr("Show the examples mirrored as well.")),
        "teach_turns": (tr("Turned"), tr("Show them turned a little, too.")),
        "teach_light": (tr("Light"), tr("Show them a little lighter and darker, too.")),
    }


def _numbers() -> tuple[Number, ...]:
    return (
        Number(
            "teach_minutes",
            tr("Minutes"),
            tr("How long the model learns; pictures that you ask for meanwhile go first."),
            0.5,
            LARGEST_TEACHING_MIN,
            0.5,
            1,
            slides_to=30,
        ),
    )
