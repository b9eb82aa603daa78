"""Jobs whose picture is not kept yet, on disk: they outlive Krita, however it ended.

One small file for each, from the moment it is submitted. The server keeps what belongs to it.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from tapestry_protocol.codec import decode
from tapestry_protocol.errors import ProtocolError
from tapestry_protocol.messages import Submit
from tapestry_protocol.pixels import Bounds

from ..common.atomic_write import write_atomically
from ..common.ownership import ownership_in
from ..document.canvas import Canvas
from ..document.order import DocumentState, Order, asked_for
from .job import Job, Phase

_log = logging.getLogger("tapestry.jobs.pending")

KEPT_S = 24 * 3600
"""As long as the server keeps a picture that was not fetched."""

_MOST = 256
"""More jobs than are ever left behind."""

_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class GoneCanvas:
    """A document of an earlier Krita: it only says whether it is open."""

    id = ""
    is_open = False


class PendingJobs:
    """The folder of these files.

    folder  made when the first job is kept
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._ownership = ownership_in(folder.parent / "kritas")

    def keep(self, job: Job, order: Order) -> None:
        """Remember a job; a full disk costs this memory alone."""
        document = order.document
        kept = {
            "asked": asked_for(order.request),
            "layer_name": order.layer_name,
            "document": document and [document.top, document.left, document.bottom, document.right],
            "history_id": job.history_id,
            "document_name": job.document_name,
            "sources": job.sources,
            "adapters": order.adapters,
            "new_document": order.new_document,
            "sent_at": self._clock(),
            "owner": self._ownership.name,
        }
        try:
            write_atomically(self._path(job.id), json.dumps(kept))
        except OSError:
            _log.exception("a job cannot be remembered")

    def drop(self, job_id: str) -> None:
        """Its picture is kept, or there will be none."""
        try:
            self._path(job_id).unlink(missing_ok=True)
        except OSError:
            _log.exception("a job cannot be forgotten")

    def read(self) -> list[Job]:
        """The jobs that an earlier Krita has left, in the order of their buttons.

        Those of another one that still runs are its own. Files that are damaged, or too old for the
        server to know anything, are taken away.
        """
        found = []
        for path in sorted(self._folder.glob("*.json"))[:_MOST]:
            try:
                kept = _fields(path)
                if not self._ownership.is_free(kept.get("owner")):
                    continue
                sent_at, job = _read(path, kept)
            except _DAMAGES:
                _log.warning("a job of an earlier time cannot be read", exc_info=True)
                self.drop(path.stem)
                continue
            if 0 <= self._clock() - sent_at < KEPT_S:
                found.append((sent_at, job))
            else:
                self.drop(path.stem)
        return [job for _, job in sorted(found, key=lambda pair: pair[0])]

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"


_DAMAGES = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError),
    *(ProtocolError, RecursionError),
)
"""What reading a foreign or damaged file may raise."""


def _fields(path: Path) -> Mapping[str, Any]:
    kept = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(kept, dict):
        raise TypeError("not a job")
    return kept


def _read(path: Path, kept: Mapping[str, Any]) -> tuple[float, Job]:
    if not _ID.fullmatch(path.stem):
        raise ValueError("not the name of a job")
    asked = {"kind": "submit", "job_id": path.stem, "request": kept["asked"]}
    submit = decode(json.dumps(asked))
    if not isinstance(submit, Submit):
        raise TypeError("not a request")
    document = Bounds(*map(int, kept["document"])) if kept["document"] else None
    job = Job(
        path.stem,
        cast("Canvas", GoneCanvas()),
        DocumentState((0, 0), ("", ""), frozenset()),
        str(kept["history_id"]),
        str(kept["document_name"]),
        tuple(map(str, kept["sources"])),
        Phase.SUBMITTED,
        Order(
            submit.request,
            {},
            str(kept["layer_name"]),
            document,
            str(kept.get("adapters", "")),
            new_document=kept.get("new_document") is True,
        ),
    )
    return float(kept["sent_at"]), job
