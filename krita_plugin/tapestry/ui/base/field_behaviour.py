"""How all fields of the docker behave: narrow, calm under the wheel, silent when they are set."""

from __future__ import annotations

from ...qt.compat import (
    QAbstractButton,
    QDoubleSpinBox,
    QEvent,
    QHBoxLayout,
    QLabel,
    QObject,
    QSignalBlocker,
    QSizePolicy,
    QSlider,
    QSpinBox,
    Qt,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

NARROWEST_PX = 56
SPACING_PX = 4


class _Calm(QObject):
    """Lets the wheel scroll the docker instead of changing a field without focus."""

    def eventFilter(self, field: QObject, event: QEvent) -> bool:  # noqa: N802  Qt's name
        if event.type() == QEvent.Type.Wheel and not field.hasFocus():
            event.ignore()
            return True
        return False


def calm(field: QWidget) -> None:
    """Change the field's value by the wheel only after it was clicked or reached by Tab."""
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    field.installEventFilter(_Calm(field))


def show_value(field: QAbstractButton | QDoubleSpinBox | QSlider | QSpinBox, value: float) -> None:
    """Set a field to what the docker's model has, without its signal, which would set the model."""
    with QSignalBlocker(field):
        if isinstance(field, QAbstractButton):
            field.setChecked(bool(value))
        else:
            field.setValue(value)


def narrow(field: QWidget, least_px: int = NARROWEST_PX) -> None:
    """Let a field be as narrow as the docker; spin boxes and lists ask for more."""
    field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    field.setMinimumWidth(least_px)


def row_of(*widgets: QWidget | tuple[QWidget, int]) -> QHBoxLayout:
    """Widgets beside each other; one that is given with a number takes that share of the rest."""
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(SPACING_PX)
    for widget in widgets:
        if isinstance(widget, tuple):
            row.addWidget(*widget)
        else:
            row.addWidget(widget)
    return row


def column_in(holder: QWidget, *parts: QWidget | QHBoxLayout) -> QVBoxLayout:
    """Fill a widget with others below each other."""
    column = QVBoxLayout(holder)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(SPACING_PX)
    for part in parts:
        if isinstance(part, QWidget):
            column.addWidget(part)
        else:
            column.addLayout(part)
    return column


def expander(name: str, tip: str) -> QToolButton:
    """A small arrow that points at what is open while it is checked."""
    arrow = QToolButton()
    arrow.setObjectName(name)
    arrow.setCheckable(True)
    arrow.setAutoRaise(True)
    arrow.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    arrow.setToolTip(tip)
    arrow.setAccessibleName(tip)
    _point(arrow, is_open=False)
    arrow.toggled.connect(lambda is_open: _point(arrow, is_open=is_open))
    return arrow


def words_of_others(name: str) -> QLabel:
    """A label for text that comes from elsewhere: taken literally, and can be copied."""
    label = QLabel()
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setWordWrap(True)
    return label


class FoldedSection(QWidget):
    """A title that opens and closes what is below it."""

    def __init__(
        self, title: str, name: str, content: QWidget, *, is_open: bool = False, tip: str = ""
    ) -> None:
        super().__init__()
        self._title = QToolButton()
        self._title.setObjectName(name)
        self._title.setText(title)
        self._title.setToolTip(tip)
        self._title.setAutoRaise(True)
        self._title.setCheckable(True)
        self._title.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._title.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._content = content
        self._title.toggled.connect(self._show_content)
        self._title.setChecked(is_open)
        self._show_content(is_open)
        column_in(self, self._title, content)

    def _show_content(self, is_open: bool) -> None:  # noqa: FBT001  Qt calls it
        _point(self._title, is_open=is_open)
        self._content.setVisible(is_open)


def _point(arrow: QToolButton, *, is_open: bool) -> None:
    arrow.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
