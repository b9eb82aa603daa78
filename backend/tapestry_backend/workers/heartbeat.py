"""A worker's heartbeat: it ends with its server, however that ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

BEAT_S = 1.0
"""How often both sides say that they are alive."""

SILENT_BEATS = 60
"""Our own beats without a word of the server: it hangs, and another one may have taken over."""

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the system kill this process when its parent ends, even when it is stopped (Linux).

    Elsewhere, and for a parent that ended before, the end of the pipe says it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ServerHeartbeat:
    """Beats in a thread of its own; ends the process when the server answers no more."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._unanswered = 0
        threading.Thread(target=self._run, name="heart", daemon=True).start()

    def answered(self) -> None:
        """The server has said something."""
        self._unanswered = 0

    def _run(self) -> None:
        # Counted in beats and not in seconds: a worker that was stopped for a while did not listen.
        while self._unanswered < SILENT_BEATS:
            self._beat()
            self._unanswered += 1
            time.sleep(BEAT_S)
        os._exit(0)
