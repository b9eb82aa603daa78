"""One line on stderr for each thing the benchmark begins; the figures themselves go to stdout."""

from __future__ import annotations

import sys
import time


class ProgressLog:
    """Tells what is going on, with the seconds since the start."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._start = time.perf_counter()

    def say(self, text: str) -> None:
        """One line."""
        if not self._quiet:
            sys.stderr.write(f"[{self.seconds:6.0f} s] {text}\n")
            sys.stderr.flush()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._start
