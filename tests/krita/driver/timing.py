"""How long Krita stands still because of us: every call of ours that its event loop makes."""

import inspect
import time
from contextlib import ExitStack, contextmanager

from krita import Document, Node

from tapestry.common import task_queue
from tapestry.connection.websocket import WebSocketConnection
from tapestry.document.region_controller import RegionController
from tapestry.document.scene_watcher import SceneWatcher
from tapestry.qt.event_loop import QtLoop
from tapestry.results.canvas_preview import CanvasPreview

from .qt import QApplication, QEvent, QObject

OURS = (
    (QtLoop, "_call"),
    (WebSocketConnection, "_guarded"),
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
"""Krita lets its event loop turn in these calls, while it waits for its other threads, or (from 5.3
on, where the active layer is asked for or chosen) first of all. What it does with an event that
waited, such as painting its window, it would do right after the call as well."""

_WAITING = {
    QEvent.Type.Timer,
    QEvent.Type.Paint,
    QEvent.Type.MetaCall,
    QEvent.Type.UpdateRequest,
}
"""Events that wait for a turn of the loop: timers, painting, and signals that were queued."""


@contextmanager
def held(longest):
    """Note how long a call of each kind holds Krita up at most, in seconds: [own, waiting].

    own      processor time of Krita's UI thread, without what Krita does with events that waited,
             where its loop turns inside the call
    waiting  the same with those, and with Krita's other threads, which the call may wait for; no
             more than the call took. What other programs take from a busy machine is in neither.
    """
    with ExitStack() as stack:
        for kind, methods in TURNING:
            for method in methods:
                stack.enter_context(_turning(kind, method))
        for kind, method in OURS:
            stack.enter_context(_timed(kind, method, longest))
        yield


@contextmanager
def pieces(found):
    """Note the longest work between two waits, and where it was."""
    run_on = task_queue.run_on

    def timed(work):
        clock = _Stopwatch()
        try:
            return run_on(work)
        finally:
            took = clock.read()
            while inspect.iscoroutine(work.cr_await) and _is_ours(work.cr_await):
                work = work.cr_await
            line = work.cr_frame.f_lineno if work.cr_frame else 0
            found.append([*took, f"{work.__qualname__}, until line {line}"])
            found.sort(reverse=True)
            del found[8:]

    task_queue.run_on = timed
    yield
    task_queue.run_on = run_on


def _is_ours(work):
    """Whether it is more than a wait."""
    return work.cr_code.co_filename != task_queue.__file__


class _Stopwatch:
    """Starts when it is made."""

    turned_s = 0.0
    """Processor time of the UI thread for events that had waited, inside calls of Krita's."""

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


class _Events(QObject):
    """Sums up what Krita does with events that had waited: from each of them to the next event.

    The last one of a call is left out, because its end is not seen: that counts as ours.
    """

    def __init__(self):
        super().__init__()
        self.seconds = 0.0
        self._since = None

    def eventFilter(self, _watched, event):  # noqa: N802  Qt's name
        now = time.thread_time()
        if self._since is not None:
            self.seconds += now - self._since
        self._since = now if event.type() in _WAITING else None
        return False


@contextmanager
def _turning(kind, method):
    """Know what of such a call is not ours."""
    getattr(kind, method)  # PyQt fills in a class when it is asked first
    original = vars(kind)[method]

    def turning(self, *arguments: object):
        events, before = _Events(), _Stopwatch.turned_s
        QApplication.instance().installEventFilter(events)
        try:
            return original.__get__(self)(*arguments)
        finally:
            QApplication.instance().removeEventFilter(events)
            _Stopwatch.turned_s = before + events.seconds  # such calls may be made in a turn, too

    setattr(kind, method, turning)
    yield
    setattr(kind, method, original)


@contextmanager
def _timed(kind, method, longest):
    original = getattr(kind, method)
    name = f"{kind.__name__}.{method}"

    def timed(self, *arguments: object):
        clock = _Stopwatch()
        try:
            return original(self, *arguments)
        finally:
            longest[name] = list(map(max, longest.get(name, [0.0, 0.0]), clock.read()))

    setattr(kind, method, timed)
    yield
    setattr(kind, method, original)
