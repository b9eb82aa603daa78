"""The only room that imports PyQt5 or PyQt6; everything else takes Qt from here.

Krita 5 brings PyQt5, Krita 6 brings PyQt6; Krita has loaded its own before any plugin. Enumerations
are written in full everywhere (`Qt.AlignmentFlag.AlignLeft`), the one form that both understand.
"""
# ruff: noqa: F401  every name here is for the other rooms

from __future__ import annotations

import sys
from importlib.util import find_spec

if "PyQt6.QtCore" in sys.modules or find_spec("PyQt5") is None:
    from PyQt6.QtCore import (
        QByteArray,
        QEvent,
        QLocale,
        QObject,
        QPoint,
        QPointF,
        QRect,
        QRectF,
        QSize,
        QStringListModel,
        Qt,
        QTimer,
        QUuid,
    )
    from PyQt6.QtGui import (
        QAction,
        QColor,
        QIcon,
        QImage,
        QKeyEvent,
        QMouseEvent,
        QPainter,
        QPalette,
        QPen,
        QPixmap,
        QPolygonF,
        QWheelEvent,
    )
    from PyQt6.QtNetwork import (
        QAbstractSocket,
        QNetworkProxy,
        QTcpSocket,
    )
    from PyQt6.QtWidgets import (
        QAbstractButton,
        QAbstractItemView,
        QAbstractSlider,
        QAbstractSpinBox,
        QApplication,
        QButtonGroup,
        QCheckBox,
        QComboBox,
        QCompleter,
        QDialog,
        QDialogButtonBox,
        QDoubleSpinBox,
        QFileDialog,
        QFormLayout,
        QFrame,
        QGridLayout,
        QHBoxLayout,
        QLabel,
        QLineEdit,
        QListView,
        QListWidget,
        QListWidgetItem,
        QMenu,
        QPlainTextEdit,
        QProgressBar,
        QPushButton,
        QScrollArea,
        QSizePolicy,
        QSlider,
        QSpinBox,
        QStackedWidget,
        QToolButton,
        QVBoxLayout,
        QWidget,
    )
else:
    from PyQt5.QtCore import (
        QByteArray,
        QEvent,
        QLocale,
        QObject,
        QPoint,
        QPointF,
        QRect,
        QRectF,
        QSize,
        QStringListModel,
        Qt,
        QTimer,
        QUuid,
    )
    from PyQt5.QtGui import (
        QColor,
        QIcon,
        QImage,
        QKeyEvent,
        QMouseEvent,
        QPainter,
        QPalette,
        QPen,
        QPixmap,
        QPolygonF,
        QWheelEvent,
    )
    from PyQt5.QtNetwork import (
        QAbstractSocket,
        QNetworkProxy,
        QTcpSocket,
    )
    from PyQt5.QtWidgets import (
        QAbstractButton,
        QAbstractItemView,
        QAbstractSlider,
        QAbstractSpinBox,
        QAction,
        QApplication,
        QButtonGroup,
        QCheckBox,
        QComboBox,
        QCompleter,
        QDialog,
        QDialogButtonBox,
        QDoubleSpinBox,
        QFileDialog,
        QFormLayout,
        QFrame,
        QGridLayout,
        QHBoxLayout,
        QLabel,
        QLineEdit,
        QListView,
        QListWidget,
        QListWidgetItem,
        QMenu,
        QPlainTextEdit,
        QProgressBar,
        QPushButton,
        QScrollArea,
        QSizePolicy,
        QSlider,
        QSpinBox,
        QStackedWidget,
        QToolButton,
        QVBoxLayout,
        QWidget,
    )
