"""Raw pixels of Krita's colour depths -> 8-bit alpha."""

from __future__ import annotations

import struct
import sys
from array import array
from functools import lru_cache

_CHANNEL_BYTES = {"U8": 1, "U16": 2, "F16": 2, "F32": 4}


def alpha_bytes(data: bytes, depth: str, count: int) -> bytes:
    """One byte per pixel out of `count` pixels; alpha is the last channel of all colour models.

    depth   "U8", "U16", "F16" or "F32", as Krita calls them; numbers in this machine's byte order
    Raises ValueError when the bytes are not that many pixels of that depth.
    """
    channel_bytes = _CHANNEL_BYTES[depth]
    if not count or len(data) % (count * channel_bytes):
        raise ValueError(f"{len(data)} bytes are not {count} pixels of {depth}")
    pixel_bytes = len(data) // count
    if depth == "U8":
        return data[pixel_bytes - 1 :: pixel_bytes]
    if depth == "U16":  # 0xAB.. is 0xAB of 255, within half a step
        high = pixel_bytes - (1 if sys.byteorder == "little" else 2)
        return data[high::pixel_bytes]
    channels = pixel_bytes // channel_bytes
    if depth == "F16":
        halves = array("H", data)[channels - 1 :: channels]
        return bytes(map(_byte_of_half().__getitem__, halves))
    values = array("f", data)[channels - 1 :: channels]
    return bytes(map(_byte, values))


def _byte(value: float) -> int:
    return int(min(max(value, 0.0), 1.0) * 255 + 0.5) if value == value else 0  # noqa: PLR0124


@lru_cache(maxsize=1)
def _byte_of_half() -> bytes:
    """The byte of every half-precision number, by its 16 bits."""
    bits = struct.pack(f"={2**16}H", *range(2**16))
    return bytes(map(_byte, struct.unpack(f"={2**16}e", bits)))
