"""One region: whether it counts, its mask, its prompt, what is the matter with it."""

from __future__ import annotations

from tapestry_protocol.pixels import Pixels

from ...docker_model import DockerModel
from ...document.badges import Badge
from ...document.layers import RegionLayer
from ...document.region_overlay import color_of
from ...i18n.translation import tr
from ...qt.compat import (
    QCheckBox,
    QColor,
    QEvent,
    QFrame,
    QLabel,
    QObject,
    QPalette,
    QSize,
    QWidget,
)
from ..base.field_behaviour import column_in, expander, row_of, show_value
from ..base.pixmaps import framed, mask_pixmap
from ..fields.prompt_edit import PromptEdit
from .region_fields import RegionFields

_THUMBNAIL = QSize(42, 28)


class RegionRow(QFrame):
    """A layer that is, or could be, a region."""

    def __init__(self, docker_model: DockerModel, row: RegionLayer, number: int) -> None:
        super().__init__()
        self.setObjectName("tapestry_region")
        self._docker_model = docker_model
        self._row = row
        self._number = number
        self._box = QCheckBox()
        self._box.setObjectName("tapestry_region_on")
        self._box.setToolTip(tr("Whether this layer steers the picture"))
        self._box.toggled.connect(lambda on: docker_model.regions.set(self._row.id, on=on))
        self._thumbnail = QLabel()
        self._thumbnail.setObjectName("tapestry_region_thumbnail")
        self._thumbnail.setFixedSize(_THUMBNAIL)
        self._prompt = PromptEdit(docker_model, "tapestry_region_prompt", tr("what should be here"))
        self._prompt.textEdited.connect(
            lambda text: docker_model.regions.rename(self._row.id, text)
        )
        self._prompt.installEventFilter(self)
        self._badge = QLabel()
        self._badge.setObjectName("tapestry_region_badge")
        tip = tr("Outline, weight, strength, seed and guidance of this region")
        arrow = expander("tapestry_region_more", tip)
        arrow.toggled.connect(self._open)
        self._fields: RegionFields | None = None
        self._drawn: tuple[Pixels | None, int, int, float] | None = None
        line = row_of(self._box, self._thumbnail, (self._prompt, 1), self._badge, arrow)
        line.setContentsMargins(4, 2, 2, 2)
        self._line = QWidget()
        self._line.setAutoFillBackground(True)
        self._line.setLayout(line)
        self._column = column_in(self, self._line)
        self.show_row(row, number)

    def show_row(self, row: RegionLayer, number: int) -> None:
        """Show the layer as it is now, as the one at this place of the list."""
        self._row, self._number = row, number
        show_value(self._box, row.settings.on)
        if not self._prompt.hasFocus() and self._prompt.text() != row.prompt:
            self._prompt.setText(row.prompt)
            self._prompt.setCursorPosition(0)
        self._prompt.setToolTip(row.prompt if len(row.prompt) <= 400 else row.prompt[:400] + "…")
        self.setProperty("counts", row.state == "painted")
        if self._fields is not None:
            self._fields.show_row(row)
        self._mark()
        self.show_mask()

    def show_mask(self) -> None:
        """Show the mask as it was read last, and what is the matter with it."""
        badge = self._docker_model.scene_watch.badges.get(self._row.id, "")
        word, sentence = _words(badge)
        if badge == "unlike":
            sentence += self._what_it_looks_like()
        self._badge.setText(word)
        self._badge.setToolTip(sentence)
        self._badge.setVisible(bool(word))
        self._prompt.setEnabled(self._row.settings.on)
        small = self._docker_model.scene_watch.thumbnail(self._row.id)
        ground = self.palette().color(QPalette.ColorRole.Base)
        wanted = (small, self._number, ground.rgb(), self.devicePixelRatioF())
        if wanted != self._drawn:
            self._drawn = wanted
            self._draw_mask(small, ground)

    def _what_it_looks_like(self) -> str:
        judged = self._docker_model.scene_watch.judged[self._row.id]
        others = [name for name in judged.names if name != judged.prompt]
        return " " + tr("It looks more like: {name}.").format(name=others[0]) if others else ""

    def _draw_mask(self, small: Pixels | None, ground: QColor) -> None:
        if small is None:
            self._thumbnail.clear()
            return
        sharp = self.devicePixelRatioF()
        mask = mask_pixmap(small, _THUMBNAIL, QColor(*color_of(self._number)), sharp)
        self._thumbnail.setPixmap(framed(mask, _THUMBNAIL, ground, sharp))

    def begin_prompt(self) -> None:
        """Put the cursor into the prompt."""
        self._prompt.setFocus()
        self._prompt.selectAll()

    def mousePressEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """A click on the row makes its layer the active one."""
        super().mousePressEvent(event)
        self._docker_model.regions.activate(self._row.id)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Another theme has other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._mark()
            self.show_mask()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's name
        """Typing in a prompt makes its layer the active one."""
        if (
            event.type() == QEvent.Type.FocusIn
            and self._row.id != self._docker_model.scene_watch.active
        ):
            self._docker_model.regions.activate(self._row.id)
        return super().eventFilter(watched, event)

    def _mark(self) -> None:
        """The row of the active layer is tinged with Krita's own colour of what is selected."""
        is_active = self._row.id == self._docker_model.scene_watch.active
        self.setProperty("active", is_active)
        palette = self.palette()
        ground = palette.color(QPalette.ColorRole.Window)
        if is_active:
            ground = _between(ground, palette.color(QPalette.ColorRole.Highlight))
        palette.setColor(QPalette.ColorRole.Window, ground)
        self._line.setPalette(palette)

    def _open(self, is_open: bool) -> None:  # noqa: FBT001  Qt calls it
        if is_open and self._fields is None:
            self._fields = RegionFields(self._docker_model, self._row)
            self._column.addWidget(self._fields)
        if self._fields is not None:
            self._fields.setVisible(is_open)


def _between(one: QColor, other: QColor) -> QColor:
    return QColor(*((a + b) // 2 for a, b in zip(one.getRgb(), other.getRgb(), strict=True)))


def _words(badge: Badge) -> tuple[str, str]:
    """A word for the row, and a sentence for its tooltip."""
    return {
        "": ("", ""),
        "hidden": (
            tr("hidden"),
            tr("The layer, or a group around it, is hidden: it is no region now."),
        ),
        "empty": (tr("empty"), tr("Nothing is painted yet: paint where this should be.")),
        "nameless": (tr("no prompt"), tr("Write what should be here.")),
        "outside": (
            tr("outside"),
            tr("All of its paint lies beyond the canvas; only an extension can show it."),
        ),
        "thin": (tr("too thin"), tr("Too thin to show: paint it at least 16 pixels wide.")),
        "covered": (
            tr("covered"),
            tr("Other regions above it cover all of it: move its layer up, or make room."),
        ),
        "unlike": (
            tr("not shown"),
            tr(
                "The picture does not show this here: try another seed, plainer words, or a "
                "larger place."
            ),
        ),
    }[badge]
