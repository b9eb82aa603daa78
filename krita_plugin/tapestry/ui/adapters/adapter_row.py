"""One adapter on the picture or on a region: its weight, what it is shown, and when."""

from __future__ import annotations

from tapestry_protocol.adapters import MAPS, ControlType
from tapestry_protocol.limits import MAX_ADAPTER_WEIGHT

from ...docker_model import DockerModel
from ...document.adapter_settings import CONTROLS, AdapterKind, AdapterSettings, Show, least_weight
from ...i18n.translation import tr
from ...qt.compat import (
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QLabel,
    QSpinBox,
    QWidget,
)
from ..base.elided_label import ElidedLabel
from ..base.field_behaviour import calm, column_in, expander, narrow, row_of, show_value
from ..base.symbols import SymbolButton

_WEIGHT_PX = 62
_SHARE_PX = 70


class AdapterRow(QFrame):
    """A name and a weight; below it, for what is shown a picture, which one and how.

    layer_id  the region's, or `PICTURE`
    place     among those of the region
    """

    def __init__(
        self, docker_model: DockerModel, layer_id: str, place: int, laid: AdapterSettings
    ) -> None:
        super().__init__()
        self.setObjectName("tapestry_adapter")
        self._docker_model = docker_model
        self._layer_id = layer_id
        self._place = place
        self._laid = laid
        name, tip = kind_words(laid.kind)
        self._name = ElidedLabel(laid.adapter)
        self._name.setToolTip(f"{name}: {laid.adapter}\n{tip}")
        self._unknown = QLabel(tr("does not fit"))
        self._unknown.setObjectName("tapestry_adapter_unknown")
        self._unknown.setToolTip(
            tr("The backend does not have it for this model: choose another model, or remove it.")
        )
        self._weight = self._make_weight()
        remove = SymbolButton("remove", "tapestry_adapter_remove", tr("Remove it"))
        remove.clicked.connect(lambda _checked: docker_model.adapters.remove(layer_id, place))
        line = row_of((self._name, 1), self._unknown, self._weight)
        column = column_in(self, line)
        column.setContentsMargins(4, 0, 0, 0)
        if laid.kind != "lora":
            self._layers, self._shows = self._make_layers(), self._make_shows()
            self._more = self._make_share_fields()
            self._types = self._make_types()
            column.addLayout(row_of((self._layers, 3), (self._shows, 2)))
            column.addWidget(self._types)
            column.addWidget(self._more)
            tip = tr("From which step on it counts, and until which")
            arrow = expander("tapestry_adapter_more", tip)
            arrow.toggled.connect(self._more.setVisible)
            line.addWidget(arrow)
        line.addWidget(remove)

    @property
    def adapter(self) -> tuple[str, AdapterKind]:
        """Which one it is; a row shows no other than this."""
        return self._laid.adapter, self._laid.kind

    def show_laid(self, laid: AdapterSettings) -> None:
        """Show what is set now."""
        self._laid = laid
        adapters = self._docker_model.adapters
        known = {info.id for info in adapters.offered}
        self._unknown.setVisible(bool(adapters.known) and laid.adapter not in known)
        show_value(self._weight, laid.weight)
        if laid.kind != "lora":
            self._show_layers()
            self._shows.setCurrentIndex(self._shows.findData(laid.show))
            self._shows.setVisible(laid.kind in CONTROLS and laid.show not in MAPS)
            self._show_types()
            show_value(self._start, round(100 * laid.start))
            show_value(self._end, round(100 * laid.end))

    # --- the fields -------------------------------------------------------------------------------

    def _make_weight(self) -> QDoubleSpinBox:
        weight = QDoubleSpinBox()
        weight.setObjectName("tapestry_adapter_weight")
        weight.setDecimals(2)
        weight.setRange(least_weight(self._laid.kind), MAX_ADAPTER_WEIGHT)
        weight.setSingleStep(0.05)
        weight.setKeyboardTracking(False)
        weight.setFixedWidth(_WEIGHT_PX)
        weight.setToolTip(
            tr("How much it changes the picture: 0 is not at all, 1 is what it was made for.")
        )
        weight.setAccessibleName(tr("Weight of {adapter}").format(adapter=self._laid.adapter))
        calm(weight)
        weight.valueChanged.connect(lambda value: self._set(weight=round(value, 2)))
        return weight

    def _make_layers(self) -> QComboBox:
        layers = QComboBox()
        layers.setObjectName("tapestry_adapter_layer")
        layers.setToolTip(
            tr("The layer whose style or subject is taken; it is no region then.")
            if self._laid.kind == "ip_adapter"
            else tr("The layer that says what shall be where; it is no region then.")
        )
        layers.setAccessibleName(tr("Layer for {adapter}").format(adapter=self._laid.adapter))
        narrow(layers)
        calm(layers)
        layers.activated.connect(lambda index: self._choose(layers.itemData(index)))
        return layers

    def _make_shows(self) -> QComboBox:
        shows = QComboBox()
        shows.setObjectName("tapestry_adapter_show")
        for show, word in _shows().items():
            shows.addItem(word, show)
        shows.setToolTip(
            tr(
                "What is made of the layer before it is shown: nothing, its lines white on black, "
                "or its edges. It should be what the network was trained with."
            )
        )
        shows.setAccessibleName(tr("What is made of the layer"))
        narrow(shows)
        calm(shows)
        shows.activated.connect(lambda index: self._set(show=shows.itemData(index)))
        return shows

    def _make_types(self) -> QComboBox:
        types = QComboBox()
        types.setObjectName("tapestry_adapter_type")
        types.setToolTip(
            tr(
                "Of what type the picture is: this ControlNet is several in one. Edges and maps "
                "that are made of the layer tell it themselves."
            )
        )
        types.setAccessibleName(tr("Type of the picture"))
        narrow(types)
        calm(types)
        types.activated.connect(lambda index: self._set(control_type=types.itemData(index)))
        types.hide()
        return types

    def _make_share_fields(self) -> QWidget:
        self._start = self._make_share("start", tr("From"))
        self._end = self._make_share("end", tr("To"))
        more = QWidget()
        words = QLabel(tr("Steps"))
        to = QLabel("\u2013")
        line = row_of((words, 1), self._start, to, self._end)
        column_in(more, line)
        more.hide()
        return more

    def _make_share(self, field: str, name: str) -> QSpinBox:
        share = QSpinBox()
        share.setObjectName(f"tapestry_adapter_{field}")
        share.setRange(0, 100)
        share.setSingleStep(5)
        share.setSuffix(" %")
        share.setKeyboardTracking(False)
        share.setFixedWidth(_SHARE_PX)
        share.setAccessibleName(name)
        share.setToolTip(
            tr(
                "In which part of the steps it counts. The first steps decide where things are, "
                "the last ones paint details: an early end leaves those free."
            )
        )
        calm(share)
        share.valueChanged.connect(lambda value: self._set(**{field: value / 100}))
        return share

    # --- what they do -----------------------------------------------------------------------------

    def _show_layers(self) -> None:
        """The document's layers; one that was chosen and is gone stays to be seen as gone."""
        laid = self._laid
        choices = [("", tr("choose a layer"))]
        if laid.kind in CONTROLS:
            choices += _maps().items()
        pictures = self._docker_model.scene_watch.scene.pictures
        choices += [
            (picture.id, picture.name or tr("without a name"))
            for picture in pictures
            if picture.id != self._layer_id
        ]
        wanted = laid.show if laid.show in MAPS else laid.layer
        if wanted not in [layer_id for layer_id, _ in choices]:
            alike = (found.id for found in pictures if found.name == laid.layer_name)
            wanted = next(alike, wanted)
        if wanted not in [layer_id for layer_id, _ in choices]:
            choices.append((wanted, tr("{layer} (gone)").format(layer=laid.layer_name)))
        combo = self._layers
        if choices != [(combo.itemData(n), combo.itemText(n)) for n in range(combo.count())]:
            combo.clear()
            for layer_id, name in choices:
                combo.addItem(name, layer_id)
        combo.setCurrentIndex(combo.findData(wanted))

    def _show_types(self) -> None:
        """Those that the ControlNet knows; hidden where it is of one type alone."""
        laid, combo = self._laid, self._types
        offered = self._docker_model.adapters.offered
        known = next((info.types for info in offered if info.id == laid.adapter), ())
        words = _types()
        choices = [(kind, words[kind]) for kind in ("", *known)] if known else []
        if choices != [(combo.itemData(n), combo.itemText(n)) for n in range(combo.count())]:
            combo.clear()
            for kind, word in choices:
                combo.addItem(word, kind)
        combo.setCurrentIndex(max(combo.findData(laid.control_type), 0))
        combo.setVisible(bool(known))

    def _choose(self, chosen: str) -> None:
        if chosen in MAPS:
            self._set(show=chosen, layer="", layer_name="")
        else:
            self._docker_model.adapters.choose_layer(self._layer_id, self._place, chosen)

    def _set(self, **values: object) -> None:
        self._docker_model.adapters.set(self._layer_id, self._place, **values)


