"""Where the picture shows what the words name: looked for, shown, and taken over."""

from __future__ import annotations

from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import QImage, QPainter, QPalette, QPushButton, QRectF, QSizePolicy, QWidget
from ...results.found_place import PlaceMap, chosen_levels
from ..base.field_behaviour import column_in, row_of
from ..base.follow import follow
from ..base.pixmaps import pixmap
from ..fields.number_fields import Number, NumberFields

_HIGHEST_PX = 180
_CHOSEN_ALPHA = 185
_OTHER_ALPHA = 120


class EditPlace(QWidget):
    """A button, and once a map is there: the map, its threshold, and what becomes of it."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self._docker_model = docker_model
        find = _button(
            "tapestry_find_place",
            tr("Find the place"),
            tr("Shows how clearly each part of the picture shows what is there now."),
        )
        find.clicked.connect(lambda _checked: docker_model.find_place())
        self._picture = PlacePicture(docker_model)
        self._threshold = NumberFields(
            (_threshold(),),
            lambda name: getattr(docker_model.settings, name),
            lambda name, value: docker_model.change_and_tell(**{name: value}),
        )
        select = _button(
            "tapestry_place_as_selection",
            tr("As selection"),
            tr("Select what is bright: the edit then changes that, and nothing else."),
        )
        select.clicked.connect(lambda _checked: docker_model.select_place())
        layer = _button(
            "tapestry_place_as_layer",
            tr("As layer"),
            tr(
                "Make a layer of what is bright, called as the words: paint on it where the place "
                "shall be another one. The edit hides it."
            ),
        )
        layer.clicked.connect(lambda _checked: docker_model.add_place_layer())
        self._taking_over = QWidget()
        column_in(self._taking_over, row_of((select, 1), (layer, 1)))
        column_in(self, self._threshold, row_of((find, 1)), self._picture, self._taking_over)
        follow(self, docker_model, ("settings", "place"), self._show)

    def _show(self) -> None:
        settings, is_found = self._docker_model.settings, self._docker_model.place.map is not None
        self._threshold.show_values()
        self._threshold.setVisible(is_found or settings.edit_method != "ddib")
        self._picture.setVisible(is_found)
        self._taking_over.setVisible(is_found)


class PlacePicture(QWidget):
    """The picture, small, under the map: dark where it does not show it, bright where it does."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self.setObjectName("tapestry_place_picture")
        self._docker_model = docker_model
        self._map: PlaceMap | None = None
        self._heat = QImage()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setToolTip(tr("Bright: what is above the threshold and would change."))
        follow(self, docker_model, ("settings", "place", "thumbnails"), self._show)

    def resizeEvent(self, event: object) -> None:  # noqa: N802  Qt's name
        """As high as the picture's proportions ask for."""
        super().resizeEvent(event)
        self._set_height()

    def picture_rectangle(self) -> QRectF:
        """Where the document is, in the field."""
        found = self._map
        height, width = found.document if found else (3, 4)
        scale = min(self.width() / width, self.height() / height)
        left, top = (self.width() - width * scale) / 2, (self.height() - height * scale) / 2
        return QRectF(left, top, width * scale, height * scale)

    def heat(self) -> QImage:
        """The map in its colours, as it was found; where it is not chosen, darker."""
        return self._heat

    def paintEvent(self, _event: object) -> None:  # noqa: N802  Qt's name
        """The document, then the map where it lies."""
        found = self._map
        if found is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        whole, picture = self.picture_rectangle(), self._docker_model.scene_watch.picture
        painter.fillRect(whole, self.palette().color(QPalette.ColorRole.Mid))
        if picture is not None:
            shown = pixmap(picture, whole.size().toSize(), self.devicePixelRatioF())
            painter.drawPixmap(whole, shown, QRectF(shown.rect()))
        scale = whole.width() / found.document[1]
        bounds = found.bounds
        place = QRectF(
            whole.left() + bounds.left * scale,
            whole.top() + bounds.top * scale,
            bounds.width * scale,
            bounds.height * scale,
        )
        painter.drawImage(place, self._heat, QRectF(self._heat.rect()))
        painter.end()

    def _show(self) -> None:
        found = self._docker_model.place.map
        if found is not self._map:
            self._map = found
            self._heat = _indexed(found) if found else QImage()
            self._set_height()
        if found is not None:  # all that a threshold changes: no pixel is computed
            self._heat.setColorTable(heat_colors(self._docker_model.settings.edit_threshold))
        self.update()

    def _set_height(self) -> None:
        if self._map is not None:
            height, width = self._map.document
            self.setFixedHeight(max(1, min(_HIGHEST_PX, round(self.width() * height / width))))


def heat_colors(threshold: float) -> list[int]:
    """ARGB for each level of a map: from blue to black below the threshold, red to yellow above."""
    return [
        _heat(level, is_chosen=bool(chosen))
        for level, chosen in enumerate(chosen_levels(threshold))
    ]


def _heat(level: int, *, is_chosen: bool) -> int:
    if is_chosen:
        alpha, red, green, blue = _CHOSEN_ALPHA, 255, min(255, max(0, 2 * level - 230)), 0
    else:
        alpha, red, green, blue = _OTHER_ALPHA, level // 4, level // 4, 32 + level // 2
    return alpha << 24 | red << 16 | green << 8 | blue


def _indexed(found: PlaceMap) -> QImage:
    small = found.small
    size = (small.width, small.height, small.width)
    return QImage(small.data, *size, QImage.Format.Format_Indexed8).copy()


def _button(name: str, title: str, tip: str) -> QPushButton:
    button = QPushButton(title)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return button


def _threshold() -> Number:
    return Number(
        "edit_threshold",
        tr("Threshold"),
        tr(
            "How clearly a place must show what is there now. Of a selection, and of a layer that "
            "says where, all changes."
        ),
        0.0,
        1.0,
        0.05,
        2,
    )
