"""The canvas in the colours of its regions: a layer that shows which prompt holds where."""

from __future__ import annotations

from collections.abc import Sequence

from tapestry_protocol.layer_names import OWN_PREFIX
from tapestry_protocol.pixels import Bounds, Pixels

from ..common.task_queue import give_way, next_turn
from .bands import bands
from .byte_masks import chosen
from .canvas import Canvas, Layer
from .layers import RegionLayer
from .settling import drawn, settled

OVERLAY_NAME = f"{OWN_PREFIX}regions"
"""The layer's name; as one of our own it is no region."""

COLORS = (
    *((230, 90, 70), (70, 140, 230), (90, 190, 90), (240, 190, 60)),
    *((160, 100, 210), (60, 190, 190), (235, 130, 190), (150, 120, 80)),
)
"""Told from each other also side by side; a region takes the one of its place in the list."""

_ALPHA = 200
_HIDES = bytes(255 if value >= 128 else 0 for value in range(256))

_CHANNELS = [
    bytes([0, *values]).ljust(256, b"\0")
    for values in zip(*((*c, _ALPHA) for c in COLORS), strict=True)
]
"""For each channel of RGBA: its value for nothing, and for each of the colours."""


def color_of(number: int) -> tuple[int, int, int]:
    """The colour of the region at this place of the list."""
    return COLORS[number % len(COLORS)]


def overlay_layers(layers: Sequence[Layer]) -> list[str]:
    """Ids of the layers that show regions, also of one that was saved with its document."""
    return [layer.id for layer in layers if layer.name == OVERLAY_NAME]


async def insert_region_overlay(canvas: Canvas, rows: Sequence[RegionLayer]) -> str:
    """Insert the layer that shows these regions (topmost first); gives its id."""
    parts = []
    counting = [(number, row) for number, row in enumerate(rows) if row.counts]
    for band in bands(Bounds(0, 0, canvas.height, canvas.width)):
        size = band.height * band.width
        colors = bytes(size)  # 1 for the first of COLORS; 0: no region
        for number, row in reversed(counting):
            color = bytes([number % len(COLORS) + 1]) * size
            colors = chosen(canvas.alpha(row.id, band).translate(_HIDES), color, colors)
            await give_way()
        data = bytearray(4 * size)
        for channel, values in enumerate(_CHANNELS):
            data[channel::4] = colors.translate(values)
        parts.append((Pixels(band.height, band.width, 4, bytes(data)), band.top, band.left))
        await give_way()
    draft = canvas.draft(OVERLAY_NAME)
    await settled(canvas)
    await next_turn()
    layer_id = await draft.insert()
    await next_turn()
    for part in parts:
        draft.write(*part)
        await give_way()
    await drawn(canvas)
    return layer_id
