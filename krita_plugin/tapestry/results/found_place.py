"""Where the picture shows what words name: a map, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.pixels import Bounds, Pixels

from ..common.task_queue import Loop, TaskQueue, give_way
from ..document.canvas import Canvas, Host
from ..document.editing import keep_place_layer
from ..document.order import Order
from ..document.region_overlay import color_of
from ..document.settling import settled
from ..i18n.notices import Notice, notice_of
from ..i18n.translation import tr
from ..jobs.job import Job, JobResult
from .inserting import insert_mask, scaled_down

_LONGEST_PX = 512
"""Of the map that is shown small."""


@dataclass(frozen=True)
class PlaceMap:
    """How clearly each pixel shows what the words name, 1 channel.

    bounds    where it lies in the document; `pixels` fills them
    document  height and width of that document
    small     the same, to be shown
    """

    words: str
    canvas: Canvas
    document: tuple[int, int]
    bounds: Bounds
    pixels: Pixels = field(repr=False)
    small: Pixels = field(repr=False)

    def chosen(self, threshold: float) -> Pixels:
        """255 where it shows it at least so clearly, 0 elsewhere."""
        data = self.pixels.data.translate(chosen_levels(threshold))
        return Pixels(self.pixels.height, self.pixels.width, 1, data)


def chosen_levels(threshold: float) -> bytes:
    """For each level of a map: 255 where it is chosen."""
    least = max(1, round(threshold * 255))
    return bytes(least) + b"\xff" * (256 - least)


class FoundPlace:
    """The last map that was found; what is done with it runs in turns of Krita's loop.

    changed   is called when there is another map, or none
    said      shows a notice to the artist
    """

    def __init__(
        self,
        host: Host,
        loop: Loop,
        changed: Callable[[], None],
        said: Callable[[Notice | None], None],
    ) -> None:
        self._host = host
        self._changed = changed
        self._said = said
        self._tasks = TaskQueue(loop, lambda error: said(notice_of(error)))
        self._map: PlaceMap | None = None
        self._shown: PlaceMap | None = None

    @property
    def map(self) -> PlaceMap | None:
        """The map, where it fits to the document in front."""
        found, front = self._map, self._host.active_canvas()
        if found is None or front is None or not front.is_open or front.id != found.canvas.id:
            return None
        return found if (front.height, front.width) == found.document else None

    def look(self) -> None:
        """Another document may be in front, or of another size."""
        if self._map is not None and not self._map.canvas.is_open:
            self._map = None
        if self.map is not self._shown:
            self._shown = self.map
            self._changed()

    def take(self, job: Job, order: Order, made: JobResult, done: Callable[[], None]) -> None:
        """Show the map that came for a job."""
        self._tasks.add(self._take(job, order, made, done))

    async def _take(
        self, job: Job, order: Order, made: JobResult, done: Callable[[], None]
    ) -> None:
        try:
            if not job.canvas.is_open:
                self._said(_was_closed())
                return
            small = await scaled_down(self._host, made.pixels, _LONGEST_PX)
            whole = order.whole
            self._map = PlaceMap(
                order.request.edit.source_prompt if order.request.edit else "",
                job.canvas,
                (whole.height, whole.width),
                made.result.bounds.moved(-whole.top, -whole.left),
                _one_channel(made.pixels),
                _one_channel(small),
            )
            self.look()
        finally:
            done()

    def select(self, threshold: float) -> None:
        """Make what is chosen Krita's selection."""
        found = self.map
        if found is not None:
            self._tasks.add(self._select(found, _some_of(found, threshold)))

    async def _select(self, found: PlaceMap, chosen: Pixels) -> None:
        await settled(found.canvas)
        if found.canvas.is_open:
            found.canvas.select(chosen, found.bounds.top, found.bounds.left)
        await give_way()

    def add_layer(self, threshold: float) -> None:
        """Make what is chosen a layer that is called as the words: the brush can change it."""
        found = self.map
        if found is not None:
            self._tasks.add(self._add_layer(found, _some_of(found, threshold)))

    async def _add_layer(self, found: PlaceMap, chosen: Pixels) -> None:
        canvas, color = found.canvas, color_of(len(found.canvas.layers()))
        layer_id = await insert_mask(canvas, found.words, chosen, found.bounds, color)
        keep_place_layer(canvas, layer_id)

    def close(self) -> None:
        """Krita ends."""
        self._tasks.close()


def _some_of(found: PlaceMap, threshold: float) -> Pixels:
    chosen = found.chosen(threshold)
    if 255 not in chosen.data:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            tr("No place shows it so clearly."),
            tr("Lower the threshold until the map shows what you mean."),
        )
    return chosen


def _one_channel(grey: Pixels) -> Pixels:
    return Pixels(grey.height, grey.width, 1, grey.data[::4])


def _was_closed() -> Notice:
    return Notice(
        tr("The document was closed while the place was looked for."),
        tr("Open it and look for the place again: nothing was changed."),
        is_error=False,
    )
