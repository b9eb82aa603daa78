"""Raw pixels of Krita's colour depths -> 8-bit alpha."""

import struct

import pytest

from tapestry.krita_adapter.pixel_bytes import alpha_bytes


def test_eight_bits() -> None:
    """The last byte of each pixel, with any number of channels."""
    assert alpha_bytes(bytes(range(8)), "U8", 2) == bytes((3, 7))
    assert alpha_bytes(bytes(range(6)), "U8", 3) == bytes((1, 3, 5))
    assert alpha_bytes(bytes(range(10)), "U8", 2) == bytes((4, 9))


@pytest.mark.parametrize(("depth", "form", "most"), [("U16", "H", 65535), ("F32", "f", 1.0)])
def test_other_depths(depth: str, form: str, most: float) -> None:
    """Nothing, half, all; colour channels do not matter."""
    alphas = (0, most / 2, most)
    values = [channel for alpha in alphas for channel in (most, 0, most, alpha)]
    whole = [int(value) if form == "H" else value for value in values]
    data = alpha_bytes(struct.pack(f"=12{form}", *whole), depth, 3)
    assert data[0] == 0
    assert data[1] in (127, 128)
    assert data[2] == 255


def test_half_floats() -> None:
    """Also those that are no numbers, or beyond the range."""
    alphas = (0.0, 0.5, 1.0, 2.0, -1.0, float("nan"), float("inf"))
    data = struct.pack(f"={4 * len(alphas)}e", *(c for a in alphas for c in (0.1, 0.2, 0.3, a)))
    assert alpha_bytes(data, "F16", len(alphas)) == bytes((0, 128, 255, 255, 0, 0, 255))


def test_bytes_that_are_not_pixels() -> None:
    """A buffer that is too short never becomes a mask."""
    with pytest.raises(ValueError, match="not 2 pixels of U16"):
        alpha_bytes(bytes(7), "U16", 2)
    with pytest.raises(ValueError, match="not 0 pixels"):
        alpha_bytes(b"", "U8", 0)
