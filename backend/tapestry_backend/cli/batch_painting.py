"""Who paints the pictures of a batch: this process, one after the other, or many workers."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Failed, Progress, Remark, Result

from ..checkpoints.catalogue import Catalogue
from ..outputs import unwritable
from ..server.paint_queue import Heard, PaintQueue
from ..tasks.events import Finished, Progressed
from ..workers.results import finished_of
from .batch_pictures import WantedPicture
from .batch_table import BatchTable
from .scene_pictures import painted

if TYPE_CHECKING:
    from ..models.model_cache import ModelCache

_AHEAD = 2
"""Pictures that wait for a worker: reading their scenes takes time, and holding them memory."""


class Painted(NamedTuple):
    """A finished picture; computer: the one of a cluster that painted it, empty: ours."""

    finished: Finished
    computer: str = ""


Outcome = tuple[WantedPicture, Painted | Exception]
"""A picture, and what became of it."""


class Painter(Protocol):
    """Paints pictures; takes the next one when there is somebody to paint it."""

    def paint(self, wanted: Iterator[WantedPicture]) -> Generator[Outcome]:
        """What became of each, in the order in which they end. Close it to stop."""


class PainterHere:
    """Paints in this process."""

    def __init__(self, catalogue: Catalogue, table: BatchTable) -> None:
        self._catalogue = catalogue
        self._table = table
        self._cache: ModelCache | None = None

    def paint(self, wanted: Iterator[WantedPicture]) -> Generator[Outcome]:
        """As of a `Painter`; one after the other."""
        for picture in wanted:
            outcome: Painted | Exception
            try:
                outcome = Painted(self._finished(picture))
            except Exception as error:  # noqa: BLE001  one picture takes no other along
                outcome = error
            yield picture, outcome

    def _finished(self, picture: WantedPicture) -> Finished:
        from ..models.model_cache import ModelCache  # noqa: PLC0415  torch, for the first picture

        self._cache = self._cache or ModelCache(self._catalogue)
        name, seed = picture.scene.name, picture.seed
        self._table.begin(name, seed)
        return painted(
            picture.read.scene, self._cache, lambda event: self._table.show(name, seed, event)
        )


class PainterOnWorkers:
    """Has workers paint, of this computer and of a cluster, as many at once as there are.

    log: takes what workers have to say, and what is said of them
    """

    def __init__(self, queue: PaintQueue, table: BatchTable, log: Path) -> None:
        self._queue = queue
        self._table = table
        self._log = log
        self._ids = (f"batch-{number}" for number in count())
        self._under_way: dict[str, WantedPicture] = {}
        self._waiting: set[str] = set()
        self._held: WantedPicture | None = None
        """The next: the first one, or one for which there was no memory until another ends."""

    def paint(self, wanted: Iterator[WantedPicture]) -> Generator[Outcome]:
        """As of a `Painter`; workers start with the first picture, and end with the last."""
        self._held = next(wanted, None)
        if self._held is None:
            return
        with _logging_to(self._log), self._queue:
            self._put_more(wanted)
            while self._under_way:
                outcome = self._take(self._queue.hear())
                if outcome is not None:
                    yield outcome
                if self._held is None or outcome is not None:
                    self._put_more(wanted)

    def _put_more(self, wanted: Iterator[WantedPicture]) -> None:
        while len(self._waiting) < _AHEAD:
            picture, self._held = self._held or next(wanted, None), None
            if picture is None:
                return
            job_id = next(self._ids)
            self._under_way[job_id] = picture
            self._waiting.add(job_id)
            self._queue.put(job_id, picture.read.scene.request, picture.read.scene.blobs)

    def _take(self, heard: Heard) -> Outcome | None:
        """What became of a picture, if this is the end of one."""
        message = heard.message
        match message:
            case Remark():
                self._table.say(f"{message.message} {message.advice}")
            case Progress():
                self._show(message)
            case Result():
                picture = self._ended(message.job_id)
                return picture, Painted(finished_of(message, heard.pixels), heard.node)
            case Failed():
                picture = self._ended(message.job_id)
                if message.code is not ErrorCode.BUSY or not self._under_way:
                    return picture, TapestryError(message.code, message.message, message.advice)
                self._held = picture
        return None

    def _ended(self, job_id: str) -> WantedPicture:
        self._waiting.discard(job_id)
        return self._under_way.pop(job_id)

    def _show(self, progress: Progress) -> None:
        """A worker has begun a picture, or gets on with it; or it waits again for another one."""
        picture = self._under_way[progress.job_id]
        if progress.stage == "queued":
            self._waiting.add(progress.job_id)
            return
        if progress.job_id in self._waiting:
            self._waiting.remove(progress.job_id)
            self._table.begin(picture.scene.name, picture.seed)
        event = Progressed(progress.stage, progress.step, progress.steps)
        self._table.show(picture.scene.name, picture.seed, event)


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Inside, what is said about workers goes into this file, and not between the table's rows."""
    try:
        path.write_bytes(b"")  # of the last run; workers add to it, too
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise unwritable(path, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    log = logging.getLogger("tapestry")
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.level, log.propagate = before
        log.removeHandler(handler)
        handler.close()
