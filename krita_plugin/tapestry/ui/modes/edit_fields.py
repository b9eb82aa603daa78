"""What shall change: words for what is there and what it becomes, or an instruction; and where."""

from __future__ import annotations

from collections.abc import Sequence

from tapestry_protocol.fields import EditMethod, PictureShown
from tapestry_protocol.limits import MAX_GUIDANCE_SCALE, MAX_INTERPOLATION, MAX_LEARNING_STEPS
from tapestry_protocol.messages import EDIT_STRENGTHS

from ...docker_model import DockerModel
from ...document.editing import places_in
from ...i18n.translation import tr
from ...qt.compat import QCheckBox, QComboBox, QGridLayout, QLabel, QWidget
from ...settings.settings import EDIT_METHODS, PICTURES_SHOWN
from ..base.field_behaviour import (
    NARROWEST_PX,
    SPACING_PX,
    FoldedSection,
    calm,
    column_in,
    narrow,
    row_of,
    show_value,
    words_of_others,
)
from ..base.follow import follow
from ..fields.number_fields import Number, NumberFields
from ..fields.prompt_edit import PromptEdit
from .edit_place import EditPlace
from .edit_reference import EditReference


class EditFields(QWidget):
    """Two lines, or one; a method, its numbers, and the place."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        self._lines = {
            "edit_from": self._make_line(
                "edit_from",
                tr("what is there"),
                tr("What the picture shows now, where it shall change: snow."),
            ),
            "edit_to": self._make_line(
                "edit_to", tr("what it becomes"), tr("What it shall show instead: lava.")
            ),
            "edit_instruction": self._make_line(
                "edit_instruction",
                tr("what shall change"),
                tr(
                    "What the model shall do with the picture: make it night. Several, with "
                    "semicolons between, each hold on the layer that is called so."
                ),
            ),
        }
        self._method = self._make_method()
        self._words, self._titles = self._make_words("edit_from", "edit_to")
        self._instruction = QWidget()
        self._kept = self._make_numbers((_picture_scale(),))
        self._shown = self._make_shown()
        self._reference = EditReference(docker_model)
        column_in(
            self._instruction,
            self._lines["edit_instruction"],
            self._kept,
            self._shown,
            self._reference,
        )
        self._strength = self._make_numbers((_strength(),))
        self._shapes = FoldedSection(
            tr("Shapes"),
            "tapestry_edit_shapes",
            self._make_numbers(_shapes()),
            tip=tr("How long the shapes of the picture are kept"),
        )
        self._learned = self._make_numbers(_learned())
        self._turning = self._make_turning()
        self._where = words_of_others("tapestry_edit_where")
        self._where.setMinimumWidth(NARROWEST_PX)  # a long name does not widen the docker
        self._place = EditPlace(docker_model)
        column_in(
            self,
            self._words,
            row_of((self._method, 1)),
            self._instruction,
            self._learned,
            self._turning,
            self._strength,
            self._shapes,
            self._where,
            self._place,
        )
        follow(self, docker_model, ("settings", "scene", "models"), self._show_settings)

    def _make_line(self, field: str, placeholder: str, tip: str) -> PromptEdit:
        line = PromptEdit(self._docker_model, f"tapestry_{field}", placeholder)
        line.setToolTip(tip)
        line.textEdited.connect(lambda text: self._docker_model.change_and_tell(**{field: text}))
        return line

    def _make_words(self, *fields: str) -> tuple[QWidget, dict[str, QLabel]]:
        titles = {}
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(SPACING_PX)
        grid.setColumnStretch(1, 1)
        for row, (title, field) in enumerate(zip((tr("Now"), tr("Then")), fields, strict=True)):
            label, line = QLabel(title), self._lines[field]
            label.setBuddy(line)
            titles[field] = label
            grid.addWidget(label, row, 0)
            grid.addWidget(line, row, 1)
        words = QWidget()
        words.setLayout(grid)
        return words, titles

    def _make_method(self) -> QComboBox:
        method = QComboBox()
        method.setObjectName("tapestry_edit_method")
        words = _methods()
        for name in EDIT_METHODS:
            method.addItem(words[name], name)
        method.setToolTip(
            tr(
                "The first paints the place anew and leaves the rest to the pixel. The second "
                "keeps its outlines. The third makes another picture of the whole, with its "
                "composition. The fourth does what one line says, with a model that was made for "
                "it. The last learns the picture, for minutes, and then goes as far to the words "
                "as you say."
            )
        )
        narrow(method)
        calm(method)
        method.activated.connect(lambda index: self._choose(method.itemData(index)))
        return method

    def _make_shown(self) -> QWidget:
        """For models that are shown pictures: each window its part of it, or the whole."""
        choice = QComboBox()
        choice.setObjectName("tapestry_edit_picture_shown")
        words = _shown()
        for name in PICTURES_SHOWN:
            choice.addItem(words[name], name)
        choice.setToolTip(
            tr(
                "What of the picture the model is shown while it paints: of a large picture each "
                "window sees its own part, sharp, or all windows see the whole, small; both keep "
                "the picture best and take longest."
            )
        )
        narrow(choice)
        calm(choice)
        choice.activated.connect(
            lambda index: self._docker_model.change_and_tell(
                edit_picture_shown=choice.itemData(index)
            )
        )
        self._shown_choice = choice
        row = QWidget()
        column_in(row, row_of(QLabel(tr("Shown")), (choice, 1)))
        return row

    def _make_turning(self) -> QWidget:
        """Another model that takes the picture back to noise, and the way back."""
        self._source = QComboBox()
        self._source.setObjectName("tapestry_edit_source_model")
        self._source.setToolTip(
            tr(
                "The model whose picture it is takes it back to noise; the chosen one then paints "
                "it in its own way. Both must be of one family."
            )
        )
        narrow(self._source)
        calm(self._source)
        self._source.activated.connect(
            lambda index: self._docker_model.change_and_tell(
                edit_source_model=self._source.itemData(index)
            )
        )
        self._source_row = QWidget()
        column_in(self._source_row, row_of(QLabel(tr("From")), (self._source, 1)))
        cycle = QCheckBox(tr("Turn it back, and tell how near that is"))
        cycle.setObjectName("tapestry_edit_cycle")
        cycle.setToolTip(tr("Takes twice as long, and changes nothing in the picture."))
        cycle.toggled.connect(lambda on: self._docker_model.change_and_tell(edit_cycle=on))
        follow(
            cycle,
            self._docker_model,
            ("settings",),
            lambda: show_value(cycle, self._docker_model.settings.edit_cycle),
        )
        turning = QWidget()
        column_in(turning, self._source_row, cycle)
        return turning

    def _show_models(self) -> None:
        """Those that the picture may have been painted by; the chosen one stands for itself."""
        models, chosen = self._docker_model.models, self._docker_model.settings.model
        others = [m for m in models if m.id != chosen and not m.only_instructions]
        self._source.clear()
        self._source.addItem(tr("the same model"), "")
        for model in others:
            self._source.addItem(model.name, model.id)
        wanted = self._docker_model.settings.edit_source_model
        if wanted not in {"", chosen, *(model.id for model in others)}:
            self._source.addItem(wanted, wanted)  # it is not there any more, and was asked for
        self._source.setCurrentIndex(max(0, self._source.findData(wanted)))
        self._source_row.setVisible(self._source.count() > 1)

    def _choose(self, method: EditMethod) -> None:
        """Each method goes as far back as is best for it."""
        if method != self._docker_model.settings.edit_method:
            self._docker_model.change_and_tell(
                edit_method=method, edit_strength=EDIT_STRENGTHS[method]
            )

    def _make_numbers(self, numbers: Sequence[Number]) -> NumberFields:
        return NumberFields(
            numbers,
            lambda name: getattr(self._docker_model.settings, name),
            lambda name, value: self._docker_model.change_and_tell(**{name: value}),
        )

    def _show_settings(self) -> None:
        settings = self._docker_model.settings
        for field, line in self._lines.items():
            if line.text() != getattr(settings, field):
                line.setText(getattr(settings, field))
        self._method.setCurrentIndex(self._method.findData(settings.edit_method))
        for numbers in self.findChildren(NumberFields):
            numbers.show_values()
        is_instructed, is_learned = (settings.edit_method == m for m in ("instruct", "imagic"))
        self._words.setVisible(not is_instructed)
        for widget in (self._lines["edit_from"], self._titles["edit_from"]):
            widget.setVisible(not is_learned)
        self._instruction.setVisible(is_instructed)
        model = self._docker_model.instructed_model
        is_shown = model is not None and model.references > 0
        self._kept.setVisible(not is_shown)
        self._shown.setVisible(is_shown)
        self._reference.setVisible(is_shown)
        self._shown_choice.setCurrentIndex(self._shown_choice.findData(settings.edit_picture_shown))
        self._learned.setVisible(is_learned)
        self._turning.setVisible(settings.edit_method == "ddib")
        self._show_models()
        self._place.setVisible(not is_instructed and not is_learned)
        self._shapes.setVisible(settings.edit_method == "p2p")
        self._where.setText(self._where_it_changes())

    def _where_it_changes(self) -> str:
        settings, model = self._docker_model.settings, self._docker_model.instructed_model
        is_instructed = settings.edit_method == "instruct"
        if is_instructed and model is not None and not model.follows_instructions:
            return self._which_models_follow(model.name)
        named = [
            words.strip() for words in places_in(self._docker_model.scene_watch.scene, settings)
        ]
        if len(named) > 1:
            names = ", ".join(f"\u201c{words}\u201d" for words in named)
            return tr("The layers {names} say where.").format(names=names)
        if named:
            return tr("The layer \u201c{name}\u201d says where.").format(name=named[0])
        if settings.edit_method in {"ddib", "instruct", "imagic"}:
            return tr("All of the picture changes, or what is selected.")
        return tr("What is selected changes; without a selection the words find the place.")

    def _which_models_follow(self, name: str) -> str:
        """What to do, where the chosen model follows no instructions."""
        following = [m.name for m in self._docker_model.models if m.follows_instructions]
        if not following:
            return tr(
                "None of your models follows instructions: add one that was made for it "
                "(InstructPix2Pix, FLUX.1 Kontext, FLUX.2 Klein, Qwen-Image-Edit), or choose "
                "another method."
            )
        return tr(
            "The model {name} follows no instructions. Choose one that does: {others}."
        ).format(name=name, others=", ".join(following))


def _methods() -> dict[EditMethod, str]:
    return {
        "diffedit": tr("Find the place, paint it anew"),
        "p2p": tr("Keep the shapes"),
        "ddib": tr("Turn the whole picture"),
        "instruct": tr("Follow an instruction"),
        "imagic": tr("Learn the picture, then change it"),
    }


def _shown() -> dict[PictureShown, str]:
    return {
        "window": tr("its part to each window"),
        "whole": tr("the whole, made small"),
        "both": tr("both"),
        "none": tr("nothing but the reference"),
    }


def _strength() -> Number:
    return Number(
        "edit_strength",
        tr("Strength"),
        tr("How far the picture is taken back to noise before it is painted with other words."),
        0.05,
        1.0,
        0.05,
        2,
    )


def _learned() -> tuple[Number, ...]:
    return (
        Number(
            "edit_interpolation",
            tr("Words"),
            tr(
                "From the picture as it is, 0, to all that the words say, 1, and beyond. Moving "
                "it costs only a painting: what was learned is kept."
            ),
            0.0,
            MAX_INTERPOLATION,
            0.05,
            2,
        ),
        Number(
            "edit_learning_steps",
            tr("Learning"),
            tr(
                "How many steps the model looks at the picture. More keeps more of it, and takes "
                "longer. What is cancelled goes on from there the next time."
            ),
            10,
            MAX_LEARNING_STEPS,
            10,
            slides_to=1000,
        ),
    )


def _picture_scale() -> Number:
    return Number(
        "edit_picture_scale",
        tr("Picture"),
        tr(
            "How closely the picture is kept to, against the guidance of the words: more keeps "
            "more of it, below 1 nothing is guided."
        ),
        0.0,
        MAX_GUIDANCE_SCALE,
        0.1,
        1,
        slides_to=3.0,
    )


def _shapes() -> tuple[Number, ...]:
    return (
        Number(
            "edit_cross_attention",
            tr("Of words"),
            tr("For how much of the way what a word named keeps its outline."),
            0.0,
            1.0,
            0.05,
            2,
        ),
        Number(
            "edit_self_attention",
            tr("Of parts"),
            tr("For how much of the way parts that look alike stay alike: the layout stays."),
            0.0,
            1.0,
            0.05,
            2,
        ),
        Number(
            "edit_features",
            tr("Of lines"),
            tr(
                "For how much of the way everything keeps its lines, also what no word names. "
                "The firmest of the three."
            ),
            0.0,
            1.0,
            0.05,
            2,
        ),
    )