def kind_words(kind: str) -> tuple[str, str]:
    """What it is called, and what it does to the picture."""
    control = tr("A layer says what shall be where: lines, edges, depth, poses or the like.")
    return {
        "lora": ("LoRA", tr("Changes how the model paints: its style, or a subject it learned.")),
        "controlnet": ("ControlNet", control),
        "t2i_adapter": ("T2I-Adapter", control),
        "ip_adapter": ("IP-Adapter", tr("A layer is the example for the style or the subject.")),
    }[kind]


def _maps() -> dict[str, str]:
    """What is in the list of layers besides; no layer has such an id, theirs are in braces."""
    return {
        "regions": tr("the map of the regions"),
        "ade20k": tr("the map in ADE20K's colours"),
    }


def _types() -> dict[ControlType, str]:
    return {
        "": tr("type: what is made of the layer"),
        "canny": tr("type: edges"),
        "soft_edges": tr("type: soft edges, scribbles"),
        "depth": tr("type: depth"),
        "normals": tr("type: normals"),
        "pose": tr("type: pose"),
        "segments": tr("type: segments"),
        "tile": tr("type: tile"),
        "blur": tr("type: blurred picture"),
        "grey": tr("type: grey picture"),
        "low_quality": tr("type: poor picture"),
    }


def _shows() -> dict[Show, str]:
    return {
        "none": tr("as it is"),
        "lines": tr("lines"),
        "canny": tr("edges"),
        "soft_edges": tr("soft edges"),
    }
