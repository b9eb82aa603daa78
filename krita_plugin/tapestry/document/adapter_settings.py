"""The adapters of the picture and of its regions, and how a document stores them.

LoRAs, control pictures and references. It is a note of the document, because a layer that is shown
to an adapter belongs to the document. Layers are known by their ids, copies of them by their names.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, cast, get_args

from tapestry_protocol.adapters import MAPS, AdapterInfo, ControlType, may_fit
from tapestry_protocol.layer_names import plain_name
from tapestry_protocol.limits import MAX_ADAPTER_WEIGHT, MAX_CONTROLS, MAX_ID_CHARACTERS, MAX_LORAS

from ..common.stored_json import read_kept, same_kind
from .canvas import Layer

ADAPTERS_NOTE = "tapestry_adapters"
"""The key of a document's adapter settings."""

PICTURE = ""
"""In place of a region's layer: what holds for the whole picture."""

AdapterKind = Literal["lora", "controlnet", "t2i_adapter", "ip_adapter"]
Show = Literal["none", "lines", "canny", "soft_edges", "regions", "ade20k"]
KINDS: tuple[AdapterKind, ...] = get_args(AdapterKind)
SHOWS: tuple[Show, ...] = get_args(Show)
CONTROLS: tuple[AdapterKind, ...] = ("controlnet", "t2i_adapter")

_WITH_U_NETS = ("", "sd1", "sd2", "sdxl")
"""Families of models for which there are control networks and references of no named family."""

_MOST_ENTRIES = 500

_USUAL_SHOWS: tuple[tuple[str, Show], ...] = (
    ("canny", "canny"),
    *((word, "soft_edges") for word in ("soft", "hed", "pidi")),
    *((word, "lines") for word in ("scribble", "line", "sketch")),
    ("seg", "ade20k"),
)
"""What the names of control networks say about the pictures that they were trained with."""


@dataclass(frozen=True)
class AdapterSettings:
    """One adapter of the picture or of a region.

    adapter     its id in the backend's list
    show        what is made of the layer, as in `tapestry_protocol.adapters.Control`
    layer       id of the layer that it is shown, and the name which that had then
    start, end  the share of the steps from which on and until which it counts
    control_type  as in `tapestry_protocol.adapters.Control`
    """

    adapter: str
    kind: AdapterKind
    weight: float = 1.0
    show: Show = "none"
    layer: str = ""
    layer_name: str = ""
    start: float = 0.0
    end: float = 1.0
    control_type: ControlType = ""

    @property
    def needs_layer(self) -> bool:
        """Whether it is shown a layer."""
        return self.kind != "lora" and self.show not in MAPS

    def find(self, layers: Sequence[Layer]) -> Layer | None:
        """The layer that it is shown, if it is there: the one with its id, else of its name."""
        if not self.needs_layer:
            return None
        known = list(all_pictures(layers))
        found = next((layer for layer in known if self.layer and layer.id == self.layer), None)
        alike = (layer for layer in known if self.layer_name and layer.name == self.layer_name)
        return found or next(alike, None)


@dataclass(frozen=True)
class LayerAdapters:
    """The adapters of a region, and the name that its layer had then."""

    name: str
    laid: tuple[AdapterSettings, ...]


