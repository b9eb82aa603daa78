"""Raw pixels and drawn symbols as pixmaps; no layout."""

from __future__ import annotations

from tapestry_protocol.pixels import Pixels

from ..qt import QColor, QIcon, QImage, QPainter, QPixmap, QPointF, QRectF, QSize, Qt

_FORMATS = {1: QImage.Format.Format_Grayscale8, 4: QImage.Format.Format_RGBA8888}

_DICE_PX = 32
_PIPS = ((9.5, 9.5), (22.5, 9.5), (16.0, 16.0), (9.5, 22.5), (22.5, 22.5))


def pixmap(pixels: Pixels, size: QSize) -> QPixmap:
    """A mask (1 channel) or picture (4 channels), scaled to fit into `size`."""
    image = QImage(
        pixels.data,
        pixels.width,
        pixels.height,
        pixels.width * pixels.channels,
        _FORMATS[pixels.channels],
    )
    return QPixmap.fromImage(image).scaled(
        size,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )


def dice_icon(color: QColor) -> QIcon:
    """A die that shows five, drawn in this colour."""
    picture = QPixmap(_DICE_PX, _DICE_PX)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    pen = painter.pen()
    pen.setColor(color)
    pen.setWidthF(2.5)
    painter.setPen(pen)
    painter.drawRoundedRect(QRectF(3, 3, 26, 26), 6, 6)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    for x, y in _PIPS:
        painter.drawEllipse(QPointF(x, y), 2.6, 2.6)
    painter.end()
    return QIcon(picture)
