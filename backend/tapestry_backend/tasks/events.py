"""What a running task reports."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.fields import Stage
from tapestry_protocol.pixels import Bounds, Pixels


@dataclass(frozen=True)
class Progressed:
    """A stage has begun (step 0) or one of its steps is done.

    preview    makes a small RGBA picture of how it looks now; None where there is none. Most steps
               are over before theirs could be seen
    """

    stage: Stage
    step: int = 0
    steps: int = 0
    preview: Callable[[], Pixels] | None = None


@dataclass(frozen=True)
class RegionPicture:
    """A tight region's own picture: RGBA that fills the bounds, and a mask of what shows.

    region    its number in the request
    bounds    in coordinates of the document before extension
    """

    region: int
    bounds: Bounds
    pixels: Pixels
    mask: Pixels


@dataclass(frozen=True)
class LayeredPicture:
    """Layers that look like the picture when they lie over each other; topmost first."""

    base: Pixels
    layers: tuple[RegionPicture, ...]

    @property
    def all_pixels(self) -> Iterator[Pixels]:
        """Every picture and mask."""
        yield self.base
        for layer in self.layers:
            yield from (layer.pixels, layer.mask)


@dataclass(frozen=True)
class Finished:
    """The picture, RGBA; `bounds` in coordinates of the document before extension.

    report    JSON-ready: plan, seed, model, windows, unet_evaluations (rows that went through the
              U-Net or the transformer), evaluations_left_out (rows that a step cache spared),
              seconds, peak_memory_bytes; rows_by_worker, as a team's `rows`, where one has painted
              it
    layered   the same as layers, where that was asked for and there are any
    """

    pixels: Pixels
    bounds: Bounds
    report: Mapping[str, Any]
    layered: LayeredPicture | None = None


def last_of(
    events: Generator[Progressed | Finished], show: Callable[[Progressed], None]
) -> Finished:
    """The end of a run; show: takes what happens meanwhile.

    A run that is left early, by an error or Ctrl+C, is closed at once, so that it keeps what it has
    learned. Raises TapestryError when it ends without a picture.
    """
    with closing(events):
        for event in events:
            if isinstance(event, Finished):
                return event
            show(event)
    raise TapestryError(ErrorCode.INTERNAL, "The picture was not finished.")
