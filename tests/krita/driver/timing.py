"""How long Krita stands still because of us: every call of ours that its event loop makes."""

import time
from contextlib import ExitStack, contextmanager

from krita import Document, Krita, Node

from tapestry.common import task_queue
from tapestry.connection.websocket import Connection
from tapestry.document.region_controller import RegionController
from tapestry.document.scene_watcher import SceneWatcher
from tapestry.qt.event_loop import QtLoop
from tapestry.results.canvas_preview import CanvasPreview

from .qt import QApplication

OURS = (
    (QtLoop, "_call"),
    (Connection, "_guarded"),
    (SceneWatcher, "look"),
    (RegionController, "new_region"),
    (CanvasPreview, "hide"),
)
"""All turns and timers, what the socket brings, the look at the document, and what else may work at
once."""

TURNING = (
    (Document, ("activeNode", "refreshProjection", "resizeImage", "setActiveNode", "waitForDone")),
    (Node, ("addChildNode", "mergeDown", "remove")),
)
"""From 5.3 on Krita lets its event loop turn first of all in these calls. What is due by then, such
as painting its window, is none of ours: it is done right before, and not counted. All that happens
in the call itself is."""

_TURNS_SINCE = (5, 3)


@contextmanager
def held(longest):
    """Note how long a call of each kind holds Krita up at most, in seconds: [own, waiting].

    own      processor time of Krita's UI thread
    waiting  the same with Krita's other threads, which the call may wait for; no more than the call
             took. What other programs take from a busy machine is in neither.
    """
    with ExitStack() as stack:
        for kind, methods in TURNING if _turns() else ():
            for method in methods:
                stack.enter_context(_turning_before(kind, method))
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

    task_queue.next = timed
    yield
    del task_queue.next


class _Clock:
    """Starts when it is made; stands still while Krita does what was due anyway."""

    turned = (0.0, 0.0, 0.0)

    def __init__(self):
        self._start = self._now()

    def read(self):
        own, processor, wall = (
            now - then for now, then in zip(self._now(), self._start, strict=True)
        )
        return [round(max(0.0, own), 4), round(max(own, min(wall, processor)), 4)]

    @classmethod
    def now(cls):
        return time.thread_time(), time.process_time(), time.monotonic()

    @classmethod
    def _now(cls):
        return tuple(now - turned for now, turned in zip(cls.now(), cls.turned, strict=True))


def _turns():
    version = Krita.instance().version().split(".")
    return tuple(map(int, version[:2])) >= _TURNS_SINCE


@contextmanager
def _turning_before(kind, method):
    """Krita's event loop has its turn right before the call."""
    getattr(kind, method)  # PyQt fills in a class when it is asked first
    original = vars(kind)[method]

    def turning(self, *arguments: object):
        start, before = _Clock.now(), _Clock.turned
        QApplication.processEvents()
        took = zip(before, _Clock.now(), start, strict=True)
        _Clock.turned = tuple(known + now - then for known, now, then in took)
        return original.__get__(self)(*arguments)

    setattr(kind, method, turning)
    yield
    setattr(kind, method, original)


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
