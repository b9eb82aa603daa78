"""Large rectangles of pixels, a band of rows at a time.

Reading gives way after each band (some 10 ms of work), so that Krita stays usable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

from tapestry_protocol.messages import PixelsRef
from tapestry_protocol.pixels import Bounds

from ..common.task_queue import give_way

BAND_PX = 2**19
"""Pixels that are read at once: about 10 ms of work."""


def any_paint(mask: bytes) -> bool:
    """Whether anything is there; at the speed of a search, however large the mask."""
    return mask.count(0) < len(mask)


def bands(bounds: Bounds, reads: int = 1) -> list[Bounds]:
    """The rectangle cut into bands of at most `BAND_PX` pixels (or one row), top to bottom.

    reads: how often each of them is read.
    """
    rows = max(1, BAND_PX // max(1, reads * bounds.width))
    return [
        Bounds(top, bounds.left, min(top + rows, bounds.bottom), bounds.right)
        for top in range(bounds.top, bounds.bottom, rows)
    ]


async def read_in_bands(
    bounds: Bounds,
    channels: Literal[1, 3, 4],
    read: Callable[[Bounds], bytes],
    blobs: dict[str, bytes],
    reads: int = 1,
) -> PixelsRef:
    """The pixels of a rectangle, read and hashed a band at a time, with their bytes in `blobs`.

    reads: how much work one pixel is, beside that of reading it once.
    """
    pieces, digest = [], hashlib.sha256()
    for band in bands(bounds, reads):
        pieces.append(read(band))
        digest.update(pieces[-1])
        await give_way()
    sha256 = digest.hexdigest()
    blobs[sha256] = b"".join(pieces)
    await give_way()
    return PixelsRef(bounds.height, bounds.width, channels, sha256)
