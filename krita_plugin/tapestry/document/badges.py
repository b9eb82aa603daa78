"""What is the matter with a region, known before anything is painted, or of its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from tapestry_protocol.pixels import COVERED_ALPHA, Bounds

from .layers import RegionLayer
from .samples import MaskSample

Badge = Literal["", "hidden", "empty", "nameless", "outside", "thin", "covered", "unlike"]

_THINNEST_PX = 3
"""Models paint in cells of 8 pixels; less than a quarter of a cell hardly shows."""


def badges(
    rows: Sequence[RegionLayer], samples: Mapping[str, MaskSample], canvas: Bounds
) -> dict[str, Badge]:
    """Layer id -> what keeps it from showing; "" where nothing does."""
    found: dict[str, Badge] = {}
    above: int = 0
    for row in rows:
        sample = samples.get(row.id)
        found[row.id] = _badge(row, sample, above, canvas)
        if row.counts and sample is not None:
            above |= _as_bits(sample.solid)
    return found


def _badge(row: RegionLayer, sample: MaskSample | None, above: int, canvas: Bounds) -> Badge:
    if row.state != "painted":
        return row.state
    seen = row.bounds.intersection(canvas)
    if seen.is_empty:
        return "outside"
    if min(seen.height, seen.width) < _THINNEST_PX:
        return "thin"
    if row.settings.on and sample is not None:
        mine = _as_bits(sample.thumbnail.data)
        if mine and not mine & ~above:
            return "covered"
    return ""


_ONE_OR_NOTHING = bytes(255 if value >= COVERED_ALPHA else 0 for value in range(256))


def _as_bits(mask: bytes) -> int:
    """A mask as a number, so that all of its pixels can be compared at once."""
    return int.from_bytes(mask.translate(_ONE_OR_NOTHING), "little")
