"""The one effect of the jobs that the journal carries out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .journal_state import Record
from .pixel_blob import PixelBlob


@dataclass(frozen=True)
class Persist:
    """Write this down; messages after it wait until that is done.

    blobs      input of a job that was accepted
    picture    of a job that has ended
    is_urgent  it must survive a power failure, too
    """

    record: Record
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    picture: PixelBlob | None = None
    is_urgent: bool = False
