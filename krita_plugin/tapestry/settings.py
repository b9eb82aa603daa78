"""What the artist has set in the docker, and how it is kept between two starts; no widgets."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from tapestry_protocol.limits import MAX_GUIDANCE_SCALE, MAX_ID_CHARACTERS, MAX_SEED, MAX_STEPS
from tapestry_protocol.pixels import Margins

SIDES: dict[str, tuple[str, ...]] = {
    "right": ("right",),
    "left": ("left",),
    "top": ("top",),
    "bottom": ("bottom",),
    "left and right": ("left", "right"),
    "all sides": ("top", "left", "bottom", "right"),
}
"""Where a picture can be extended, as the artist reads it -> the margins that grow."""

MOST_PICTURES = 64
SMALLEST_HISTORY_MB, LARGEST_HISTORY_MB = 16, 1_000_000
"""What pictures of histories may take on disk."""

SMALLEST_EXTENSION_PX, LARGEST_EXTENSION_PX = 8, 4096


@dataclass
class Settings:
    """The docker's fields; layer names come from the document.

    batch          pictures to be made, with seeds in sequence
    apply_at_once  whether a single finished picture becomes a layer without being asked for
    live_*         where a picture on its way is shown
    history_mb     what the pictures of all histories may take on disk
    """

    prompt: str = ""
    negative_prompt: str = ""
    seed: int = 42
    num_inference_steps: int = 20
    guidance_scale: float = 5.0
    extend_side: str = "right"
    extend_px: int = 128
    model: str = "sample"
    batch: int = 1
    apply_at_once: bool = True
    live_on_canvas: bool = True
    live_in_docker: bool = True
    history_mb: int = 1024

    @property
    def margins(self) -> Margins:
        """How far Extend grows the canvas."""
        return Margins(**dict.fromkeys(SIDES[self.extend_side], self.extend_px))

    def to_text(self) -> str:
        """All fields as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Settings:
        """The fields that `to_text` wrote; what is damaged or out of range stays at its default."""
        settings = cls()
        try:
            kept = json.loads(text)
        except ValueError:
            return settings
        for field in fields(cls):
            value = kept.get(field.name) if isinstance(kept, dict) else None
            default = getattr(settings, field.name)
            if type(value) is type(default) and _is_in_range(field.name, value):
                setattr(settings, field.name, value)
        return settings


def _is_in_range(name: str, value: Any) -> bool:
    if name == "extend_side":
        return value in SIDES
    if name == "model":
        return 0 < len(value) <= MAX_ID_CHARACTERS
    limits = {
        "seed": (0, MAX_SEED),
        "num_inference_steps": (1, MAX_STEPS),
        "guidance_scale": (0.0, MAX_GUIDANCE_SCALE),
        "batch": (1, MOST_PICTURES),
        "history_mb": (SMALLEST_HISTORY_MB, LARGEST_HISTORY_MB),
        "extend_px": (SMALLEST_EXTENSION_PX, LARGEST_EXTENSION_PX),
    }
    low, high = limits.get(name, (None, None))
    return low is None or (isinstance(value, int | float) and low <= value <= high)
