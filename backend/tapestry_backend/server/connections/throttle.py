"""Lets a few callers pass in each turn of the event loop, so that no turn is long."""

from __future__ import annotations

import asyncio

MOST_AT_ONCE = 4
"""Messages, of all clients together, that are read or sent in one turn."""


class Throttle:
    """Shared by all who have a little work to do, each now and then."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self._left = most

    async def enter(self) -> None:
        """Wait for a turn of the loop with room left; first come, first served."""
        while not self._left:  # noqa: ASYNC110  an event would let all of them pass in one turn
            await asyncio.sleep(0)
        if self._left == self._most:
            asyncio.get_running_loop().call_soon(self._open)
        self._left -= 1

    def _open(self) -> None:
        self._left = self._most
