"""A finished picture <-> its entry in the history and its pixels on disk."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request, Result
from tapestry_protocol.pixels import PixelsRef

from ..common.stored_json import read_kept, same_kind
from ..common.task_queue import give_way
from ..document.canvas import Host
from ..document.order import Order, asked_for
from ..i18n.translation import tr
from ..jobs.job import Job, JobResult
from .document_histories import Histories
from .history import THUMBNAIL_PX, HistoryEntry, layers_in, pack
from .inserting import Cut, FinishedPicture, LayerGroup, OwnLayer, scaled_down
from .picture_store import PictureStore

_log = logging.getLogger("tapestry.results.keeping")


class PictureKeeper:
    """Every coroutine gives way every 10 ms or so."""

    def __init__(self, host: Host, histories: Histories, store: PictureStore) -> None:
        self._host = host
        self._histories = histories
        self._store = store

    async def enter(self, job: Job, order: Order, made: JobResult) -> HistoryEntry:
        """Put a picture into memory, then into the history of its document, or of closed ones."""
        for reference, layer in made.beside.items():
            self._store.remember(reference.sha256, layer)
        self._store.remember(made.result.pixels.sha256, made.pixels)
        small = await scaled_down(self._host, made.pixels, THUMBNAIL_PX)
        entry = _entry_of(job, order, made.result, pack(small))
        try:
            if job.canvas.is_open:
                self._histories.enter(job.canvas, entry)
        except TapestryError:
            if job.canvas.is_open:
                raise
        if not job.canvas.is_open:
            self._histories.rescue(entry, job.history_id, job.document_name)
        await give_way()
        return entry

    async def write(self, job: Job, order: Order, made: JobResult, most_bytes: int) -> bool:
        """Keep a picture, its layers and its masks on disk; False when the disk takes them not."""
        request = order.request
        beside = [region.mask for region in request.regions]
        if request.image is not None and not job.canvas.is_open:
            beside.append(request.image)  # what an extension goes on from
        try:
            await self._store.keep(made.result.pixels.sha256, made.pixels)
            for reference, layer in made.beside.items():
                await self._store.keep(reference.sha256, layer)
            for reference in beside:
                data = order.blobs.get(reference.sha256)
                if data is not None:  # else an earlier Krita had them
                    await self._store.keep(reference.sha256, reference.with_data(data))
            self._store.shrink(most_bytes)
        except OSError:  # the picture is in memory and in the history all the same
            _log.exception("a picture cannot be written")
            return False
        return True

    async def picture(self, entry: HistoryEntry) -> FinishedPicture:
        """The picture itself; raises TapestryError when it was let go."""
        pixels = await self._store.read(_reference_of(entry))
        if pixels is None:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                tr("The pixels of this picture are not on this computer any more."),
                tr("Take its settings again, then Generate: it is painted anew."),
            )
        request, old = entry.request, None
        is_beside = entry.origin and entry.enlarged_from is None
        if is_beside and request is not None and request.image is not None:
            old = await self._store.read(request.image)
        return FinishedPicture(
            entry.name,
            pixels,
            entry.place,
            entry.document,
            entry.margins,
            entry.sources,
            old=old,
            enlarged_from=entry.enlarged_from,
        )

    async def as_painted(self, entry: HistoryEntry) -> tuple[Request, dict[str, bytes]] | None:
        """What was asked for, with the regions whose masks are known, and these.

        None where its places are not those of the picture: it was extended, or made larger.
        """
        request = entry.request
        size = (entry.height, entry.width)
        if request is None or (request.height, request.width) != size:
            return None
        regions, masks = [], {}
        for region in request.regions:
            mask = await self._store.read(region.mask)
            if mask is not None:
                regions.append(region)
                masks[region.mask.sha256] = mask.data
        return replace(request, regions=tuple(regions)), masks

    async def in_regions(self, entry: HistoryEntry, picture: FinishedPicture) -> FinishedPicture:
        """The picture with its layers, or else with its regions' masks, by which it can be cut.

        Raises TapestryError when neither is known any more.
        """
        group = await self._layers(entry)
        if group is not None:
            return replace(picture, group=group)
        cuts = await self._cuts(entry)
        return replace(picture, cuts=cuts)

    async def _layers(self, entry: HistoryEntry) -> LayerGroup | None:
        """The layers that it came with; None where one of them was let go."""
        layers, request = entry.layers, entry.request
        if layers is None or request is None or not layers.fits(_reference_of(entry)):
            return None
        parts = {}
        for reference in layers.blobs:
            pixels = await self._store.read(reference)
            if pixels is None:
                return None
            parts[reference] = pixels
        own = [
            OwnLayer(
                request.regions[layer.region].prompt,
                layer.bounds.moved(*entry.offset),
                parts[layer.pixels],
                parts[layer.mask],
            )
            for layer in layers.layers
            if layer.region < len(request.regions)
        ]
        return LayerGroup(parts[layers.base], own)

    async def _cuts(self, entry: HistoryEntry) -> list[Cut]:
        """Its regions with their masks; raises TapestryError when there are none any more."""
        request = None if entry.enlarged_from else entry.request  # masks have the size from before
        cuts = []
        for region in request.regions if request else ():
            mask = await self._store.read(region.mask)
            if mask is not None and mask.channels == 1:
                cuts.append(Cut(region.prompt, region.bounds.moved(*entry.offset), mask))
        if not cuts:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                tr("This picture has no regions that are still known."),
                tr("Apply it as one layer."),
            )
        return cuts


def _reference_of(entry: HistoryEntry) -> PixelsRef:
    return PixelsRef(entry.height, entry.width, 4, entry.sha256)


def _entry_of(job: Job, order: Order, result: Result, thumbnail: str) -> HistoryEntry:
    whole = order.whole
    offset = (-whole.top, -whole.left)
    place = result.bounds.moved(*offset)
    return HistoryEntry(
        id=job.id,
        name=order.layer_name,
        sha256=result.pixels.sha256,
        height=result.pixels.height,
        width=result.pixels.width,
        bounds=(place.top, place.left, place.bottom, place.right),
        document=(whole.height, whole.width),
        offset=offset,
        asked=asked_for(order.request),
        made_at=int(time.time()),
        seconds=_seconds(result.report),
        sources=job.sources,
        thumbnail=thumbnail,
        adapters=order.adapters,
        new_document=order.new_document,
        layered=layers_in(result),
    )


def _seconds(report: str) -> float:
    """Seconds that the run took, by its own report."""
    kept = read_kept(report)
    seconds = kept.get("seconds") if isinstance(kept, dict) else None
    total = same_kind(seconds.get("total"), 0.0) if isinstance(seconds, dict) else None
    return round(total, 1) if total is not None and math.isfinite(total) else 0.0
