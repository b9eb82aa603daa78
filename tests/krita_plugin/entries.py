"""Entries of a history."""

from __future__ import annotations

from dataclasses import replace

from tapestry.document.order import asked_for
from tapestry.results.history import HistoryEntry
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds, Pixels

MASK = Pixels(2, 3, 1, bytes(6))


REQUEST = Request(
    "generate",
    20,
    30,
    prompt="quiet sea",
    regions=(Region("Sunset Sky", Bounds(0, 0, 2, 3), PixelsRef.of(MASK)),),
    seed=7,
)


def entry(number: int = 1, **fields: object) -> HistoryEntry:
    """A picture of 20 x 30 pixels."""
    made = HistoryEntry(
        id=f"job{number}",
        name=f"Tapestry: sea (seed {number})",
        sha256=f"{number:064x}",
        height=20,
        width=30,
        bounds=(0, 0, 20, 30),
        document=(20, 30),
        asked=asked_for(REQUEST),
    )
    return replace(made, **fields)
