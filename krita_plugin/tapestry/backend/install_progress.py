"""What uv says while it fetches, as megabytes, packages and time left."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..i18n.translation import tr
from ..jobs.eta import time_left

_MIB = 2**20
_UNITS = {"KiB": 2**10, "MiB": _MIB, "GiB": 2**30}
_DOWNLOADING = re.compile(r"^ *Downloading (\S+) \(([\d.]+)(KiB|MiB|GiB)\)")
_DOWNLOADED = re.compile(r"^ *Downloaded (\S+)")
_PREPARED = re.compile(r"^ *Prepared \d+ packages?")

_BEGINS, _FETCHED, _INSTALLED = 0.1, 0.9, 0.97
"""Shares of the whole installation."""


@dataclass(frozen=True)
class Fetched:
    """uv's progress; small packages are not reported."""

    done_bytes: float
    whole_bytes: float
    done: int
    packages: int
    is_prepared: bool

    def share(self) -> float:
        """Progress of the whole installation, 0..1."""
        if self.is_prepared:
            return _FETCHED
        return _BEGINS + (_FETCHED - _BEGINS) * self.done_bytes / self.whole_bytes

    def words(self, seconds: float) -> str:
        """For the artist; `seconds` have gone by since the first package."""
        if self.is_prepared:
            return tr("Putting the packages in place\u2026")
        words = tr("Fetching packages\u2026 {done} of {whole} MB, {count} of {packages}").format(
            done=round(self.done_bytes / _MIB),
            whole=round(self.whole_bytes / _MIB),
            count=self.done,
            packages=self.packages,
        )
        if not self.done_bytes:
            return words
        left = seconds * (self.whole_bytes - self.done_bytes) / self.done_bytes
        return f"{words}, {time_left(left)}"


def read_progress(said: str) -> Fetched | None:
    """Out of what uv has said so far; None before the first package."""
    sizes: dict[str, float] = {}
    here: set[str] = set()
    is_prepared = False
    for line in said.splitlines():
        if found := _DOWNLOADING.match(line):
            sizes[found[1]] = float(found[2]) * _UNITS[found[3]]
        elif found := _DOWNLOADED.match(line):
            here.add(found[1])
        elif _PREPARED.match(line):
            is_prepared = True
    if not sizes:
        return None
    done = here & set(sizes)
    whole = sum(sizes.values()) or 1.0
    return Fetched(sum(sizes[n] for n in done), whole, len(done), len(sizes), is_prepared)
