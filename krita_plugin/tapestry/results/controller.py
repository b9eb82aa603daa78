"""Finished pictures: kept in the history, shown on the canvas, inserted as layers.

A picture enters the history of its document before anything else is done with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Protocol

from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds, Margins, Pixels

from ..common.task_queue import Loop, TaskQueue
from ..document.canvas import Canvas, Host
from ..document.editing import keep_learned_layers
from ..document.order import Order
from ..i18n.notices import Notice, notice_in, notice_of
from ..i18n.translation import tr
from ..jobs.job import Job, JobResult
from ..settings.settings import Settings
from .canvas_preview import CanvasPreview
from .document_histories import Histories
from .history import History, HistoryEntry
from .inserting import InsertAs, Inserted, insertion, insertion_into_new_document, take_back_size
from .keeping import PictureKeeper
from .picture_store import PictureStore

_MIB = 2**20

_DRAWN_AFTER_S = 0.3


class Onlooker(Protocol):
    """Reads the document in front now and then."""

    def resting(self) -> AbstractContextManager[None]: ...


class Results:
    """The history of the active document, and what the docker does with its pictures.

    changed    is called when the history or the picture on the canvas has changed
    said       shows a notice to the artist
    onlooker   pauses while a picture is put into a document

    Whatever takes long runs in a queue, one after the other.
    """

    def __init__(
        self,
        host: Host,
        loop: Loop,
        settings: Settings,
        *,
        changed: Callable[[], None],
        said: Callable[[Notice | None], None],
        onlooker: Onlooker,
    ) -> None:
        folder = host.data_folder / "pictures"
        self.histories = Histories(host, folder)
        self.canvas_preview = CanvasPreview(host, loop)
        self._host = host
        self._loop = loop
        self._settings = settings
        self._store = PictureStore(folder)
        self._keeper = PictureKeeper(host, self.histories, self._store)
        self._tasks = TaskQueue(loop, self._fail)
        self._changed = changed
        self._said = said
        self._onlooker = onlooker
        self._front = ""
        self._live = ""
        self._quiet = ""
        self._take_backs: dict[str, Callable[[], None]] = {}

    # --- what there is ----------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being kept, shown or inserted."""
        return self._tasks.is_idle

    def entries(self, words: str = "") -> list[HistoryEntry]:
        """The pictures of the document in front, then those of closed ones; with these words."""
        canvas = self._in_front()
        own = self.histories.of(canvas).entries if canvas else []
        return [e for e in (*own, *self.histories.closed.entries) if e.has_words(words)]

    def find(self, entry_id: str) -> HistoryEntry | None:
        """A picture of the document in front, or of a closed one."""
        return next((entry for entry in self.entries() if entry.id == entry_id), None)

    def can_take_back(self, entry: HistoryEntry) -> bool:
        """Whether the picture, or the room that was made for it, is in the document in front."""
        canvas = self._in_front()
        if canvas is None or not entry.applied:
            return False
        top, left, bottom, right = entry.grown
        height, width = entry.document
        grown = (height + top + bottom, width + left + right)
        is_grown = any(entry.grown) and (canvas.height, canvas.width) == grown
        return is_grown or entry.applied[0] in {layer.id for layer in canvas.layers()}

    def look(self) -> None:
        """Another document may be in front: then nothing is shown on the one before."""
        canvas = self._in_front()
        front = canvas.id if canvas else ""
        if front != self._front:
            self._front = front
            self._live = ""  # a preview that waits for its turn is not shown any more
            self.canvas_preview.hide()
            if canvas is not None:
                self.canvas_preview.clean(canvas)
            self._changed()

    # --- a new picture ----------------------------------------------------------------------------

    def take(
        self, job: Job, order: Order, made: JobResult, done: Callable[[], None], *, at_once: bool
    ) -> None:
        """Keep a picture, and insert it `at_once` if the document is what it was."""
        self._tasks.add(self._take(job, order, made, done, at_once=at_once))

    async def _take(
        self, job: Job, order: Order, made: JobResult, done: Callable[[], None], *, at_once: bool
    ) -> None:
        try:
            entry = await self._keeper.enter(job, order, made)
            self._changed()
            notice = notice_in(made.result.report)
            if at_once and (entry.new_document or job.document_state.is_still_that_of(job.canvas)):
                way: InsertAs = (
                    "regions" if order.request.layered and order.request.regions else "layer"
                )
                await self._insert(job.canvas, entry, way, notice)
            else:
                self.hide_live(())
                self._said(_why_not(job) if at_once else notice)
            # Last, because it takes longest; the server keeps the picture until it is done.
            most_bytes = self._settings.history_mb * _MIB
            is_kept = await self._keeper.write(job, order, made, most_bytes)
        except Exception:
            done()
            raise
        done()
        if not is_kept:
            self._said(_not_on_disk())

    async def to_enlarge(
        self, entry: HistoryEntry
    ) -> tuple[Pixels, tuple[Request, dict[str, bytes]] | None]:
        """The pixels of a picture, and what was asked for where that still fits them."""
        picture = await self._keeper.picture(entry)
        return picture.pixels, await self._keeper.as_painted(entry)

    async def favourites(self) -> tuple[Pixels, ...]:
        """The favourites of the document in front, newest first."""
        canvas = self._in_front()
        entries = self.histories.of(canvas).entries if canvas is not None else ()
        chosen = [entry for entry in entries if entry.favourite]
        return tuple([(await self._keeper.picture(entry)).pixels for entry in chosen])

    # --- into the document ------------------------------------------------------------------------

    def apply(self, entry_id: str, way: InsertAs) -> None:
        """Make a layer of a picture, in the document in front; a closed one's in a new document."""
        entry, canvas = self.find(entry_id), self._in_front()
        if entry is not None:
            belongs = canvas is not None and self.histories.of(canvas).find(entry_id) is not None
            self._tasks.add(self._insert(canvas if belongs else None, entry, way, None))

    async def _insert(
        self, canvas: Canvas | None, entry: HistoryEntry, way: InsertAs, notice: Notice | None
    ) -> None:
        """Insert a picture and show this notice, or what went wrong."""
        try:
            with self._onlooker.resting():
                inserted = await self._insertion(canvas, entry, way)
        except Exception as error:  # noqa: BLE001  it is shown, and the picture stays in the history
            if canvas is not None and not canvas.is_open:
                self.histories.rescue(entry, self.histories.id_of(canvas))
                self._said(_was_closed())
            else:
                self._said(notice_of(error))
        else:
            finding = inserted.finding
            self._said(Notice(finding.message, finding.advice) if finding else notice)
        self._changed()

    async def _insertion(
        self, canvas: Canvas | None, entry: HistoryEntry, way: InsertAs
    ) -> Inserted:
        picture = await self._keeper.picture(entry)
        if canvas is None or entry.new_document:
            self.canvas_preview.hide()
            is_wanted = entry.new_document
            return await insertion_into_new_document(self._host, picture, is_wanted=is_wanted)
        if way == "regions":
            picture = await self._keeper.in_regions(entry, picture)
        shown = None
        if way == "layer" and entry.margins.is_zero and entry.enlarged_from is None:
            shown = self.canvas_preview.release(canvas, picture.bounds)
        self.canvas_preview.hide()
        if entry.enlarged_from is not None:
            await self.canvas_preview.gone()  # else it grows with the other layers
        inserted = await insertion(canvas, picture, way, shown)
        self.canvas_preview.clean(canvas)  # no preview stays under its picture
        m = inserted.grown
        self.histories.of(canvas).change(
            entry.id, applied=inserted.layers, grown=(m.top, m.left, m.bottom, m.right)
        )
        asked = entry.request
        if asked is not None and way != "active":
            keep_learned_layers(canvas, inserted.layers, asked)
        self._take_backs.pop(entry.id, None)
        if inserted.take_back:
            self._take_backs[entry.id] = inserted.take_back
        self.histories.keep(canvas)
        return inserted

    def take_back(self, entry_id: str) -> None:
        """Take an applied picture out of the document again, an extension as a whole."""
        entry, canvas = self.find(entry_id), self._in_front()
        if entry is None or canvas is None or not self.can_take_back(entry):
            return
        self.canvas_preview.hide()
        take_back = self._take_backs.pop(entry_id, None)
        if take_back is not None:
            take_back()
        for layer_id in () if take_back else entry.applied:
            canvas.remove(layer_id)
        if any(entry.grown):
            # Krita 5.1 ends itself when the canvas is made smaller before it has drawn the removal.
            self._loop.call_later(_DRAWN_AFTER_S, lambda: self._shrink(canvas, entry))
        self.histories.of(canvas).change(entry_id, applied=(), grown=(0, 0, 0, 0))
        self.histories.keep(canvas)
        self._changed()

    def _shrink(self, canvas: Canvas, entry: HistoryEntry) -> None:
        """The rest of `take_back`: the canvas gets its old size, where it was not resized since."""
        if canvas.is_open:
            grown, is_scaled = Margins(*entry.grown), entry.enlarged_from is not None
            if not take_back_size(canvas, grown, entry.document, is_scaled=is_scaled):
                self._said(_keeps_its_size())
            elif is_scaled:
                self._said(_is_scaled_down())
        self._changed()

    # --- on the canvas ----------------------------------------------------------------------------

    def preview(self, entry_id: str) -> None:
        """Show a picture on the canvas; none when the id is empty or of what is shown already."""
        entry, canvas = self.find(entry_id), self._in_front()
        shown = self.canvas_preview.subject
        self.canvas_preview.hide()
        if entry is not None and canvas is not None and shown != entry_id:
            self._tasks.add(self._show(entry, canvas))
        self._changed()

    async def _show(self, entry: HistoryEntry, canvas: Canvas) -> None:
        picture = await self._keeper.picture(entry)
        bounds = picture.bounds_in(canvas)
        with self._onlooker.resting():
            await self.canvas_preview.show(entry.id, canvas, picture.pixels, bounds, entry.sources)
        self._changed()

    def show_live(self, job: Job, order: Order, small: Pixels) -> None:
        """Show how a job's picture looks now, where it lies on the canvas in front."""
        front, request = self._in_front(), order.request
        is_free = self._tasks.is_idle and self.canvas_preview.subject in ("", job.id)
        is_free = is_free and self._quiet != job.id
        if not is_free or not request.margins.is_zero or front is None:
            return
        if front.id == job.canvas.id and job.document_state.is_still_that_of(front):
            self._live, whole = job.id, order.whole
            area = Bounds(0, 0, request.height, request.width).moved(-whole.top, -whole.left)

            async def showing() -> None:
                now = self._in_front()  # another document may be there by now
                if self._live == job.id and now is not None and now.id == front.id:
                    with self._onlooker.resting():
                        await self.canvas_preview.show(job.id, front, small, area, job.sources)

            self._tasks.add(showing())

    def hide_live(self, jobs: Collection[str]) -> None:
        """Take a job's preview from the canvas, unless it is one of these."""
        if self._live and self._live not in jobs:
            if self.canvas_preview.subject == self._live:
                self.canvas_preview.hide_soon()
            self._live = ""

    def saving(self) -> None:
        """The artist is about to save, or to change the document as a whole."""
        self._quiet, self._live = self._live, ""
        self.canvas_preview.hide()
        self._changed()

    def saved(self, canvas: Canvas | None) -> bool:
        """A file was written; one that got a preview is written again without.

        Whether it is written again.
        """
        had_preview = canvas is not None and self.canvas_preview.clean(canvas)
        if canvas is not None:
            if had_preview:
                self._quiet, self._live = self._live or self._quiet, ""
                canvas.save()
            self.histories.saved(canvas)
        self._changed()
        return had_preview

    # --- in the list ------------------------------------------------------------------------------

    def discard(self, entry_id: str) -> None:
        """Take a picture out of the history; layers made of it stay.

        It goes off the disk at once where no file of a document can know it, else when its room is
        needed: a copy of the document may be closed.
        """
        entry = self.find(entry_id)
        if entry is None:
            return
        if self.canvas_preview.subject == entry_id:
            self.canvas_preview.hide()
        self._history_of(entry).remove(entry_id)
        is_unsaved = self.histories.is_unsaved(entry_id)
        self.histories.let_go([entry_id])
        let_go = self._store.forget if is_unsaved else self._store.release
        for sha256 in entry.pictures:
            if not self.histories.is_needed(sha256):
                let_go(sha256)
        self._take_backs.pop(entry_id, None)
        self._write()

    def set_favourite(self, entry_id: str, *, on: bool) -> None:
        """A favourite stays on disk however old it is."""
        entry = self.find(entry_id)
        if entry is not None:
            self._history_of(entry).change(entry_id, favourite=on)
            for sha256 in entry.pictures:
                self._store.hold(sha256, on=on)
            self._write()

    def close(self) -> None:
        """Krita ends."""
        self._tasks.close()
        self.canvas_preview.hide()
        self.histories.close()

    def _in_front(self) -> Canvas | None:
        """The document in front; one that is just being closed is none any more."""
        canvas = self._host.active_canvas()
        return canvas if canvas is not None and canvas.is_open else None

    def _history_of(self, entry: HistoryEntry) -> History:
        closed, canvas = self.histories.closed, self._in_front()
        return closed if closed.find(entry.id) or canvas is None else self.histories.of(canvas)

    def _write(self) -> None:
        canvas = self._in_front()
        if canvas is not None:
            self.histories.keep(canvas)
        self.histories.keep_closed()
        self._changed()

    def _fail(self, error: Exception) -> None:
        self._said(notice_of(error))


def _why_not(job: Job) -> Notice:
    if not job.canvas.is_open:
        return _was_closed()
    return Notice(
        tr("The document has changed while its picture was painted."),
        tr("The picture is in the history: Apply puts it into the document."),
        is_error=False,
    )


def _was_closed() -> Notice:
    return Notice(
        tr("The document was closed while its picture was painted."),
        tr("The picture is in the history: Apply puts it into a new document."),
        is_error=False,
    )


def _keeps_its_size() -> Notice:
    return Notice(
        tr("The layer is taken out; the canvas keeps its size."),
        tr("It has been resized since: Image > Resize Canvas makes it smaller."),
        is_error=False,
    )


def _is_scaled_down() -> Notice:
    return Notice(
        tr("The document has its old size again; all layers were scaled down with it."),
        tr("To have them exactly as they were, use Edit > Undo instead."),
        is_error=False,
    )


def _not_on_disk() -> Notice:
    return Notice(
        tr("The picture is in the history, but it cannot be kept on disk."),
        tr("Make room on the disk, and apply the picture before Krita is closed."),
    )
