"""The canvas in the colours of its regions: a layer that shows which prompt holds where."""

from __future__ import annotations

from collections.abc import Sequence

from tapestry_protocol.pixels import Bounds, Pixels

from ..common.task_queue import give_way, next_turn
from .bands import bands
from .canvas import Canvas, Layer
from .layers import OWN_PREFIX, RegionLayer
from .settling import drawn, settled

TINT_NAME = f"{OWN_PREFIX}regions"
"""The layer's name; as one of our own it is no region."""

COLORS = (
    *((230, 90, 70), (70, 140, 230), (90, 190, 90), (240, 190, 60)),
    *((160, 100, 210), (60, 190, 190), (235, 130, 190), (150, 120, 80)),
)
"""Told from each other also side by side; a region takes the one of its place in the list."""

_ALPHA = 200
_HIDES = bytes(255 if value >= 128 else 0 for value in range(256))


def color_of(number: int) -> tuple[int, int, int]:
    """The colour of the region at this place of the list."""
    return COLORS[number % len(COLORS)]


def tint_layers(layers: Sequence[Layer]) -> list[str]:
    """Ids of the layers that show regions, also of one that was saved with its document."""
    return [layer.id for layer in layers if layer.name == TINT_NAME]


async def tint(canvas: Canvas, rows: Sequence[RegionLayer]) -> str:
    """Insert the layer that shows these regions (topmost first); gives its id."""
    parts = []
    whole = Bounds(0, 0, canvas.height, canvas.width)
    counting = [(number, row) for number, row in enumerate(rows) if row.counts]
    for band in bands(whole):
        data = bytearray(4 * band.height * band.width)
        free = int.from_bytes(b"\xff" * (band.height * band.width), "little")
        planes = [0, 0, 0, 0]
        for number, row in counting:
            own = int.from_bytes(canvas.alpha(row.id, band).translate(_HIDES), "little") & free
            free &= ~own
            for plane, value in enumerate((*color_of(number), _ALPHA)):
                planes[plane] |= own & _filled(value, band)
            await give_way()
        for plane, bits in enumerate(planes):
            data[plane::4] = bits.to_bytes(band.height * band.width, "little")
        parts.append((Pixels(band.height, band.width, 4, bytes(data)), band.top, band.left))
        await give_way()
    draft = canvas.draft(TINT_NAME)
    await settled(canvas)
    await next_turn()
    layer_id = await draft.insert()
    await next_turn()
    for part in parts:
        draft.write(*part)
        await give_way()
    await drawn(canvas)
    return layer_id


def _filled(value: int, band: Bounds) -> int:
    return int.from_bytes(bytes([value]) * (band.height * band.width), "little")
