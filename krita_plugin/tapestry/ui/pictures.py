"""Raw pixels and drawn symbols as pixmaps; no layout."""

from __future__ import annotations

from tapestry_protocol.pixels import Pixels

from ..qt import (
    QColor,
    QIcon,
    QImage,
    QPainter,
    QPalette,
    QPixmap,
    QPointF,
    QRectF,
    QSize,
    Qt,
)

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


def with_marks(
    picture: QPixmap | None, size: QSize, ratio: float, marks: str, palette: QPalette
) -> QPixmap:
    """A thumbnail in the middle of `size`, with signs in its corner; an empty frame without one.

    ratio  pixels of the screen for each of the widget's
    """
    canvas = QPixmap(size * ratio)
    canvas.setDevicePixelRatio(ratio)
    canvas.fill(Qt.GlobalColor.transparent)
    painter = QPainter(canvas)
    if picture is None:
        painter.setPen(palette.color(QPalette.ColorRole.Mid))
        painter.drawRect(2, 2, size.width() - 5, size.height() - 5)
    else:
        width, height = picture.width() / ratio, picture.height() / ratio
        place = QRectF((size.width() - width) / 2, (size.height() - height) / 2, width, height)
        painter.drawPixmap(place, picture, QRectF(picture.rect()))
    if marks:
        metrics = painter.fontMetrics()
        width, height = metrics.boundingRect(marks).width() + 8, metrics.height()
        plate = QRectF(size.width() - width, size.height() - height, width, height)
        painter.fillRect(plate, palette.color(QPalette.ColorRole.Highlight))
        painter.setPen(palette.color(QPalette.ColorRole.HighlightedText))
        painter.drawText(plate.bottomLeft() + QPointF(4, -metrics.descent()), marks)
    painter.end()
    return canvas
