"""Raw pixels as pixmaps."""

from __future__ import annotations

from tapestry_protocol.pixels import Pixels

from ...qt.compat import QColor, QImage, QPainter, QPalette, QPixmap, QPointF, QRectF, QSize, Qt

_FORMATS = {1: QImage.Format.Format_Grayscale8, 4: QImage.Format.Format_RGBA8888}


def pixmap(pixels: Pixels, size: QSize, sharpness: float = 1.0) -> QPixmap:
    """A mask (1 channel) or picture (4 channels), scaled to fit into `size`.

    sharpness   of the screen: pixels of its own on each of the widget's, 2 at 200 %
    """
    image = QImage(
        pixels.data,
        pixels.width,
        pixels.height,
        pixels.width * pixels.channels,
        _FORMATS[pixels.channels],
    )
    return _fitted(QPixmap.fromImage(image), size, sharpness)


def mask_pixmap(mask: Pixels, size: QSize, color: QColor, sharpness: float = 1.0) -> QPixmap:
    """A mask in this colour, before transparency."""
    data = bytearray(4 * len(mask.data))
    for channel, value in enumerate((color.red(), color.green(), color.blue())):
        data[channel::4] = bytes([value]) * len(mask.data)
    data[3::4] = mask.data
    image = QImage(bytes(data), mask.width, mask.height, 4 * mask.width, _FORMATS[4])
    return _fitted(QPixmap.fromImage(image), size, sharpness)


def framed(picture: QPixmap, size: QSize, ground: QColor, sharpness: float = 1.0) -> QPixmap:
    """The picture in the middle of a field of this colour."""
    whole = QPixmap(size * sharpness)
    whole.setDevicePixelRatio(sharpness)
    whole.fill(ground)
    painter = QPainter(whole)
    width, height = picture.width() / sharpness, picture.height() / sharpness
    left, top = (size.width() - width) / 2, (size.height() - height) / 2
    painter.drawPixmap(int(left), int(top), picture)
    painter.end()
    return whole


def _fitted(picture: QPixmap, size: QSize, sharpness: float) -> QPixmap:
    scaled = picture.scaled(
        size * sharpness,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
    scaled.setDevicePixelRatio(sharpness)
    return scaled


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
