"""An event loop that turns when the test says so; no clock."""

from __future__ import annotations

from collections.abc import Callable


class FakeLoop:
    """Actions wait with the time at which they are due; `run` lets time pass."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._waiting: list[tuple[float, list[Callable[[], None]]]] = []

    def call_later(self, delay_s: float, action: Callable[[], None]) -> Callable[[], None]:
        pending = [action]
        self._waiting.append((self.now_s + delay_s, pending))
        return pending.clear

    def run(self, seconds: float = 0.0) -> None:
        """Everything that is due until then, in order of time."""
        end = self.now_s + seconds
        while due := [entry for entry in self._waiting if entry[0] <= end and entry[1]]:
            entry = min(due, key=lambda entry: entry[0])
            self._waiting.remove(entry)
            self.now_s = max(self.now_s, entry[0])
            entry[1].pop()()
        self.now_s = end

    def turn(self) -> None:
        """One thing that is due now, the first."""
        entry = next(entry for entry in self._waiting if entry[0] <= self.now_s and entry[1])
        self._waiting.remove(entry)
        entry[1].pop()()
