"""The page about the backend: its state, models, device, place, log; and what results do."""

from __future__ import annotations

from collections.abc import Callable

from ...backend.choice import BackendChoice
from ...backend.controller import BackendController
from ...docker_model import DockerModel
from ...i18n.translation import tr
from ...qt.compat import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QIcon,
    QLabel,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSpinBox,
    Qt,
    QTimer,
    QVBoxLayout,
    QWidget,
)
from ...settings.settings import LARGEST_HISTORY_MB, SMALLEST_HISTORY_MB
from ..base.field_behaviour import column_in, row_of, show_value, words_of_others
from ..base.follow import follow
from .installed_part import InstalledSection

_SIZE_PX = (420, 620)
_LIST_HEIGHT_PX = 72
_LOG_HEIGHT_PX = 140
_LOOK_EVERY_MS = 1000


class BackendPage(QDialog):
    """Stays open beside the docker."""

    def __init__(
        self, docker_model: DockerModel, backend_controller: BackendController, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setObjectName("tapestry_backend_page")
        self.setWindowTitle(tr("Tapestry: backend and results"))
        self.resize(*_SIZE_PX)
        self._docker_model, self._backend_controller = docker_model, backend_controller
        self._facts = words_of_others("tapestry_backend_facts")
        self._models = self._make_models()
        self._device = self._make_device()
        self._address = _line("tapestry_backend_address", tr("localhost:7865, or empty"))
        self._server_file = _line("tapestry_backend_file", tr("its server.json, or empty"))
        self._log = QPlainTextEdit()
        self._log.setObjectName("tapestry_backend_log")
        self._log.setReadOnly(True)
        self._log.setMinimumHeight(_LOG_HEIGHT_PX)
        column = QVBoxLayout(self)
        column.addWidget(self._make_contents(), 1)
        column.addWidget(self._make_buttons())
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_EVERY_MS)
        self._timer.timeout.connect(self._show_log)
        follow(self, docker_model, ("backend", "models"), self._show_facts)
        self._show_choice()

    def showEvent(self, event: object) -> None:  # noqa: N802  Qt's name
        """Follow the log."""
        super().showEvent(event)
        self._show_log()
        self._timer.start()

    def hideEvent(self, event: object) -> None:  # noqa: N802  Qt's name
        """The log is out of sight: stop following it."""
        super().hideEvent(event)
        self._timer.stop()

    # --- parts ------------------------------------------------------------------------------------

    def _make_contents(self) -> QScrollArea:
        contents = QWidget()
        column = QVBoxLayout(contents)
        column.setContentsMargins(0, 0, 0, 0)
        for title, part in (
            (tr("State"), self._facts),
            (tr("Models"), self._make_model_part()),
            (tr("Where it paints"), self._make_place_part()),
            (tr("Results"), self._make_result_part()),
            (tr("Log"), self._log),
        ):
            column.addWidget(_title(title))
            column.addWidget(part)
        column.addStretch(1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(contents)
        bar = area.verticalScrollBar().sizeHint().width()
        area.setMinimumWidth(contents.minimumSizeHint().width() + bar)
        return area

    def _make_models(self) -> QListWidget:
        models = QListWidget()
        models.setObjectName("tapestry_backend_models")
        models.setFixedHeight(_LIST_HEIGHT_PX)
        models.setToolTip(
            tr(
                "Folders with checkpoints (single files, or in diffusers layout), beside those "
                "that are found"
            )
        )
        return models

    def _make_model_part(self) -> QWidget:
        add = _button("tapestry_backend_add_model", tr("Add a folder\u2026"), self._add_model)
        take = _button("tapestry_backend_remove_model", tr("Remove"), self._remove_model)
        return _stacked(self._models, row_of(add, take))

    def _make_device(self) -> QComboBox:
        device = QComboBox()
        device.setObjectName("tapestry_backend_device")
        for value, text in (
            ("", tr("The fastest there is")),
            ("cpu", tr("The processor")),
            ("cuda:0", tr("The first graphics card")),
            ("cuda:1", tr("The second graphics card")),
            ("cuda:2", tr("The third graphics card")),
            ("cuda:3", tr("The fourth graphics card")),
            ("mps", tr("The graphics of an Apple chip")),
        ):
            device.addItem(text, value)
        device.setToolTip(tr("A graphics card is ten to a hundred times as fast"))
        return device

    def _make_place_part(self) -> QWidget:
        choose = _button("tapestry_backend_choose_file", "\u2026", self._choose_file)
        choose.setToolTip(tr("Choose the copy of the other computer's server.json"))
        part = QWidget()
        form = QFormLayout(part)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(tr("Device"), self._device)
        form.addRow(tr("Other computer"), self._address)
        form.addRow(tr("Its token file"), row_of(self._server_file, choose))
        use = _button("tapestry_backend_use", tr("Use these, and start anew"), self._use)
        return _stacked(part, use, InstalledSection(self._docker_model, self._backend_controller))

    def _make_result_part(self) -> QWidget:
        boxes = []
        for name, text in (
            ("apply_at_once", tr("Make a layer of a finished picture at once")),
            ("in_regions", tr("Make it a group: each region's own picture, under a mask")),
            ("live_on_canvas", tr("Show a picture on the canvas while it is painted")),
            ("live_in_docker", tr("Show it in the docker while it is painted")),
        ):
            box = QCheckBox(text)
            box.setObjectName(f"tapestry_{name}")
            self._follow_setting(box, name)
            box.toggled.connect(lambda on, name=name: self._docker_model.change(**{name: on}))
            boxes.append(box)
        size = QSpinBox()
        size.setObjectName("tapestry_history_mb")
        size.setRange(SMALLEST_HISTORY_MB, LARGEST_HISTORY_MB)
        size.setSingleStep(256)
        size.setSuffix(" MiB")
        self._follow_setting(size, "history_mb")
        size.setToolTip(tr("The oldest pictures give way, favourites stay"))
        size.valueChanged.connect(lambda value: self._docker_model.change(history_mb=value))
        return _stacked(*boxes, row_of(QLabel(tr("Pictures on disk")), size))

    def _follow_setting(self, field: QCheckBox | QSpinBox, name: str) -> None:
        follow(
            field,
            self._docker_model,
            ("settings",),
            lambda: show_value(field, getattr(self._docker_model.settings, name)),
        )

    def _make_buttons(self) -> QDialogButtonBox:
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = _button("tapestry_copy_diagnostics", tr("Copy diagnostics"), self._copy)
        copy.setToolTip(tr("For whoever helps you: versions, states and logs, without secrets"))
        buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
        # Qt's own picture of a cross cannot be seen in Krita's dark theme.
        close = buttons.button(QDialogButtonBox.StandardButton.Close)
        close.setIcon(QIcon())
        close.setText(tr("Close"))  # Qt's own is English where Krita has no texts of this language
        buttons.rejected.connect(self.hide)
        return buttons

    # --- showing ----------------------------------------------------------------------------------

    def _show_facts(self) -> None:
        lines = [f"{name}: {value}" for name, value in self._backend_controller.facts]
        if [model.id for model in self._backend_controller.models] == ["sample"]:
            lines.append(
                tr(
                    "Only the bundled demonstration model is here. Add a folder with your "
                    "checkpoints below."
                )
            )
        self._facts.setText("\n".join(lines))

    def _show_choice(self) -> None:
        choice = self._backend_controller.choice
        self._models.clear()
        self._models.addItems(list(choice.models))
        self._device.setCurrentIndex(max(0, self._device.findData(choice.device)))
        self._address.setText(choice.address)
        self._server_file.setText(choice.server_file)

    def _show_log(self) -> None:
        text = self._backend_controller.log
        if text != self._log.toPlainText():
            self._log.setPlainText(text)
            bar = self._log.verticalScrollBar()
            bar.setValue(bar.maximum())

    # --- what the artist does ---------------------------------------------------------------------

    def _add_model(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, tr("A folder with a model"))
        if folder:
            self._models.addItem(folder)

    def _remove_model(self) -> None:
        row = self._models.currentRow()
        if row >= 0:
            self._models.takeItem(row)

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("The other computer's server.json"))
        if path:
            self._server_file.setText(path)

    def _use(self) -> None:
        models = [self._models.item(row).text() for row in range(self._models.count())]
        self._docker_model.choose_backend(
            BackendChoice(
                tuple(models),
                self._device.currentData(),
                self._address.text().strip(),
                self._server_file.text().strip(),
            )
        )

    def _copy(self) -> None:
        QApplication.clipboard().setText(self._backend_controller.report())


def _line(name: str, hint: str) -> QLineEdit:
    line = QLineEdit()
    line.setObjectName(name)
    line.setPlaceholderText(hint)
    return line


def _button(name: str, text: str, action: Callable[[], object]) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.clicked.connect(lambda _checked: action())
    return button


def _title(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def _stacked(*parts: QWidget | QHBoxLayout) -> QWidget:
    stack = QWidget()
    column_in(stack, *parts)
    return stack
