"""The list of regions: mask, name and a checkbox for each, and what was left out; no layers."""

from __future__ import annotations

from ..layers import RegionLayer
from ..qt import QCheckBox, QHBoxLayout, QLabel, QSize, Qt, QVBoxLayout, QWidget
from ..studio import Studio
from .elided_label import ElidedLabel
from .follow import follow
from .pictures import pixmap

_THUMBNAIL = QSize(48, 32)


class RegionRow(QWidget):
    """One region."""

    def __init__(self, studio: Studio, region: RegionLayer) -> None:
        super().__init__()
        self._studio = studio
        self._region = region
        self._box = QCheckBox()
        self._box.setObjectName("tapestry_region_on")
        self._box.setChecked(region.id not in studio.scene_watch.off)
        self._box.setToolTip("Whether this layer steers the picture")
        self._box.toggled.connect(self._toggled)
        self._thumbnail = QLabel()
        self._thumbnail.setObjectName("tapestry_region_thumbnail")
        self._thumbnail.setFixedSize(_THUMBNAIL)
        self._thumbnail.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._name = ElidedLabel(region.prompt)
        self._name.setObjectName("tapestry_region_name")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 2, 0, 2)
        row.setSpacing(6)
        for widget in (self._box, self._thumbnail):
            row.addWidget(widget)
        row.addWidget(self._name, 1)
        self._name.setEnabled(self._box.isChecked())
        self.show_thumbnail()

    def show_thumbnail(self) -> None:
        """Show the mask as it was read last."""
        small = self._studio.scene_watch.thumbnails.get(self._region.id)
        if small is not None:
            self._thumbnail.setPixmap(pixmap(small, _THUMBNAIL))

    def _toggled(self, on: bool) -> None:  # noqa: FBT001  Qt calls it
        self._studio.set_region_on(self._region.id, on)
        self._name.setEnabled(on)


class RegionList(QWidget):
    """All regions, topmost first."""

    def __init__(self, studio: Studio) -> None:
        super().__init__()
        self.setObjectName("tapestry_regions")
        self._studio = studio
        self._rows: list[RegionRow] = []
        self._column = QVBoxLayout()
        self._column.setSpacing(0)
        self._remarks = QLabel()
        self._remarks.setObjectName("tapestry_remarks")
        self._remarks.setTextFormat(Qt.TextFormat.PlainText)
        self._remarks.setWordWrap(True)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(2)
        whole.addLayout(self._column)
        whole.addWidget(self._remarks)
        follow(self, studio, ("scene",), self._show_scene)
        follow(self, studio, ("thumbnails",), self._show_thumbnails)

    def _show_scene(self) -> None:
        for row in self._rows:
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        scene = self._studio.scene_watch.scene
        self._rows = [RegionRow(self._studio, region) for region in scene.regions]
        for row in self._rows:
            self._column.addWidget(row)
        ground = scene.background_prompt
        background = [f"The lowest layer is the background: {ground}."] if ground else []
        self._remarks.setText("\n".join([*background, *scene.remarks]))
        self._remarks.setVisible(bool(self._remarks.text()))

    def _show_thumbnails(self) -> None:
        for row in self._rows:
            row.show_thumbnail()
