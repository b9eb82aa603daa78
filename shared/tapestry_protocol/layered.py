"""A result as a group of layers: each region's own picture, and what of it shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from .constraints import Between, MaxLength
from .limits import MAX_REGIONS
from .pixels import Bounds, PixelsRef


@dataclass(frozen=True)
class LayerPicture:
    """A region's own picture as a layer of the result.

    region    its number in the request
    bounds    where it lies, in coordinates of the document before extension
    pixels    RGBA: opaque on the region's mask and a margin around it, transparent elsewhere
    mask      1 channel: how much of it shows
    """

    region: Annotated[int, Between(0, MAX_REGIONS - 1)]
    bounds: Bounds
    pixels: PixelsRef
    mask: PixelsRef


@dataclass(frozen=True)
class Layered:
    """Layers that look like the picture when they lie over each other.

    base      the lowest layer, as large as the picture: what no layer covers, and underneath
    layers    topmost first
    """

    base: PixelsRef
    layers: Annotated[tuple[LayerPicture, ...], MaxLength(MAX_REGIONS)] = ()

    @property
    def blobs(self) -> Iterator[PixelsRef]:
        """Every picture and mask."""
        yield self.base
        for layer in self.layers:
            yield from (layer.pixels, layer.mask)

    def fits(self, picture: PixelsRef) -> bool:
        """Whether all of it has the size that it says, under this picture."""
        layers = self.layers
        sizes = [(layer.pixels, layer.bounds, 4) for layer in layers]
        sizes += [(layer.mask, layer.bounds, 1) for layer in layers]
        base, whole = self.base, (picture.height, picture.width, picture.channels)
        return (base.height, base.width, base.channels) == whole and all(
            (part.height, part.width, part.channels) == (place.height, place.width, channels)
            for part, place, channels in sizes
        )
