"""Masks of bytes that are 0 or 255 each: Python combines them fastest as large integers."""

from __future__ import annotations


def masked(values: bytes, mask: bytes) -> bytes:
    """The values where the mask is 255, and 0 where it is 0."""
    common = int.from_bytes(values, "little") & int.from_bytes(mask, "little")
    return common.to_bytes(len(values), "little")


def chosen(mask: bytes, inside: bytes, outside: bytes) -> bytes:
    """The values of `inside` where the mask is 255, those of `outside` where it is 0."""
    where, one, other = (int.from_bytes(each, "little") for each in (mask, inside, outside))
    return (one & where | other & ~where).to_bytes(len(mask), "little")
