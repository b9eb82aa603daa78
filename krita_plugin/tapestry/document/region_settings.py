"""What the artist has set for each region, and how a document keeps it.

It is a note of the document, so that layer names stay clean prompts and other programs see nothing
of it. A layer is known by its id; a copy, whose id is new, is known by its name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from tapestry_protocol.layer_names import plain_name
from tapestry_protocol.limits import (
    MAX_GUIDANCE_SCALE,
    MAX_PROMPT_CHARACTERS,
    MAX_SEED,
    MAX_WEIGHT,
    MIN_WEIGHT,
)

from ..common.stored_json import read_kept, same_kind

REGIONS_NOTE = "tapestry_regions"
"""The key of a document's region settings."""

_MOST_ENTRIES = 500
"""Layers that were deleted are kept, as undo brings them back; the oldest go first."""


@dataclass(frozen=True)
class RegionSettings:
    """What a region asks for besides its prompt and its mask.

    seed      counts when `own_seed` is set; else the picture's seed is the region's
    guidance_scale  counts when `own_guidance` is set, in the same way
    strength  against the layer's own paint: 1 ignores it, less starts from it
    """

    on: bool = True
    fit: Literal["tight", "loose"] = "tight"
    weight: float = 1.0
    own_seed: bool = False
    seed: int = 0
    negative_prompt: str = ""
    strength: float = 1.0
    own_guidance: bool = False
    guidance_scale: float = 5.0


DEFAULTS = RegionSettings()


@dataclass(frozen=True)
class NamedSettings:
    """A layer's settings, and the name it had then."""

    name: str
    settings: RegionSettings


@dataclass(frozen=True)
class DocumentRegions:
    """All regions' settings by layer id, and the group whose layers count; "" for all layers."""

    entries: Mapping[str, NamedSettings] = field(default_factory=dict)
    group: str = ""
    group_name: str = ""

    def settings(self, layer_id: str, name: str) -> RegionSettings:
        """Those of this layer, or of the latest one of its name, or the defaults."""
        if layer_id in self.entries:
            return self.entries[layer_id].settings
        alike = (entry for entry in reversed(list(self.entries.values())) if entry.name == name)
        found = next(alike, None)
        return found.settings if found else DEFAULTS

    def with_settings(self, layer_id: str, name: str, settings: RegionSettings) -> DocumentRegions:
        """The same with another entry for this layer, as the latest one."""
        entries = {key: entry for key, entry in self.entries.items() if key != layer_id}
        entries[layer_id] = NamedSettings(name, settings)
        latest = list(entries.items())[-_MOST_ENTRIES:]
        return replace(self, entries=dict(latest))

    def with_name(self, layer_id: str, name: str) -> DocumentRegions:
        """The same after a layer was renamed."""
        if layer_id not in self.entries:
            return self
        return self.with_settings(layer_id, name, self.entries[layer_id].settings)

    def to_text(self) -> str:
        """As JSON; what is at its default is left out."""
        layers = {
            key: {"name": entry.name, **_changed(entry.settings)}
            for key, entry in self.entries.items()
        }
        group = {"id": self.group, "name": self.group_name}
        return json.dumps({"layers": layers, "group": group}, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> DocumentRegions:
        """What `to_text` wrote; what is damaged or out of range stays at its default."""
        kept = read_kept(text)
        layers, group = _mapping(kept, "layers"), _mapping(kept, "group")
        entries = {
            key: NamedSettings(plain_name(_text(values, "name")), _settings(values))
            for key, values in layers.items()
            if isinstance(values, dict)
        }
        return cls(entries, _text(group, "id"), plain_name(_text(group, "name")))


def _changed(settings: RegionSettings) -> dict[str, Any]:
    default = asdict(DEFAULTS)
    return {key: value for key, value in asdict(settings).items() if value != default[key]}


def _mapping(kept: Any, key: str) -> dict[str, Any]:
    value = kept.get(key) if isinstance(kept, dict) else None
    return value if isinstance(value, dict) else {}


def _text(kept: dict[str, Any], key: str) -> str:
    value = kept.get(key)
    return value if isinstance(value, str) else ""


def _settings(values: dict[str, Any]) -> RegionSettings:
    good = {}
    for known in fields(RegionSettings):
        value = same_kind(values.get(known.name), getattr(DEFAULTS, known.name))
        if value is not None and _is_in_range(known.name, value):
            good[known.name] = value
    return RegionSettings(**good)


_LIMITS: Mapping[str, tuple[float, float]] = {
    "weight": (MIN_WEIGHT, MAX_WEIGHT),
    "seed": (0, MAX_SEED),
    "strength": (0.0, 1.0),
    "guidance_scale": (0.0, MAX_GUIDANCE_SCALE),
}


def _is_in_range(name: str, value: Any) -> bool:
    if name == "fit":
        return value in {"tight", "loose"}
    if name == "negative_prompt":
        return len(value) <= MAX_PROMPT_CHARACTERS
    low, high = _LIMITS.get(name, (0, 1))
    return low <= value <= high
