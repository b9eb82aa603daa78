"""A small canvas with an arrow on each side: drag one, and the canvas is extended there."""

from __future__ import annotations

from ...docker_model import DockerModel
from ...document.region_extension import continued_bands
from ...document.region_overlay import color_of
from ...i18n.translation import tr
from ...qt.compat import (
    QColor,
    QEvent,
    QPainter,
    QPalette,
    QPen,
    QPointF,
    QPolygonF,
    QRectF,
    QSize,
    QSizePolicy,
    Qt,
    QWidget,
)
from ...settings.extension_presets import on_grid
from ...settings.settings import SIDES
from ..base.follow import follow
from ..base.pixmaps import pixmap

_HEIGHT_PX = 150
_ROOM = 0.55
"""The canvas takes this share of the field at most, so that there is somewhere to drag to."""
_ARROW_PX = 7
_NEAR_PX = 22

_MIDDLE = 128
"""A window with less lightness than this is dark."""

_OUTWARDS = {"top": (0, -1), "left": (-1, 0), "bottom": (0, 1), "right": (1, 0)}
"""(right, down) for each side."""


def mark_of(palette: QPalette) -> QColor:
    """The highlight of a palette as a line on its window, whether that is dark or bright."""
    mark = palette.color(QPalette.ColorRole.Highlight)
    is_dark = palette.color(QPalette.ColorRole.Window).lightness() < _MIDDLE
    return mark.lighter(150) if is_dark else mark.darker(150)


