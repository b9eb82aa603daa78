"""Raw pixel buffers, masks and rectangles: size, channels, bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

from .constraints import Between, Matches
from .limits import MAX_SIDE_PX

Side = Annotated[int, Between(1, 2 * MAX_SIDE_PX)]
Sha256 = Annotated[str, Matches(r"[0-9a-f]{64}")]

COVERED_ALPHA = 128
"""From this alpha on (half opaque) a pixel counts as painted, everywhere: a soft brush seldom
reaches 255, and what is fainter is no colour to go on from."""


@dataclass(frozen=True)
class Bounds:
    """A rectangle in pixels of the document, half-open; may reach beyond the canvas."""

    top: Annotated[int, Between(-MAX_SIDE_PX, 2 * MAX_SIDE_PX)]
    left: Annotated[int, Between(-MAX_SIDE_PX, 2 * MAX_SIDE_PX)]
    bottom: Annotated[int, Between(-MAX_SIDE_PX, 2 * MAX_SIDE_PX)]
    right: Annotated[int, Between(-MAX_SIDE_PX, 2 * MAX_SIDE_PX)]

    @property
    def height(self) -> int:
        return max(0, self.bottom - self.top)

    @property
    def width(self) -> int:
        return max(0, self.right - self.left)

    @property
    def is_empty(self) -> bool:
        return self.height == 0 or self.width == 0

    def intersection(self, other: Bounds) -> Bounds:
        """The common part; empty (zero height or width) when there is none."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Bounds(top, left, max(top, bottom), max(left, right))

    def moved(self, down: int, right: int) -> Bounds:
        """The same rectangle, `down` and `right` pixels further."""
        return Bounds(self.top + down, self.left + right, self.bottom + down, self.right + right)


@dataclass(frozen=True)
class Point:
    """A place in pixels of the document."""

    top: Annotated[int, Between(-MAX_SIDE_PX, 2 * MAX_SIDE_PX)]
    left: Annotated[int, Between(-MAX_SIDE_PX, 2 * MAX_SIDE_PX)]


@dataclass(frozen=True)
class Margins:
    """Pixels by which a canvas grows on each side."""

    top: Annotated[int, Between(0, MAX_SIDE_PX)] = 0
    left: Annotated[int, Between(0, MAX_SIDE_PX)] = 0
    bottom: Annotated[int, Between(0, MAX_SIDE_PX)] = 0
    right: Annotated[int, Between(0, MAX_SIDE_PX)] = 0

    @property
    def is_zero(self) -> bool:
        return not (self.top or self.left or self.bottom or self.right)


NO_MARGINS = Margins()
"""A canvas that does not grow."""


@dataclass(frozen=True)
class Pixels:
    """A raw 8-bit picture: rows top to bottom, `channels` interleaved bytes per pixel, no padding.

    channels 1 is a mask or grey, 3 is RGB, 4 is RGBA with straight alpha.
    Raises ValueError when `data` has another length than height * width * channels.
    """

    height: int
    width: int
    channels: int
    data: bytes

    def __post_init__(self) -> None:
        expected = self.height * self.width * self.channels
        if len(self.data) != expected:
            size = f"{self.height}x{self.width}x{self.channels}"
            raise ValueError(f"{size} pixels need {expected} bytes, not {len(self.data)}")

    @property
    def sha256(self) -> str:
        """The name under which these bytes travel."""
        return hashlib.sha256(self.data).hexdigest()

    def __repr__(self) -> str:
        return f"Pixels({self.height}x{self.width}x{self.channels})"


@dataclass(frozen=True)
class PixelsRef:
    """A raw 8-bit picture by size and SHA-256; 1 channel: a mask, 4: RGBA with straight alpha."""

    height: Side
    width: Side
    channels: Literal[1, 3, 4]
    sha256: Sha256

    @classmethod
    def of(cls, pixels: Pixels) -> PixelsRef:
        return cls(pixels.height, pixels.width, pixels.channels, pixels.sha256)  # type: ignore[arg-type]

    @property
    def size_bytes(self) -> int:
        return self.height * self.width * self.channels

    def with_data(self, data: bytes) -> Pixels:
        """The picture itself; raises ValueError when the bytes have the wrong length."""
        return Pixels(self.height, self.width, self.channels, data)
