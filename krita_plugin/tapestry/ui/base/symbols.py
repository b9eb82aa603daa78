"""Symbols in the colour of the text around them, so that they fit a dark and a light theme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ...qt.compat import (
    QColor,
    QEvent,
    QIcon,
    QPainter,
    QPalette,
    QPixmap,
    QPointF,
    QPolygonF,
    QRectF,
    Qt,
    QToolButton,
    QWidget,
)

Symbol = Literal["dice", "locked", "unlocked", "plus", "overlay", "eye", "clock", "keep", "remove"]

_SIDE = 64
_SCALE = _SIDE / 32
"""Drawn on a field of 32 x 32, with twice as many pixels for screens of 200 %."""


def symbol_icon(symbol: Symbol, color: QColor) -> QIcon:
    """A symbol drawn in this colour."""
    picture = QPixmap(_SIDE, _SIDE)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(_SCALE, _SCALE)
    pen = painter.pen()
    pen.setColor(color)
    pen.setWidthF(2.5)
    painter.setPen(pen)
    _DRAWINGS[symbol](painter, color)
    painter.end()
    return QIcon(picture)


class SymbolButton(QToolButton):
    """A button with a symbol that follows the theme."""

    def __init__(self, symbol: Symbol, name: str, tip: str) -> None:
        super().__init__()
        self._symbol: Symbol = symbol
        self.setObjectName(name)
        self.setToolTip(tip)
        self.setAccessibleName(tip)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._draw()

    def show_symbol(self, symbol: Symbol) -> None:
        """Show another one."""
        self._symbol = symbol
        self._draw()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  Qt's name
        """Another theme has other colours."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw()

    def _draw(self) -> None:
        self.setIcon(symbol_icon(self._symbol, text_color(self)))


def text_color(widget: QWidget) -> QColor:
    """The colour of the text on this widget's buttons."""
    return widget.palette().color(QPalette.ColorRole.ButtonText)


def _dice(painter: QPainter, color: QColor) -> None:
    painter.drawRoundedRect(QRectF(3, 3, 26, 26), 6, 6)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    for x, y in ((9.5, 9.5), (22.5, 9.5), (16.0, 16.0), (9.5, 22.5), (22.5, 22.5)):
        painter.drawEllipse(QPointF(x, y), 2.6, 2.6)


def _locked(painter: QPainter, color: QColor) -> None:
    painter.drawArc(QRectF(9, 3, 14, 20), 0, 180 * 16)
    painter.setBrush(color)
    painter.drawRoundedRect(QRectF(6, 14, 20, 14), 2, 2)


def _unlocked(painter: QPainter, _color: QColor) -> None:
    painter.drawArc(QRectF(15, 3, 14, 20), 0, 180 * 16)
    painter.drawRoundedRect(QRectF(3, 14, 20, 14), 2, 2)


def _plus(painter: QPainter, _color: QColor) -> None:
    painter.drawLine(QPointF(16, 5), QPointF(16, 27))
    painter.drawLine(QPointF(5, 16), QPointF(27, 16))


def _draw_overlay(painter: QPainter, color: QColor) -> None:
    painter.drawRoundedRect(QRectF(3, 5, 26, 22), 2, 2)
    painter.setBrush(color)
    corners = (QPointF(3, 27), QPointF(12, 12), QPointF(18, 20), QPointF(22, 15), QPointF(29, 27))
    painter.drawPolygon(QPolygonF(corners))


def _eye(painter: QPainter, color: QColor) -> None:
    painter.drawArc(QRectF(2, 8, 28, 28), 35 * 16, 110 * 16)
    painter.drawArc(QRectF(2, -4, 28, 28), 215 * 16, 110 * 16)
    painter.setBrush(color)
    painter.drawEllipse(QPointF(16, 16), 3.5, 3.5)


def _clock(painter: QPainter, _color: QColor) -> None:
    painter.drawEllipse(QRectF(4, 4, 24, 24))
    painter.drawPolyline(QPolygonF((QPointF(16, 9), QPointF(16, 16), QPointF(21, 19))))


def _keep(painter: QPainter, _color: QColor) -> None:
    painter.drawPolyline(QPolygonF((QPointF(16, 4), QPointF(16, 21))))
    painter.drawPolyline(QPolygonF((QPointF(9, 14), QPointF(16, 21), QPointF(23, 14))))
    painter.drawPolyline(
        QPolygonF((QPointF(4, 20), QPointF(4, 28), QPointF(28, 28), QPointF(28, 20)))
    )


def _remove(painter: QPainter, _color: QColor) -> None:
    painter.drawLine(QPointF(5, 16), QPointF(27, 16))


_DRAWINGS: dict[str, Callable[[QPainter, QColor], None]] = {
    "dice": _dice,
    "locked": _locked,
    "unlocked": _unlocked,
    "plus": _plus,
    "overlay": _draw_overlay,
    "eye": _eye,
    "clock": _clock,
    "keep": _keep,
    "remove": _remove,
}
