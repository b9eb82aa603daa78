"""The only module that imports PyQt5 or PyQt6; everything else takes Qt from here.

Krita 5 brings PyQt5, Krita 6 brings PyQt6; Krita has loaded its own before any plugin. Enumerations
are written in full everywhere (`Qt.AlignmentFlag.AlignLeft`), the one form that both understand.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

if "PyQt6.QtCore" in sys.modules or find_spec("PyQt5") is None:
    from PyQt6 import QtCore, QtGui, QtNetwork, QtOpenGLWidgets, QtWidgets

    QAction = QtGui.QAction
    QOpenGLWidget = QtOpenGLWidgets.QOpenGLWidget
else:
    from PyQt5 import QtCore, QtGui, QtNetwork, QtWidgets

    QAction = QtWidgets.QAction
    QOpenGLWidget = QtWidgets.QOpenGLWidget

QByteArray = QtCore.QByteArray
QEvent = QtCore.QEvent
QLocale = QtCore.QLocale
QObject = QtCore.QObject
QPoint = QtCore.QPoint
QPointF = QtCore.QPointF
QRect = QtCore.QRect
QRectF = QtCore.QRectF
QSignalBlocker = QtCore.QSignalBlocker
QSize = QtCore.QSize
QStringListModel = QtCore.QStringListModel
Qt = QtCore.Qt
QTimer = QtCore.QTimer
QUrl = QtCore.QUrl
QUuid = QtCore.QUuid

QColor = QtGui.QColor
QIcon = QtGui.QIcon
QImage = QtGui.QImage
QKeyEvent = QtGui.QKeyEvent
QMouseEvent = QtGui.QMouseEvent
QPainter = QtGui.QPainter
QPalette = QtGui.QPalette
QPen = QtGui.QPen
QPixmap = QtGui.QPixmap
QPolygonF = QtGui.QPolygonF
QWheelEvent = QtGui.QWheelEvent

QAbstractSocket = QtNetwork.QAbstractSocket
QNetworkAccessManager = QtNetwork.QNetworkAccessManager
QNetworkProxy = QtNetwork.QNetworkProxy
QNetworkReply = QtNetwork.QNetworkReply
QNetworkRequest = QtNetwork.QNetworkRequest
QSslCertificate = QtNetwork.QSslCertificate
QSslConfiguration = QtNetwork.QSslConfiguration
QTcpSocket = QtNetwork.QTcpSocket

QAbstractButton = QtWidgets.QAbstractButton
QAbstractItemView = QtWidgets.QAbstractItemView
QAbstractSlider = QtWidgets.QAbstractSlider
QAbstractSpinBox = QtWidgets.QAbstractSpinBox
QApplication = QtWidgets.QApplication
QButtonGroup = QtWidgets.QButtonGroup
QCheckBox = QtWidgets.QCheckBox
QComboBox = QtWidgets.QComboBox
QCompleter = QtWidgets.QCompleter
QDialog = QtWidgets.QDialog
QDialogButtonBox = QtWidgets.QDialogButtonBox
QDoubleSpinBox = QtWidgets.QDoubleSpinBox
QFileDialog = QtWidgets.QFileDialog
QFormLayout = QtWidgets.QFormLayout
QFrame = QtWidgets.QFrame
QGridLayout = QtWidgets.QGridLayout
QHBoxLayout = QtWidgets.QHBoxLayout
QLabel = QtWidgets.QLabel
QLineEdit = QtWidgets.QLineEdit
QListView = QtWidgets.QListView
QListWidget = QtWidgets.QListWidget
QListWidgetItem = QtWidgets.QListWidgetItem
QMenu = QtWidgets.QMenu
QPlainTextEdit = QtWidgets.QPlainTextEdit
QProgressBar = QtWidgets.QProgressBar
QPushButton = QtWidgets.QPushButton
QScrollArea = QtWidgets.QScrollArea
QSizePolicy = QtWidgets.QSizePolicy
QSlider = QtWidgets.QSlider
QSpinBox = QtWidgets.QSpinBox
QStackedWidget = QtWidgets.QStackedWidget
QToolButton = QtWidgets.QToolButton
QVBoxLayout = QtWidgets.QVBoxLayout
QWidget = QtWidgets.QWidget
