"""How long Krita stands still because of us: every call of ours that its event loop makes."""

import time
from contextlib import ExitStack, contextmanager

from krita import Document, Node

from tapestry.common import task_queue
from tapestry.connection.websocket import Connection
from tapestry.document.region_controller import RegionDesk
from tapestry.document.scene_watcher import SceneWatch
from tapestry.qt.event_loop import QtLoop
from tapestry.results.canvas_preview import Trial

from .qt import QTimer

OURS = (
    (QtLoop, "_call"),
    (Connection, "_guarded"),
    (SceneWatch, "look"),
    (RegionDesk, "new_region"),
    (Trial, "hide"),
)
"""All turns and timers, what the socket brings, the look at the document, and what else may work at
once."""

WAITING = (
    (Document, ("activeNode", "refreshProjection", "resizeImage", "setActiveNode", "waitForDone")),
    (Node, ("addChildNode", "mergeDown", "remove")),
)
"""From 5.3 on Krita lets its event loop turn in these calls, while it waits for its other threads.
What it does then, such as painting its window, it would do right after the call as well."""


@contextmanager
def held(longest):
    """Note how long a call of each kind holds Krita up at most, in seconds: [own, waiting].

    own      processor time of Krita's UI thread, without what Krita does in turns of its event loop
             inside the call
    waiting  the same with those, and with Krita's other threads, which the call may wait for; no
             more than the call took. What other programs take from a busy machine is in neither.
    """
    with ExitStack() as stack:
        for kind, methods in WAITING:
            for method in methods:
                stack.enter_context(_turning(kind, method))
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
    """Starts when it is made."""

    turned_s = 0.0
    """Processor time of the UI thread in turns of Krita's event loop inside its own calls."""

    def __init__(self):
        self._start = self._now()

    def read(self):
        thread, processor, wall, turned = (
            now - then for now, then in zip(self._now(), self._start, strict=True)
        )
        waiting = max(thread, min(wall, processor))
        return [round(max(0.0, thread - turned), 4), round(waiting, 4)]

    @classmethod
    def _now(cls):
        return time.thread_time(), time.process_time(), time.monotonic(), cls.turned_s


@contextmanager
def _turning(kind, method):
    """Know what a call of Krita's takes in which its event loop has turned."""
    getattr(kind, method)  # PyQt fills in a class when it is asked first
    original = vars(kind)[method]

    def turning(self, *arguments: object):
        turned, start, before = [], time.thread_time(), _Clock.turned_s
        QTimer.singleShot(0, lambda: turned.append(None))
        result = original.__get__(self)(*arguments)
        if turned:  # such calls may be made in that turn, too
            _Clock.turned_s = before + time.thread_time() - start
        return result

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
