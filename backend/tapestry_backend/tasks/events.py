"""What a running task tells the one who iterates over it; no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tapestry_protocol.fields import Stage
from tapestry_protocol.pixels import Bounds, Pixels


@dataclass(frozen=True)
class Progressed:
    """A stage has begun (step 0) or one of its steps is done.

    preview    makes a small RGBA picture of how it looks now; None where there is none. Most steps
               are over before anybody could see theirs
    """

    stage: Stage
    step: int = 0
    steps: int = 0
    preview: Callable[[], Pixels] | None = None


@dataclass(frozen=True)
class Finished:
    """The picture, RGBA; `bounds` in coordinates of the document before extension."""

    pixels: Pixels
    bounds: Bounds
    report: Mapping[str, Any]
    """JSON-ready: plan, seed, model, windows, unet_evaluations, seconds, peak_memory_bytes."""
