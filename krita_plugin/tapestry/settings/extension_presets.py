"""How far a canvas is extended: by the name of a preset, or by dragging."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from tapestry_protocol.pixels import Margins

from .settings import LARGEST_EXTENSION_PX, SIDES

ExtensionPreset = Literal["half", "double", "around"]

GRID_PX = 8
"""Models paint in cells of this many pixels; a canvas that wraps must be whole cells wide."""


def preset_margins(preset: ExtensionPreset, height: int, width: int, margins: Margins) -> Margins:
    """The margins for a canvas of this size; the sides that have one now keep theirs.

    half    by half of what the canvas is, shared by opposite sides
    double  by as much as the canvas is, likewise
    around  to twice as wide as high, for 360 degrees, and at least a quarter wider: what closes the
            circle is new
    """
    if preset == "around":
        return _around(height, width)
    share = {"half": 0.5, "double": 1.0}[preset]
    sides = [side for side in SIDES if getattr(margins, side)] or ["right"]
    sizes = {"top": height, "bottom": height, "left": width, "right": width}
    opposite = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}
    return _margins(
        {side: sizes[side] * share / (2 if opposite[side] in sides else 1) for side in sides}
    )


def on_grid(px: float) -> int:
    """The nearest number of pixels that an extension may have."""
    return min(max(0, round(px / GRID_PX) * GRID_PX), LARGEST_EXTENSION_PX)


def _around(height: int, width: int) -> Margins:
    more = max(2 * height - width, width // 4, 2 * GRID_PX)
    left = on_grid(more / 2)
    right = on_grid(more / 2) + -width % GRID_PX
    return Margins(left=left, right=right)


def _margins(by_side: Mapping[str, float]) -> Margins:
    return Margins(**{side: max(GRID_PX, on_grid(px)) for side, px in by_side.items()})