@dataclass(frozen=True)
class DocumentAdapters:
    """All adapters of a document, by layer id; `PICTURE` stands for the picture."""

    entries: Mapping[str, LayerAdapters] = field(default_factory=dict)

    def of(self, layer_id: str, name: str = "") -> tuple[AdapterSettings, ...]:
        """The adapters of this layer, or of the latest one of its name."""
        if layer_id in self.entries or not name:
            return self.entries[layer_id].laid if layer_id in self.entries else ()
        named = (entry for entry in reversed(list(self.entries.values())) if entry.name == name)
        return next((entry.laid for entry in named), ())

    def having(self, layer_id: str, name: str, laid: Sequence[AdapterSettings]) -> DocumentAdapters:
        """The same with another entry for this layer, as the latest one."""
        entries = {key: entry for key, entry in self.entries.items() if key != layer_id}
        entries[layer_id] = LayerAdapters(name, tuple(laid))
        return DocumentAdapters(dict(list(entries.items())[-_MOST_ENTRIES:]))

    def renamed(self, layer_id: str, name: str) -> DocumentAdapters:
        """The same after a layer was renamed."""
        if layer_id not in self.entries:
            return self
        return self.having(layer_id, name, self.entries[layer_id].laid)

    def only(self, names: Mapping[str, str]) -> DocumentAdapters:
        """The adapters of the picture and of these regions, layer id -> name; also if none."""
        chosen = {PICTURE: "", **names}
        return DocumentAdapters(
            {key: LayerAdapters(name, self.of(key, name)) for key, name in chosen.items()}
        )

    def without_controls(self) -> DocumentAdapters:
        """The same without pictures that say what shall be where."""
        return DocumentAdapters(
            {
                key: replace(entry, laid=tuple(o for o in entry.laid if o.kind not in CONTROLS))
                for key, entry in self.entries.items()
            }
        )

    def shown(self, layers: Sequence[Layer]) -> frozenset[str]:
        """Ids of the layers that adapters are shown."""
        ids = {PICTURE, *(layer.id for layer in all_pictures(layers))}
        names = {layer.name for layer in all_pictures(layers) if layer.name}
        present = [e for key, e in self.entries.items() if key in ids or e.name in names]
        found = (laid.find(layers) for entry in present for laid in entry.laid)
        return frozenset(layer.id for layer in found if layer is not None)

    def to_text(self) -> str:
        """As JSON."""
        kept = {
            key: {"name": entry.name, "laid": [asdict(laid) for laid in entry.laid]}
            for key, entry in self.entries.items()
        }
        return json.dumps(kept, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> DocumentAdapters:
        """What `to_text` wrote; what is damaged or out of range is left out."""
        kept = read_kept(text)
        entries = kept.items() if isinstance(kept, dict) else ()
        read = {key: _entry(values) for key, values in entries if isinstance(values, dict)}
        return cls(dict(list(read.items())[-_MOST_ENTRIES:]))


def all_pictures(layers: Sequence[Layer]) -> Iterator[Layer]:
    """Every layer that has pixels, also in groups, topmost first."""
    for layer in layers:
        if layer.has_pixels:
            yield layer
        yield from all_pictures(layer.children)


def fitting(known: Collection[AdapterInfo], family: str) -> list[AdapterInfo]:
    """Those that can be laid on a model of this family, in the order of kinds and names."""
    found = [
        info
        for info in known
        if info.kind in KINDS
        and (not family or may_fit(info.kind, info.family, family))
        and (info.kind == "lora" or info.family or family in _WITH_U_NETS)
    ]
    return sorted(found, key=lambda info: (KINDS.index(info.kind), info.id.casefold()))


def newly_laid(info: AdapterInfo) -> AdapterSettings:
    """A new adapter: with the control picture that its name suggests."""
    name = info.id.casefold()
    usual: Show = next((show for word, show in _USUAL_SHOWS if word in name), "none")
    kind = cast("AdapterKind", info.kind)  # embeddings stand in prompts, and are not offered
    return AdapterSettings(info.id, kind, show=usual if kind in CONTROLS else "none")


def read_laid(kept: Any) -> tuple[AdapterSettings, ...]:
    """What JSON gave of a list of them as dicts; what is damaged or out of range is left out."""
    read = [_laid(one) for one in kept if isinstance(one, dict)] if isinstance(kept, list) else []
    return tuple(one for one in read if one is not None)[: MAX_LORAS + MAX_CONTROLS]


def _entry(values: dict[str, Any]) -> LayerAdapters:
    name = values.get("name")
    return LayerAdapters(
        plain_name(name) if isinstance(name, str) else "", read_laid(values.get("laid"))
    )


def _laid(values: dict[str, Any]) -> AdapterSettings | None:
    """One adapter out of what JSON gave; None where it does not say which."""
    adapter, kind = values.get("adapter"), values.get("kind")
    if kind not in KINDS or not isinstance(adapter, str):
        return None
    if not 0 < len(adapter) <= MAX_ID_CHARACTERS:
        return None
    plain = AdapterSettings(adapter, kind)
    good = {}
    for known in fields(AdapterSettings):
        value = same_kind(values.get(known.name), getattr(plain, known.name))
        if value is not None and _is_in_range(plain, known.name, value):
            good[known.name] = value
    laid = replace(plain, **good)
    return replace(laid, layer_name=plain_name(laid.layer_name))


def least_weight(kind: AdapterKind) -> float:
    """A LoRA may be taken away from a model; a picture is shown, or it is not."""
    return -MAX_ADAPTER_WEIGHT if kind == "lora" else 0.0


def _is_in_range(laid: AdapterSettings, name: str, value: Any) -> bool:
    if name == "weight":
        return least_weight(laid.kind) <= value <= MAX_ADAPTER_WEIGHT
    if name == "show":
        return value in (SHOWS if laid.kind in CONTROLS else ("none",))
    if name == "control_type":
        return value in (get_args(ControlType) if laid.kind == "controlnet" else ("",))
    return not isinstance(value, float) or 0 <= value <= 1
