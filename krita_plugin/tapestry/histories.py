"""The history of each open document, and of those that are closed; where they are kept, no jobs."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from .canvas import Canvas, Host
from .history import HISTORY_NOTE, Entry, History

_log = logging.getLogger("tapestry.histories")

_CLOSED = "closed documents.json"


class Histories:
    """Histories by document.

    folder  where the pictures of closed documents are listed
    closed  pictures that were finished when their document was not open any more
    """

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._file = folder / _CLOSED
        self._open: dict[str, History] = {}
        self._ids: dict[str, str] = {}
        self.closed = self._read_closed()

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

    def rescue(self, entry: Entry, history_id: str, name: str = "") -> None:
        """Keep a picture whose document has been closed."""
        self.closed.add(replace(entry, origin=history_id, origin_name=name))
        self.keep_closed()

    def keep_closed(self) -> None:
        """Write the list of those that have no open document; a full disk loses the list alone."""
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, aside = tempfile.mkstemp(dir=self._file.parent, prefix=".aside-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self.closed.to_text())
            Path(aside).replace(self._file)
        except OSError:
            _log.exception("the list of closed documents' pictures cannot be written")

    def _claim(self, canvas: Canvas, history: History) -> None:
        """What was finished for this document after it was closed."""
        own = [entry for entry in self.closed.entries if entry.origin == history.id]
        for entry in reversed(own):
            history.add(entry)
            self.closed.remove(entry.id)
        if own:
            self.keep(canvas)
            self.keep_closed()

    def _read_closed(self) -> History:
        try:
            return History.from_text(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return History()