class ExtendPicture(QWidget):
    """Shows what the canvas will be, and where regions go; the numbers beside it are the same."""

    def __init__(self, docker_model: DockerModel) -> None:
        super().__init__()
        self.setObjectName("tapestry_extend_picture")
        self._docker_model = docker_model
        self._side = ""
        self._from = self._corner = QPointF()
        self._from_px = 0
        self._scale = 1.0
        self.setFixedHeight(_HEIGHT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setToolTip(tr("Drag an arrow: the canvas grows on that side"))
        follow(self, docker_model, ("settings", "scene", "thumbnails"), self.update)

    # --- where things are -------------------------------------------------------------------------

    def canvas_rectangle(self) -> QRectF:
        """Where the present canvas is, in the field."""
        height, width = self._size()
        margins = self._docker_model.settings.margins
        scale = self._present_scale()
        left = (self.width() - (width + margins.left + margins.right) * scale) / 2
        top = (self.height() - (height + margins.top + margins.bottom) * scale) / 2
        if self._side:  # what is dragged must not run away from the pointer
            left, top = self._corner.x(), self._corner.y()
            return QRectF(left, top, width * scale, height * scale)
        corner = QPointF(left + margins.left * scale, top + margins.top * scale)
        return QRectF(corner.x(), corner.y(), width * scale, height * scale)

    def outline(self) -> QRectF:
        """Where the new canvas is, in the field."""
        margins, scale = self._docker_model.settings.margins, self._present_scale()
        return self.canvas_rectangle().adjusted(
            -margins.left * scale,
            -margins.top * scale,
            margins.right * scale,
            margins.bottom * scale,
        )

    def handle(self, side: str) -> QPointF:
        """Where the arrow of this side is."""
        outline = self.outline()
        across, down = _OUTWARDS[side]
        return QPointF(
            outline.center().x() + across * (outline.width() / 2 + _ARROW_PX + 2),
            outline.center().y() + down * (outline.height() / 2 + _ARROW_PX + 2),
        )

    def _size(self) -> tuple[int, int]:
        height, width = self._docker_model.scene_watch.size
        return (height, width) if height and width else (3, 4)

    def _present_scale(self) -> float:
        """Pixels of the field for a pixel of the document."""
        if self._side:
            return self._scale
        height, width = self._size()
        margins = self._docker_model.settings.margins
        border = 2 * (_ARROW_PX * 2 + 4)
        field = QSize(max(1, self.width() - border), max(1, self.height() - border))
        return min(
            _ROOM * field.width() / width,
            _ROOM * field.height() / height,
            field.width() / (width + margins.left + margins.right),
            field.height() / (height + margins.top + margins.bottom),
        )

    # --- the mouse --------------------------------------------------------------------------------

    def mousePressEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Take hold of the nearest arrow."""
        place = _place(event)
        side = min(SIDES, key=lambda name: _distance(self.handle(name), place))
        if _distance(self.handle(side), place) > _NEAR_PX:
            return
        self._scale = self._present_scale()
        rectangle = self.canvas_rectangle()
        self._corner = rectangle.topLeft()
        self._side, self._from = side, place
        self._from_px = getattr(self._docker_model.settings.margins, side)

    def mouseMoveEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """The outline follows the pointer."""
        place = _place(event)
        near = any(_distance(self.handle(side), place) <= _NEAR_PX for side in SIDES)
        shape = Qt.CursorShape.PointingHandCursor if near else Qt.CursorShape.ArrowCursor
        self.setCursor(shape)
        if self._side:
            across, down = _OUTWARDS[self._side]
            way = (place.x() - self._from.x()) * across + (place.y() - self._from.y()) * down
            px = on_grid(self._from_px + way / self._scale)
            self._docker_model.change_and_tell(**{f"extend_{self._side}": px})

    def mouseReleaseEvent(self, _event: QEvent) -> None:  # noqa: N802  Qt's name
        """Let go: the whole is shown again."""
        self._side = ""
        self.update()

    # --- painting ---------------------------------------------------------------------------------

    def paintEvent(self, _event: QEvent) -> None:  # noqa: N802  Qt's name
        """The picture, the new outline, the arrows."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        text = palette.color(QPalette.ColorRole.WindowText)
        mark = mark_of(palette)
        painter.fillRect(self.outline(), palette.color(QPalette.ColorRole.Base))
        self._paint_regions(painter)
        self._paint_canvas(painter)
        painter.setPen(QPen(mark, 1.5, Qt.PenStyle.DashLine))
        painter.drawRect(self.outline())
        painter.setPen(Qt.PenStyle.NoPen)
        margins = self._docker_model.settings.margins
        for side in SIDES:
            painter.setBrush(mark if getattr(margins, side) else text)
            painter.drawPolygon(self._arrow(side))
        painter.end()

    def _paint_regions(self, painter: QPainter) -> None:
        """Where each region will go, in the colours of the list."""
        watch, settings = self._docker_model.scene_watch, self._docker_model.settings
        if not settings.continue_regions or not all(watch.size):
            return
        rows = watch.scene.rows
        found = {row.id: watch.thumbnail(row.id) for row in rows}
        masks = {name: mask for name, mask in found.items() if mask is not None}
        corner, scale = self.canvas_rectangle().topLeft(), self._present_scale()
        bands = continued_bands(rows, masks, watch.size, settings.margins, wrap=settings.wrap)
        for number, part in bands:
            left, top = corner.x() + part.left * scale, corner.y() + part.top * scale
            color = QColor(*color_of(number))
            painter.fillRect(QRectF(left, top, part.width * scale, part.height * scale), color)

    def _paint_canvas(self, painter: QPainter) -> None:
        rectangle = self.canvas_rectangle()
        picture = self._docker_model.scene_watch.picture
        if picture is None:
            painter.fillRect(rectangle, self.palette().color(QPalette.ColorRole.Mid))
            return
        sharp = self.devicePixelRatioF()
        shown = pixmap(picture, rectangle.size().toSize(), sharp)
        painter.drawPixmap(rectangle, shown, QRectF(shown.rect()))

    def _arrow(self, side: str) -> QPolygonF:
        across, down = _OUTWARDS[side]
        middle = self.handle(side)
        tip = QPointF(middle.x() + across * _ARROW_PX, middle.y() + down * _ARROW_PX)
        base = QPointF(middle.x() - across * 2, middle.y() - down * 2)
        return QPolygonF(
            [
                tip,
                QPointF(base.x() + down * _ARROW_PX, base.y() + across * _ARROW_PX),
                QPointF(base.x() - down * _ARROW_PX, base.y() - across * _ARROW_PX),
            ]
        )


def _place(event: QEvent) -> QPointF:
    """Where the pointer is: Qt 6 has another call for it."""
    return event.position() if hasattr(event, "position") else QPointF(event.pos())


def _distance(one: QPointF, other: QPointF) -> float:
    apart = one - other
    return (apart.x() ** 2 + apart.y() ** 2) ** 0.5
