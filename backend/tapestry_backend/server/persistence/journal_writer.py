"""Writes journal and store in a thread of its own; a disk that fails costs the journal alone.

The caller gets a future that is done when the record is safe, or when there is no hope:
the work goes on without a journal then, and says so once.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from .disk import Disk
from .journal import Journal
from .journal_state import JournalState, Record
from .persist import Persist
from .store import Store

_COMPACT_BEYOND_BYTES = 4 * 2**20
"""A journal is written anew when it is larger than this, and than four times what it says."""

_LAST_WORDS_S = 2.0
"""Seconds that the disk may take for outstanding writes when the server stops."""

_log = logging.getLogger("tapestry.journal")

_Order = tuple[Persist, "Future[None]"]


class JournalWriter:
    """Keeps jobs and pictures in a folder.

    failed   is called once, in the thread, when the disk does not take something
    """

    def __init__(
        self, folder: Path, failed: Callable[[OSError], None], disk: Disk | None = None
    ) -> None:
        self._folder = folder
        self._failed = failed
        self._disk = disk or Disk()
        self._journal = Journal(folder / "journal", self._disk)
        self.store = Store(folder / "blobs", self._disk)
        self._journal_state = JournalState()
        self._owners: Counter[str] = Counter()
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal writer", daemon=True)
        self._is_working = True
        self._compact_beyond_bytes = _COMPACT_BEYOND_BYTES

    def open(self) -> JournalState:
        """Read what an earlier server kept, then be ready to keep more."""
        try:
            if self._is_working:
                self._begin()
        except OSError as error:
            self.give_up(error)
        for entry in self._journal_state.entries.values():
            self._owners.update(entry.blobs)
        found = JournalState(dict(self._journal_state.entries), dict(self._journal_state.delivered))
        self._thread.start()
        return found

    def keep(self, order: Persist) -> Future[None]:
        """Have this kept; the future never fails."""
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # a waiter that goes away must not cancel it
        self._orders.put((order, done))
        return done

    def close(self) -> None:
        """Write what is still to be written."""
        self._orders.put(None)
        self._thread.join(_LAST_WORDS_S)

    def give_up(self, error: OSError) -> None:
        """Go on without a journal."""
        if self._is_working:
            self._is_working = False
            _log.error("no journal from now on: %s", error)
            self._failed(error)

    def _begin(self) -> None:
        self._disk.make_folder(self._folder)
        self._journal_state = self._read()
        self._journal.rewrite(record.to_bytes() for record in self._journal_state.records())
        self.store.sweep(self._journal_state.needed())

    # --- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                if self._is_working:
                    self._write(batch)
            except OSError as error:
                self.give_up(error)
            except Exception as error:  # noqa: BLE001  our own mistake costs no more than a disk
                _log.exception("the journal failed")
                self.give_up(OSError(str(error)))
            finally:
                for _, done in batch:
                    done.set_result(None)
        self._journal.close()

    def _next_batch(self) -> list[_Order] | None:
        """Everything that waits, so that one sync is enough for all of it; None at the end."""
        order = self._orders.get()
        if order is None:
            return None
        batch = [order]
        while not self._orders.empty():
            order = self._orders.get()
            if order is None:
                self._orders.put(None)
                break
            batch.append(order)
        return batch

    def _write(self, batch: list[_Order]) -> None:
        for order, _ in batch:
            for sha256, data in order.blobs.items():
                self.store.put(sha256, data)
            for picture in order.picture.all if order.picture else ():
                if picture.data is not None:
                    picture.settle(self.store.put(picture.sha256, picture.data))
            self._journal.append(order.record.to_bytes())
        if any(order.is_urgent for order, _ in batch):
            self._journal.sync()
        released = [sha256 for order, _ in batch for sha256 in self._account(order.record)]
        for sha256 in released:  # after the whole batch, of which a later part may need it again
            if self._owners[sha256] <= 0:
                del self._owners[sha256]
                self.store.remove(sha256)
        if self._journal.size_bytes > self._compact_beyond_bytes:
            self._compact()

    def _account(self, record: Record) -> tuple[str, ...]:
        """Update the journal's state, and which job needs which blob; returns this job's before."""
        before = self._journal_state.entries.get(record.job_id)
        had = before.blobs if before else ()
        self._journal_state.add(record)
        after = self._journal_state.entries.get(record.job_id)
        self._owners.update(after.blobs if after else ())
        self._owners.subtract(had)
        return had

    def _compact(self) -> None:
        self._journal.rewrite(record.to_bytes() for record in self._journal_state.records())
        self._compact_beyond_bytes = max(_COMPACT_BEYOND_BYTES, 4 * self._journal.size_bytes)

    def _read(self) -> JournalState:
        """The sum of what stands in the file, as far as it is not damaged."""
        journal_state = JournalState()
        payloads, is_whole = self._journal.read()
        for payload in payloads:
            try:
                journal_state.add(Record.from_bytes(payload))
            except ValueError:
                is_whole = False
                break
        if not is_whole:
            _log.warning("the journal is damaged: what was written after the damage is lost")
        return journal_state
