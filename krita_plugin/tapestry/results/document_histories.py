"""The history of each open document, and of those that are closed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..common.atomic_write import write_atomically
from ..common.ownership import ownership_in
from ..common.stored_json import read_kept
from ..document.canvas import Canvas, Host
from .history import HISTORY_NOTE, History, HistoryEntry

_log = logging.getLogger("tapestry.results.document_histories")

_CLOSED, _UNSAVED = "closed documents.json", "unsaved"


class Histories:
    """Histories by document.

    folder  where the pictures of closed documents are listed, and those that no file lists yet
    closed  pictures that were finished when their document was not open any more
    """

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._file, self._unsaved = folder / _CLOSED, folder / _UNSAVED
        self._ownership = ownership_in(folder.parent / "kritas")
        self._open: dict[str, History] = {}
        self._ids: dict[str, str] = {}
        self.closed = self._read(self._file) or History()
        self._listed = {entry.id for entry in self.closed.entries}
        self._rescue_unsaved()

    def of(self, canvas: Canvas) -> History:
        """A document's history; pictures that came when it was closed are among it."""
        if canvas.id not in self._open:
            open_ids = {other.id for other in self._host.open_canvases()}
            self._open = {key: kept for key, kept in self._open.items() if key in open_ids}
            history = self._open[canvas.id] = History.from_text(canvas.note(HISTORY_NOTE))
            self._ids[canvas.id] = history.id
            self._claim(canvas, history)
        return self._open[canvas.id]

    def id_of(self, canvas: Canvas) -> str:
        """By which a document's history is known, also when it is closed."""
        return self._ids[canvas.id] if canvas.id in self._ids else self.of(canvas).id

    def keep(self, canvas: Canvas) -> None:
        """Write a document's history into the document."""
        canvas.keep_note(HISTORY_NOTE, self.of(canvas).to_text())

    def enter(self, canvas: Canvas, entry: HistoryEntry) -> None:
        """Put a picture into a document's history; it outlives a Krita that ends without saving."""
        history = self.of(canvas)
        history.add(entry)
        self.keep(canvas)
        beside = History(history.id, [replace(entry, origin=history.id, origin_name=canvas.name)])
        try:
            owned = f'{{"owner": "{self._ownership.name}", {beside.to_text()[1:]}'
            write_atomically(self._unsaved / f"{entry.id}.json", owned)
        except OSError:
            _log.exception("a picture of a document that is not saved cannot be listed")

    def saved(self, canvas: Canvas) -> None:
        """A document's own file lists its pictures now."""
        self.let_go(entry.id for entry in self.of(canvas).entries)

    def let_go(self, entry_ids: Iterable[str]) -> None:
        """These pictures need not outlive Krita beside their documents."""
        try:
            for entry_id in entry_ids:
                (self._unsaved / f"{entry_id}.json").unlink(missing_ok=True)
        except OSError:
            _log.exception("the list of pictures that are not saved cannot be made shorter")

    def close(self) -> None:
        """Krita ends in good order: the artist was asked whether to save."""
        for history in self._open.values():
            self.let_go(entry.id for entry in history.entries)

    def rescue(self, entry: HistoryEntry, history_id: str, name: str = "") -> None:
        """Keep a picture whose document has been closed, or was opened again under another id."""
        for canvas in self._host.open_canvases():
            if self.of(canvas).id == history_id:
                self.enter(canvas, entry)
                return
        self.closed.add(replace(entry, origin=history_id, origin_name=name))
        self.keep_closed()

    def keep_closed(self) -> None:
        """Write the list of those that have no open document; a full disk loses the list alone.

        Another Krita may have written it meanwhile: what it has added and taken out is done here.
        """
        with self._ownership.alone("closed documents"):
            theirs = self._read(self._file)
            if theirs is not None:
                self._take_changes(theirs)
            self._listed = {entry.id for entry in self.closed.entries}
            try:
                write_atomically(self._file, self.closed.to_text())
            except OSError:
                _log.exception("the list of closed documents' pictures cannot be written")

    def is_needed(self, sha256: str) -> bool:
        """Whether any picture that is known here has these pixels, in whatever document."""
        histories = [self.of(canvas) for canvas in self._host.open_canvases()]
        beside = filter(None, map(self._read, self._unsaved.glob("*.json")))
        known = (*histories, self.closed, *beside)
        return any(sha256 in entry.pictures for history in known for entry in history.entries)

    def is_unsaved(self, entry_id: str) -> bool:
        """Whether no document's file can list this picture."""
        return (self._unsaved / f"{entry_id}.json").exists()

    def _take_changes(self, theirs: History) -> None:
        """Make the list what another Krita has made of it, beside our own changes."""
        ids = {entry.id for entry in theirs.entries}
        for entry in reversed(theirs.entries):
            if entry.id not in self._listed:
                self.closed.add(entry)
        for entry_id in self._listed - ids:
            self.closed.remove(entry_id)

    def _claim(self, canvas: Canvas, history: History) -> None:
        """What was finished for this document after it was closed."""
        own = [entry for entry in self.closed.entries if entry.origin == history.id]
        for entry in reversed(own):
            history.add(entry)
            self.closed.remove(entry.id)
        if own:
            self.keep(canvas)
            self.keep_closed()

    def _rescue_unsaved(self) -> None:
        """Krita ended in bad order: what its documents' files do not know is a closed one's."""
        found = ((path, _kept(path)) for path in sorted(self._unsaved.glob("*.json")))
        left = [(path, text) for path, text in found if self._is_left(text)]
        for _, text in left:
            for entry in History.from_text(text).entries:
                self.closed.add(entry)
        if left:
            self.keep_closed()
            self.let_go(path.stem for path, _ in left)

    def _is_left(self, text: str) -> bool:
        """Whether the Krita that has listed a picture has ended."""
        kept = read_kept(text)
        return self._ownership.is_free(kept.get("owner") if isinstance(kept, dict) else "")

    @staticmethod
    def _read(path: Path) -> History | None:
        """The history in a file; None where there is none to be read."""
        text = _kept(path)
        return History.from_text(text) if read_kept(text) is not None else None


def _kept(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
