"""Sets of settings that are kept by name, for all documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..common.stored_json import read_kept
from ..document.adapter_settings import AdapterSettings, read_laid
from ..document.canvas import Host
from ..i18n.translation import tr
from ..settings.settings import Settings, sound_values

_PRESETS_KEY = "presets"

_OF_A_PRESET = (
    *("num_inference_steps", "guidance_scale", "scheduler", "speed", "step_cache"),
    "model",
    *("coherence", "composition", "melt"),
    *("strength", "feather_px", "context_px", "outline_px", "under_px"),
    "harmonise",
    *("style", "negative_prompt"),
)
"""What a preset holds: how pictures are painted, not what this one shows, nor its seed."""

_LAID = "adapters"
"""Under this key, beside those fields, what lies on the picture."""


@dataclass(frozen=True)
class Preset:
    """What is kept under a name.

    values  fields of the settings
    laid    what lies on the picture; None where the preset leaves that as it is
    """

    values: Mapping[str, Any]
    laid: tuple[AdapterSettings, ...] | None = None


def built_in() -> dict[str, dict[str, Any]]:
    """Those that are always there, by name."""
    return {
        tr("Fast"): {"num_inference_steps": 8, "composition": 0.25, "speed": "fast"},
        tr("Balanced"): {"num_inference_steps": 20, "composition": 0.5, "speed": "balanced"},
        tr("Careful"): {"num_inference_steps": 50, "composition": 0.5, "speed": "quality"},
    }


class Presets:
    """The artist's own presets, and those that are always there."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._own = _read(host.read_setting(_PRESETS_KEY))

    @property
    def names(self) -> list[str]:
        """First the ones that are always there, then the artist's own in order."""
        return [*built_in(), *sorted(self._own, key=str.casefold)]

    def is_own(self, name: str) -> bool:
        """Whether the artist made it, so that it can be removed."""
        return name in self._own

    def values(self, name: str) -> Mapping[str, Any]:
        """The fields that this preset sets; none for a name that is not there."""
        own = self._own.get(name)
        return own.values if own and own.values else built_in().get(name, {})

    def laid(self, name: str) -> tuple[AdapterSettings, ...] | None:
        """What this preset lays on the picture; None where it leaves that as it is."""
        return self._own[name].laid if name in self._own else None

    def keep(
        self, name: str, settings: Settings, laid: Sequence[AdapterSettings] | None = None
    ) -> None:
        """Keep these settings under this name, which may be taken already, and the adapters."""
        values = {field: getattr(settings, field) for field in _OF_A_PRESET}
        self._own[name] = Preset(values, None if laid is None else tuple(laid))
        self._write()

    def remove(self, name: str) -> None:
        """Forget one of the artist's own."""
        self._own.pop(name, None)
        self._write()

    def _write(self) -> None:
        kept = {name: _fields(preset) for name, preset in self._own.items()}
        self._host.write_setting(_PRESETS_KEY, json.dumps(kept, ensure_ascii=False))


def _fields(preset: Preset) -> dict[str, Any]:
    laid = {} if preset.laid is None else {_LAID: [asdict(one) for one in preset.laid]}
    return {**preset.values, **laid}


def _read(text: str) -> dict[str, Preset]:
    kept = read_kept(text)
    if not isinstance(kept, dict):
        return {}
    return {name: _preset(values) for name, values in kept.items()}


def _preset(kept: Any) -> Preset:
    good = {field: value for field, value in sound_values(kept).items() if field in _OF_A_PRESET}
    has_laid = isinstance(kept, dict) and isinstance(kept.get(_LAID), list)
    return Preset(good, read_laid(kept[_LAID]) if has_laid else None)
