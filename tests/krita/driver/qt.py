"""Qt as the Krita around us has it: PyQt5 in Krita 5, PyQt6 in Krita 6."""

import sys

if "PyQt6.QtCore" in sys.modules:
    from PyQt6.QtCore import QByteArray, QEvent, QObject, QPointF, Qt, QTimer, QUuid
    from PyQt6.QtGui import QImage, QMouseEvent
    from PyQt6.QtWidgets import QApplication, QDockWidget, QMenu, QScrollArea, QWidget
else:
    from PyQt5.QtCore import QByteArray, QEvent, QObject, QPointF, Qt, QTimer, QUuid
    from PyQt5.QtGui import QImage, QMouseEvent
    from PyQt5.QtWidgets import QApplication, QDockWidget, QMenu, QScrollArea, QWidget

__all__ = [
    "QApplication",
    "QByteArray",
    "QDockWidget",
    "QEvent",
    "QImage",
    "QMenu",
    "QMouseEvent",
    "QObject",
    "QPointF",
    "QScrollArea",
    "QTimer",
    "QUuid",
    "QWidget",
    "Qt",
]
