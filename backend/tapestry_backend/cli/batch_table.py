"""What a batch tells on stderr: a row for each picture, and in a terminal those in work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from ..tasks.events import Progressed
from .render import ProgressLine

_NAME_CHARACTERS = 28


class _UnderWay(NamedTuple):
    """A picture that was begun: when, in seconds, and what a terminal shows of it."""

    at_s: float
    line: ProgressLine


class BatchTable:
    """A table of pictures: how far it has come, the scene, the seed, what was done, seconds.

    total: pictures of the whole batch. clock: seconds that only grow
    """

    def __init__(
        self, total: int, *, quiet: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._quiet, self._clock = total, quiet, clock
        self._number = 0
        self._painted = 0
        self._live = sys.stderr.isatty()
        self._begun_s: float | None = None
        self._under_way: dict[tuple[str, int], _UnderWay] = {}
        self._write(self._row("", "scene", "seed", "", "seconds", "left"))

    def begin(self, scene: str, seed: int) -> None:
        """A picture is begun."""
        now_s = self._clock()
        self._begun_s = now_s if self._begun_s is None else self._begun_s
        line = ProgressLine(quiet=self._quiet or not self._live, clock=self._clock)
        self._under_way[scene, seed] = _UnderWay(now_s, line)

    def show(self, scene: str, seed: int, event: Progressed) -> None:
        """What happens to a picture in work; a terminal shows it of the one begun first."""
        line = self._under_way[scene, seed].line
        line.is_shown = next(iter(self._under_way)) == (scene, seed)
        others = f" (+{len(self._under_way) - 1})" if len(self._under_way) > 1 else ""
        line.prefix = f"{self._number + 1}/{self._total}{others}  {_short(scene)}  {seed}  "
        line.show(event)

    def end(self, scene: str, seed: int | None, done: str, *, painted: bool = False) -> None:
        """A picture is over; seed: None for all pictures of a scene. done: what was done."""
        self._number += 1
        self._painted += painted
        begun = None if seed is None else self._under_way.pop((scene, seed), None)
        took = f"{self._clock() - begun.at_s:.1f}" if begun is not None and painted else ""
        count = f"{self._number}/{self._total}"
        shown = "" if seed is None else str(seed)
        self._write(self._row(count, _short(scene), shown, done, took, self._left()))

    def skip(self, scene: str, pictures: int, done: str) -> None:
        """A scene of which nothing is painted, as one row."""
        self._number += pictures - 1
        self.end(scene, None, done)

    def say(self, text: str) -> None:
        """A sentence between the rows."""
        self._write(text)

    def _left(self) -> str:
        """As long for each picture that is left as for those that were painted."""
        left = self._total - self._number
        if not self._painted or not left or self._begun_s is None:
            return ""
        left_s = (self._clock() - self._begun_s) / self._painted * left
        if left_s < 90:
            return f"{left_s:.0f} s"
        return f"{left_s / 60:.0f} min" if left_s < 5400 else f"{left_s / 3600:.1f} h"

    def _row(self, count: str, scene: str, seed: str, done: str, took: str, left: str) -> str:
        width = 2 * len(str(self._total)) + 1
        row = f"{count:>{width}}  {scene:<{_NAME_CHARACTERS}}  {seed:>6}  {done:<9}"
        return f"{row}  {took:>7}  {left:>7}".rstrip()

    def _write(self, text: str) -> None:
        if not self._quiet:
            # What a terminal shows of the picture in work is written over.
            sys.stderr.write(f"\r{text:<78}\n" if self._live else f"{text}\n")
            sys.stderr.flush()


def _short(name: str) -> str:
    if len(name) <= _NAME_CHARACTERS:
        return name
    return f"{name[: _NAME_CHARACTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
