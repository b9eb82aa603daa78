"""Where regions will go when the canvas is extended, from small copies of their masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from tapestry_protocol.limits import SPILL_PX
from tapestry_protocol.pixels import COVERED_ALPHA, Bounds, Margins, Pixels

from ..settings.settings import SIDES
from .layers import RegionLayer


class ContinuedBand(NamedTuple):
    """A part of the new canvas, and the number of the region that fills it."""

    number: int
    bounds: Bounds


def continued_bands(
    rows: Sequence[RegionLayer],
    masks: Mapping[str, Pixels],
    size: tuple[int, int],
    margins: Margins,
    *,
    wrap: bool = False,
) -> list[ContinuedBand]:
    """What each region fills beyond the canvas, the lowest region first, paint there last.

    rows: topmost first. masks: by layer, 1 channel, of the whole canvas. size: (height, width).
    Where the canvas wraps, each of its sides goes on over half of what is new beside it.
    """
    going = _turned(margins) if wrap else margins
    bands: list[ContinuedBand] = []
    painted: list[ContinuedBand] = []
    for number, row in reversed(list(enumerate(rows))):
        mask = masks.get(row.id)
        if not row.counts or mask is None:
            continue
        extended = {
            side
            for side in SIDES
            if getattr(going, side) and not _ends(row.bounds, size, margins, side)
        }
        for bounds in _goes_on(mask, size, going, extended):
            shown = _folded(bounds, size, margins) if wrap else [bounds]
            bands += [ContinuedBand(number, part) for part in shown]
        painted += [
            ContinuedBand(number, _beyond(row.bounds, size, margins, side))
            for side in SIDES
            if _ends(row.bounds, size, margins, side)
        ]
    return bands + painted


def _turned(margins: Margins) -> Margins:
    """What is new beside a canvas that wraps, half of it on each side."""
    new_px = margins.left + margins.right
    return replace(margins, left=new_px // 2, right=new_px - new_px // 2)


def _folded(bounds: Bounds, size: tuple[int, int], margins: Margins) -> Iterator[Bounds]:
    """A part of a canvas that wraps, by what lies at its one side and what at the other."""
    right = size[1] + margins.right
    for turn in (0, right + margins.left, -right - margins.left):
        moved = bounds.moved(0, turn)
        shown = moved.intersection(Bounds(moved.top, -margins.left, moved.bottom, right))
        if not shown.is_empty:
            yield shown


def _ends(bounds: Bounds, size: tuple[int, int], margins: Margins, side: str) -> bool:
    """Whether a layer's paint beyond this edge says where its region ends."""
    beyond = {
        "top": -bounds.top,
        "left": -bounds.left,
        "bottom": bounds.bottom - size[0],
        "right": bounds.right - size[1],
    }[side]
    margin = getattr(margins, side)
    return margin > 0 and beyond > min(SPILL_PX, margin // 2)


def _beyond(bounds: Bounds, size: tuple[int, int], margins: Margins, side: str) -> Bounds:
    """The part of a layer beyond an edge, on the new canvas."""
    height, width = size
    new = Bounds(-margins.top, -margins.left, height + margins.bottom, width + margins.right)
    half = {
        "top": Bounds(new.top, new.left, 0, new.right),
        "left": Bounds(new.top, new.left, new.bottom, 0),
        "bottom": Bounds(height, new.left, new.bottom, new.right),
        "right": Bounds(new.top, width, new.bottom, new.right),
    }[side]
    return bounds.intersection(half)


def _goes_on(
    mask: Pixels, size: tuple[int, int], margins: Margins, sides: set[str]
) -> Iterator[Bounds]:
    """Row by row to the left and right, then column by column above and below, corners too."""
    height, width = size
    lines = [
        [value >= COVERED_ALPHA for value in mask.data[start : start + mask.width]]
        for start in range(0, mask.height * mask.width, mask.width)
    ]
    if "left" in sides:
        for top, bottom in _runs([line[0] for line in lines], height):
            yield Bounds(top, -margins.left, bottom, 0)
    if "right" in sides:
        for top, bottom in _runs([line[-1] for line in lines], height):
            yield Bounds(top, width, bottom, width + margins.right)
    for side, line, top, bottom in (
        ("top", lines[0], -margins.top, 0),
        ("bottom", lines[-1], height, height + margins.bottom),
    ):
        if side not in sides:
            continue
        for start, stop in _runs(line, width):
            left = -margins.left if start == 0 and "left" in sides else start
            right = width + margins.right if stop == width and "right" in sides else stop
            yield Bounds(top, left, bottom, right)


def _runs(covered: Sequence[bool], length_px: int) -> Iterator[tuple[int, int]]:
    """Where a line of samples is covered, from and to, in pixels."""
    count, at = len(covered), 0
    for value, group in groupby(covered):
        start, at = at, at + len(list(group))
        if value:
            yield length_px * start // count, length_px * at // count
