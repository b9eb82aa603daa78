"""Limits of unfinished handshakes and of wrong tokens.

Handshakes that have begun and not ended are few: where there are too many, those that have waited
longest have to go, soon, and at once where there are far too many. So who only opens connections
keeps no honest client out: a handshake takes milliseconds, and many at once still get in.
The right token is never counted, slowed or turned away.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

MOST_PENDING, GRACE_S = 10, 0.5
"""Handshakes that may wait for longer than this; an artist's own programs need one, or two."""

MOST_AT_ONCE = 100
"""Handshakes at any time; as many as the system may hand over in one go."""

MOST_FAILURES, WITHIN_S = 20, 10.0
"""Refusals that are logged and answered at once; a plugin that has read an old file needs six."""

HOLD_S = 0.5
"""Seconds that the refusal of a wrong token is delayed after too many of them."""

Visitor = TypeVar("Visitor")


class HandshakeLimiter(Generic[Visitor]):
    """Keeps the door of one server; `now` is a clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._pending: dict[Visitor, float] = {}  # when each came, in that order
        self._failures: deque[float] = deque(maxlen=MOST_FAILURES + 1)
        self._has_lost_patience = False

    @property
    def pending(self) -> int:
        """Number of handshakes that have begun and not ended."""
        return len(self._pending)

    def arrive(self, visitor: Visitor) -> list[Visitor]:
        """A handshake begins; gives the visitors that have to go for it at once."""
        self._pending[visitor] = self._now()
        return self._dismiss(len(self._pending) - MOST_AT_ONCE)

    def thin_out(self) -> list[Visitor]:
        """The visitors that have to go because too many have waited for too long."""
        late = sum(self._now() - came >= GRACE_S for came in self._pending.values())
        return self._dismiss(min(late, len(self._pending) - MOST_PENDING))

    def _dismiss(self, count: int) -> list[Visitor]:
        oldest = list(self._pending)[: max(0, count)]
        for visitor in oldest:
            self.leave(visitor)
        return oldest

    def leave(self, visitor: Visitor) -> None:
        """A handshake has ended, however it did."""
        self._pending.pop(visitor, None)

    def refuse(self) -> bool:
        """Count a refusal; whether it is one too many."""
        now = self._now()
        self._failures.append(now)
        full = len(self._failures) > MOST_FAILURES
        return full and now - self._failures[0] <= WITHIN_S

    def should_log_overload(self, *, too_many: bool) -> bool:
        """Whether there are too many since now: for a log that says so once, not every time."""
        news = too_many and not self._has_lost_patience
        self._has_lost_patience = too_many
        return news
