"""Sets of settings that are kept by name, for all documents; no widgets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .canvas import Host
from .settings import Settings, sound_values
from .translation import tr

_PRESETS_KEY = "presets"

_OF_A_PRESET = (
    *("num_inference_steps", "guidance_scale", "scheduler", "speed", "model"),
    *("coherence", "composition"),
    *("strength", "feather_px", "context_px", "outline_px", "under_px"),
    *("style", "negative_prompt"),
)
"""What a preset holds: how pictures are painted, not what this one shows, nor its seed."""


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
        return self._own.get(name) or built_in().get(name, {})

    def keep(self, name: str, settings: Settings) -> None:
        """Keep these settings under this name, which may be taken already."""
        self._own[name] = {field: getattr(settings, field) for field in _OF_A_PRESET}
        self._write()

    def remove(self, name: str) -> None:
        """Forget one of the artist's own."""
        self._own.pop(name, None)
        self._write()

    def _write(self) -> None:
        self._host.write_setting(_PRESETS_KEY, json.dumps(self._own, ensure_ascii=False))


def _read(text: str) -> dict[str, dict[str, Any]]:
    try:
        kept = json.loads(text or "{}")
    except ValueError:
        return {}
    if not isinstance(kept, dict):
        return {}
    return {
        name: {field: good for field, good in sound_values(values).items() if field in _OF_A_PRESET}
        for name, values in kept.items()
    }
