"""Small pictures of masks and of the document, taken from a few of its pixels.

All reading gives way every 10 ms or so, so that Krita stays usable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tapestry_protocol.pixels import Bounds, Pixels

from ..common.task_queue import give_way
from .canvas import Canvas, Layer
from .coverage import seen_alpha

SAMPLE_ROWS, SAMPLE_COLUMNS = 32, 48
PICTURE_SIDE = 96
_MOST_SAMPLES_PER_ROW = 4
_SAMPLED_PX = 2**18
"""Pixels that are read for a sample: some 10 ms of work in all, whatever the canvas."""


@dataclass(frozen=True)
class MaskSample:
    """A small copy of a mask.

    thumbnail  1 channel, the most of each cell: a thin stroke stays visible
    solid      the least of each cell: what hides everything underneath
    """

    thumbnail: Pixels
    solid: bytes


async def mask_sample(canvas: Canvas, layer_id: str, around: Sequence[Layer] = ()) -> MaskSample:
    """The mask of a layer; `around` are the layers among which it lies, topmost first."""
    height, width = canvas.height, canvas.width
    rows = min(SAMPLE_ROWS, height)
    columns = max(1, min(SAMPLE_COLUMNS, rows * width // height, width))
    edges = [width * column // columns for column in range(columns + 1)]
    spans = list(pairwise(edges))
    samples_per_row = max(1, min(_MOST_SAMPLES_PER_ROW, _SAMPLED_PX // (rows * width)))
    most, least = bytearray(), bytearray()
    for row in range(rows):
        top, bottom = height * row // rows, height * (row + 1) // rows
        stride = max(1, (bottom - top) // samples_per_row)
        lines = [
            seen_alpha(canvas, around, layer_id, Bounds(y, 0, y + 1, width))
            for y in range(top, bottom, stride)
        ]
        most += bytes(max(max(line[left:right]) for line in lines) for left, right in spans)
        least += bytes(min(min(line[left:right]) for line in lines) for left, right in spans)
        await give_way()
    return MaskSample(Pixels(rows, columns, 1, bytes(most)), bytes(least))


async def picture_sample(canvas: Canvas) -> Pixels:
    """The visible picture, RGBA, `PICTURE_SIDE` pixels on its longer side."""
    height, width = canvas.height, canvas.width
    longest = max(height, width)
    side = min(PICTURE_SIDE, longest)
    rows, columns = max(1, height * side // longest), max(1, width * side // longest)
    places = [4 * (width * (2 * column + 1) // (2 * columns)) for column in range(columns)]
    data = bytearray()
    for row in range(rows):
        y = height * (2 * row + 1) // (2 * rows)
        line = canvas.flattened(Bounds(y, 0, y + 1, width))
        data += b"".join(line[place : place + 4] for place in places)
        await give_way()
    return Pixels(rows, columns, 4, bytes(data))
