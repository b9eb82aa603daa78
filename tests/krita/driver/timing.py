"""How long Krita stands still because of us: every call of ours that its event loop makes."""

import time
from contextlib import ExitStack, contextmanager

from tapestry import turns
from tapestry.connection import Connection
from tapestry.event_loop import QtLoop
from tapestry.region_desk import RegionDesk
from tapestry.scene_watch import SceneWatch
from tapestry.trial import Trial

OURS = (
    (QtLoop, "_call"),
    (Connection, "_guarded"),
    (SceneWatch, "look"),
    (RegionDesk, "new_region"),
    (Trial, "hide"),
)
"""All turns and timers, what the socket brings, the look at the document, and what else may work at
once."""


@contextmanager
def held(longest):
    """Note how long a call of each kind holds Krita up at most, in seconds: [own, waiting].

    own      processor time of Krita's UI thread
    waiting  the same with Krita's other threads, which the call may wait for; no more than the call
             took. What other programs take from a busy machine is in neither.
    """
    with ExitStack() as stack:
        for kind, method in OURS:
            stack.enter_context(_timed(kind, method, longest))
        yield


@contextmanager
def pieces(found):
    """Note the longest pieces of work, and where they were."""

    def timed(generator):
        clock = _Clock()
        try:
            return next(generator)
        finally:
            took = clock.read()
            inner = generator
            while getattr(inner, "gi_yieldfrom", None) is not None:
                inner = inner.gi_yieldfrom
            line = inner.gi_frame.f_lineno if inner.gi_frame else 0
            found.append([*took, f"{inner.__qualname__}, until line {line}"])
            found.sort(reverse=True)
            del found[8:]

    turns.next = timed
    yield
    del turns.next


class _Clock:
    """Starts when it is made."""

    def __init__(self):
        self._start = self._now()

    def read(self):
        own, processor, wall = (
            now - then for now, then in zip(self._now(), self._start, strict=True)
        )
        return [round(own, 4), round(max(own, min(wall, processor)), 4)]

    @staticmethod
    def _now():
        return time.thread_time(), time.process_time(), time.monotonic()


@contextmanager
def _timed(kind, method, longest):
    original = getattr(kind, method)
    name = f"{kind.__name__}.{method}"

    def timed(self, *arguments: object):
        clock = _Clock()
        try:
            return original(self, *arguments)
        finally:
            longest[name] = list(map(max, longest.get(name, [0.0, 0.0]), clock.read()))

    setattr(kind, method, timed)
    yield
    setattr(kind, method, original)
