"""Painting live: what the artist changes is painted at once, and shown on the canvas.

Krita has no signal for paint on a layer. So the document is read again and again, and what differs
from what was asked for last is asked for. The backend paints only what has changed.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import (
    Acknowledge,
    Cancel,
    Cancelled,
    Failed,
    Message,
    Need,
    Preview,
    Request,
    Result,
    Submit,
)
from tapestry_protocol.pixels import Bounds, Pixels

from ..common.task_queue import Loop, Task, pause
from ..connection.link import Link
from ..document.canvas import Canvas, Host
from ..document.order import DocumentState, Order
from ..document.reading import order_from
from ..i18n.notices import Notice, notice_of
from ..i18n.translation import tr
from ..jobs.job import Job, JobResult
from ..results.canvas_preview import CanvasPreview
from ..settings.settings import Settings

_LEAST_PAUSE_S = 0.1
"""Ten looks at the document in a second are enough for a hand that draws."""

_READING_SHARE = 0.25
"""Of the time, that may go into reading: a large document is looked at less often."""

_QUIET_S = 1.0
"""How long nothing is shown after the artist may have begun to save or to merge."""


@dataclass(frozen=True)
class UpdateTime:
    """What the last update took.

    painted   the share of the canvas that was painted; the rest was kept
    seconds   from reading the change to its picture
    """

    evaluations: int
    painted: float
    seconds: float


@dataclass(frozen=True)
class _Running:
    job_id: str
    order: Order
    began_s: float


@dataclass(frozen=True)
class LivePicture:
    """The last picture that was finished, as a job of its own."""

    job: Job
    order: Order
    made: JobResult


class LivePainting:
    """One document at a time, from `start` to `stop`.

    sources   ids of the layers above which the picture is shown
    is_quick  whether the model has a way of its own to paint in few steps, and shall take it
    is_busy   whether something else is painted, or on its way into the document
    changed   is called when `is_on`, `is_in_front`, `update`, `picture` or `trouble` is another one
    """

    def __init__(
        self,
        host: Host,
        loop: Loop,
        link: Link,
        settings: Settings,
        display: CanvasPreview,
        *,
        sources: Callable[[Canvas], Sequence[str]],
        is_busy: Callable[[], bool],
        is_quick: Callable[[], bool],
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.update: UpdateTime | None = None
        self.picture: LivePicture | None = None
        self.trouble: Notice | None = None
        """Why nothing is painted just now."""
        self._host = host
        self._loop = loop
        self._link = link
        self._settings = settings
        self._display = display
        self._sources = sources
        self._is_busy = is_busy
        self._is_quick = is_quick
        self._changed = changed
        self._clock = clock
        self._canvas: Canvas | None = None
        self._name = ""
        self._following: Task | None = None
        self._showing: Task | None = None
        self._to_show: Pixels | None = None
        self._asked: Request | None = None
        self._running: _Running | None = None
        self._next: Order | None = None
        self._may_cancel = True
        self._was_in_front = False
        self._kept: LivePicture | None = None
        self._quiet_turn = 0
        self._is_quiet = False

    @property
    def is_on(self) -> bool:
        """Whether a document is painted live."""
        return self._canvas is not None

    @property
    def is_in_front(self) -> bool:
        """Whether the document in front is the one that is painted live."""
        front = self._host.active_canvas()
        return self._canvas is not None and front is not None and front.id == self._canvas.id

    @property
    def has_unkept_picture(self) -> bool:
        """Whether one sees a picture in the document in front that is no layer of it."""
        return self.is_in_front and self.picture is not None and self.picture is not self._kept

    @property
    def is_settled(self) -> bool:
        """Whether everything that was seen to change is painted and shown."""
        return self.picture is not None and self._running is None and self._showing is None

    def start(self, canvas: Canvas) -> None:
        """Follow this document."""
        self.stop()
        self._canvas, self._name = canvas, uuid.uuid4().hex
        self.update = self.picture = self.trouble = None
        self._may_cancel, self._was_in_front = True, self.is_in_front
        self.saved()
        self._following = Task(self._loop, self._follow(canvas), lambda _: self.stop(), self._fail)
        self._link.ensure()
        self._changed()

    def stop(self) -> None:
        """Leave the document alone; its preview goes."""
        if self._canvas is None:
            return
        if self._following is not None:
            self._following.cancel()
            self._following = None
        self._forget_running()
        self._hide()
        self._canvas = None
        self._changed()

    def saving(self, for_s: float = _QUIET_S) -> None:
        """The document may be about to be saved: nothing is shown in it meanwhile."""
        self._is_quiet = True
        self._quiet_turn += 1
        self._loop.call_later(for_s, partial(self._end_quiet, self._quiet_turn))

    def _end_quiet(self, turn: int) -> None:
        """The artist may have opened a menu, or pressed a shortcut, and not saved at all."""
        if turn != self._quiet_turn:
            return
        if self._host.is_asking:
            self.saving()
        else:
            self.saved()

    def saved(self) -> None:
        """The document was saved; the picture comes back."""
        self._quiet_turn += 1
        self._is_quiet = False

    def note_kept(self) -> None:
        """The picture became a layer."""
        self._kept = self.picture

    # --- reading ----------------------------------------------------------------------------------

    async def _follow(self, canvas: Canvas) -> None:
        while canvas.is_open:
            began_s = self._clock()
            self._note_front()
            if self._may_look():
                await self._look(canvas)
                self._show_again(canvas)
            took_s = self._clock() - began_s
            await pause(max(_LEAST_PAUSE_S, took_s * (1 / _READING_SHARE - 1)))

    def _may_look(self) -> bool:
        if not self._link.is_ready:
            self._link.ensure()
            return False
        return self.is_in_front and not self._is_quiet and not self._is_busy()

    def _note_front(self) -> None:
        if self.is_in_front != self._was_in_front:
            self._was_in_front = self.is_in_front
            self._changed()

    async def _look(self, canvas: Canvas) -> None:
        settings = replace(
            self._settings,
            num_inference_steps=self._settings.live_steps,
            only_selection=False,
            in_regions=False,
            melt=0.0,
        )
        try:
            order = await order_from(
                canvas, settings, "generate", most_strength=settings.live_strength
            )
        except TapestryError as error:
            if canvas.is_open:
                # What is shown, or comes yet, is of a document that is no longer so.
                self._forget_running()
                self._hide()
                self.update = self.picture = None
                self._say(notice_of(error))
            return
        request = replace(order.request, live=self._name, quick=self._is_quick())
        order = replace(order, request=request)
        if order.request == self._asked:
            return
        self._say(None)
        self._asked = order.request
        if self._running is None:
            self._submit(order)
        else:
            self._next = order
            self._cancel_running()

    # --- asking -----------------------------------------------------------------------------------

    def _submit(self, order: Order) -> None:
        job_id = uuid.uuid4().hex
        try:
            self._link.send(Submit(job_id, order.request))
        except TapestryError as error:
            self._say(notice_of(error))
            self._asked = None
        else:
            self._running = _Running(job_id, order, self._clock())

    def _cancel_running(self) -> None:
        """Make way for the newest; never twice in a row, or a hand that draws on sees nothing."""
        if self._running is not None and self._may_cancel and self._link.is_ready:
            self._may_cancel = False
            self._link.send(Cancel(self._running.job_id))

    def _forget_running(self) -> None:
        if self._running is not None:
            if self._link.is_ready:
                self._link.send(Cancel(self._running.job_id))
            self._link.abandon(self._running.job_id)
        self._running = self._next = self._asked = None

    def link_changed(self) -> None:
        """A request on a lost connection is sent again on the next one."""
        if self._link.is_ready:
            return
        was_reached = self._running is not None or self.picture is not None
        self._forget_running()
        if self.is_on and was_reached:
            self._say(
                Notice(
                    tr("The backend is gone."),
                    tr("Live painting waits for it, and goes on by itself."),
                )
            )

    def hear(self, message: Message, pixels: Pixels | None) -> bool:
        """Whether this message of the server was about the picture that is painted live."""
        running = self._running
        if running is None or getattr(message, "job_id", None) != running.job_id:
            return False
        if isinstance(message, Need):
            for sha256 in message.sha256s:
                self._link.send_blob(sha256, running.order.blobs[sha256])
        elif isinstance(message, Preview) and pixels is not None:
            self._show(pixels)
        elif isinstance(message, Result) and pixels is not None:
            self._take(running, JobResult(message, pixels))
            self._end(running)
        elif isinstance(message, Failed):
            self._say(Notice(message.message, message.advice))
            self._end(running)
        elif isinstance(message, Cancelled):
            self._end(running)
        return True

    def _end(self, running: _Running) -> None:
        self._link.send(Acknowledge(running.job_id))
        following, self._running, self._next = self._next, None, None
        if following is not None:
            self._submit(following)

    def _take(self, running: _Running, made: JobResult) -> None:
        canvas = self._canvas
        if canvas is None or not canvas.is_open:
            return
        self._may_cancel = True
        report = json.loads(made.result.report)
        self.update = UpdateTime(
            report.get("unet_evaluations", 0),
            report.get("live", {}).get("painted", 1.0),
            self._clock() - running.began_s,
        )
        job = Job(running.job_id, canvas, DocumentState.of(canvas), "", canvas.name)
        order = replace(running.order, request=replace(running.order.request, live=""))
        self.picture = LivePicture(job, order, made)
        self._show(made.pixels)
        self._changed()

    # --- showing ----------------------------------------------------------------------------------

    def _show(self, pixels: Pixels) -> None:
        """Show a picture; of several that wait, the newest."""
        self._to_show = pixels
        if self._showing is None and self._canvas and self.is_in_front and not self._is_quiet:
            self._showing = Task(
                self._loop, self._show_all(self._canvas), lambda _: self._shown(), self._fail
            )

    async def _show_all(self, canvas: Canvas) -> None:
        while self._to_show is not None and canvas.is_open:
            pixels, self._to_show = self._to_show, None
            whole = Bounds(0, 0, canvas.height, canvas.width)
            await self._display.show(
                self._name, canvas, pixels, whole, tuple(self._sources(canvas))
            )

    def _shown(self) -> None:
        self._showing = None

    def _hide(self) -> None:
        if self._showing is not None:
            self._showing.cancel()
        self._showing = self._to_show = None
        if self._display.subject == self._name:
            self._display.hide()

    def _show_again(self, canvas: Canvas) -> None:
        """Put the picture back where saving, or another document in front, has taken it out."""
        picture = self.picture
        size = (canvas.height, canvas.width)
        if picture is None or (picture.made.pixels.height, picture.made.pixels.width) != size:
            return
        if not self._display.subject and self._showing is None:
            self._show(picture.made.pixels)

    def _say(self, trouble: Notice | None) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._changed()

    def _fail(self, error: Exception) -> None:
        was_open = self._canvas is not None and self._canvas.is_open
        self._showing = None
        self.stop()
        if was_open:
            self._say(notice_of(error))
