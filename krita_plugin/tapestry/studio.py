"""The model of the docker: settings, scene, job, and what to tell the artist; no widgets, no Qt.

Widgets call its methods and watch its topics. Nothing that it is called with or hears may raise
into Krita: what goes wrong becomes a notice.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Literal

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_SEED
from tapestry_protocol.messages import (
    Accepted,
    Acknowledge,
    Backend,
    Cancel,
    Cancelled,
    Failed,
    Message,
    ModelInfo,
    Need,
    Preview,
    Progress,
    Remark,
    Result,
    Submit,
    Welcome,
)
from tapestry_protocol.pixels import Pixels

from .canvas import Host
from .guarding import guarded
from .inserting import Finding, insertion
from .job import Job, Order, Phase
from .link import Link, LinkState
from .notices import Notice, notice_in, notice_of
from .presets import Presets
from .prompt_history import PromptHistory
from .reading import order_from
from .region_desk import RegionDesk
from .scene_watch import SceneWatch
from .settings import Mode, Settings
from .turns import Loop, Work

Topic = Literal["scene", "thumbnails", "settings", "presets", "models", "job", "backend", "notice"]

_SETTINGS_KEY = "docker"

_CANCELLED = Notice("Cancelled.", is_error=False)

_LOST = Notice(
    "The connection to the backend was lost.",
    "It is being made again; the picture then goes on by itself.",
    is_error=False,
)


class Studio:
    """One for all windows of Krita; one job at a time."""

    def __init__(self, host: Host, link: Link, loop: Loop) -> None:
        self.settings = Settings.from_text(host.read_setting(_SETTINGS_KEY))
        self.job: Job | None = None
        self.notice: Notice | None = None
        self.worker = Backend("starting")
        self.models: tuple[ModelInfo, ...] = ()
        self.scene_watch = SceneWatch(
            host,
            loop,
            scene_changed=lambda: self._tell("scene"),
            thumbnail_changed=lambda _: self._tell("thumbnails"),
            failed=self.report,
        )
        self.regions = RegionDesk(host, loop, self.scene_watch, self.report)
        self.presets = Presets(host)
        self.prompt_history = PromptHistory(host)
        self._host = host
        self._link = link
        self._loop = loop
        self._work: Work | None = None
        self._watchers: dict[Topic, list[Callable[[], None]]] = {}
        link.follower = self

    # --- for the widgets --------------------------------------------------------------------------

    def watch(self, topic: Topic, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call the watcher whenever something of this topic changes, until the given end of it."""
        watchers = self._watchers.setdefault(topic, [])
        watchers.append(watcher)
        return lambda: watchers.remove(watcher)

    def report(self, error: Exception) -> None:
        """Tell the artist what went wrong."""
        self._show(notice_of(error))

    @property
    def backend_sentence(self) -> str:
        """The state of the backend, for the artist to read."""
        if self._link.is_ready:
            device = f" ({self.worker.device})" if self.worker.device else ""
            return {
                "starting": "Backend: starting",
                "loading": "Backend: loading the model",
                "ready": f"Backend: ready{device}",
                "busy": f"Backend: painting{device}",
                "lost": "Backend: its worker is being started again",
            }[self.worker.state]
        return {
            LinkState.OFF: "Backend: starts when it is needed",
            LinkState.STARTING: "Backend: starting",
            LinkState.CONNECTING: "Backend: connecting",
            LinkState.LOST: "Backend: lost, trying again",
        }.get(self._link.state, "Backend: not there")

    @guarded
    def look(self) -> None:
        """Follow the document in front; called now and then while a docker is visible."""
        self.scene_watch.look()
        if self.scene_watch.has_document and self._link.state is LinkState.OFF:
            self._link.ensure()

    @guarded
    def change(self, **values: Any) -> None:
        """Set fields of the settings."""
        for name, value in values.items():
            setattr(self.settings, name, value)
        self._host.write_setting(_SETTINGS_KEY, self.settings.to_text())

    @guarded
    def change_and_tell(self, **values: Any) -> None:
        """Set fields of the settings that more than one widget shows."""
        self.change(**values)
        self._tell("settings")

    @guarded
    def roll_dice(self) -> None:
        """Take another seed."""
        self.change_and_tell(seed=secrets.randbelow(MAX_SEED + 1))

    @guarded
    def keep_preset(self, name: str) -> None:
        """Keep the present settings under this name."""
        self.presets.keep(name, self.settings)
        self._tell("presets")

    @guarded
    def remove_preset(self, name: str) -> None:
        """Forget a preset of the artist's own."""
        self.presets.remove(name)
        self._tell("presets")

    @guarded
    def use_preset(self, name: str) -> None:
        """Take over what a preset holds."""
        self.change_and_tell(**self.presets.values(name))

    @guarded
    def generate(self) -> None:
        """Paint the whole canvas, or what is selected, anew, as a layer on top."""
        self._begin("generate")

    @guarded
    def extend(self) -> None:
        """Make the canvas larger and paint on there."""
        self._begin("extend")

    @guarded
    def refine(self) -> None:
        """Paint over what is selected, starting from what is there."""
        self._begin("refine")

    @guarded
    def fill(self) -> None:
        """Paint something new into what is selected."""
        self._begin("fill")

    @guarded
    def cancel(self) -> None:
        """Stop the job, wherever it is."""
        job = self.job
        if job is None or job.phase in (Phase.CANCELLING, Phase.INSERTING):
            return
        if job.phase is Phase.SUBMITTED and self._link.is_ready:
            job.phase = Phase.CANCELLING
            self._link.send(Cancel(job.id))
            self._tell("job")
        else:
            self._link.abandon(job.id)
            self._stop_work()
            self._end(_CANCELLED)

    @guarded
    def dismiss_notice(self) -> None:
        """The artist has read it."""
        self._show(None)

    def close(self) -> None:
        """Krita ends, or the plugin is taken out."""
        self._stop_work()
        self.scene_watch.stop()
        self.regions.close()
        self._watchers.clear()
        self._link.close()

    # --- the way of a job -------------------------------------------------------------------------

    def _begin(self, mode: Mode) -> None:
        if self.job is not None:
            return
        canvas = self._host.active_canvas()
        if canvas is None:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                "No document is open.",
                "Open one, or make a new one with File > New.",
            )
        self._show(None)
        self.job = Job(uuid.uuid4().hex, canvas)
        self.regions.hide_tint()
        if not self.settings.seed_locked:
            self.roll_dice()
        pieces = order_from(canvas, self.settings, mode)
        self._run(pieces, self._ordered)
        self._tell("job")

    def _ordered(self, order: Order) -> None:
        request = order.request
        self.prompt_history.remember([request.prompt, *(r.prompt for r in request.regions)])
        self.job.order = order
        self.job.phase = Phase.WAITING
        self._tell("job")
        if self._link.is_ready:
            self._submit(self.job, order)
        else:
            self._link.ensure()

    def _submit(self, job: Job, order: Order) -> None:
        self._link.send(Submit(job.id, order.request))
        job.phase = Phase.SUBMITTED
        self._tell("job")

    def _insert(self, job: Job, order: Order, pixels: Pixels, result: Result) -> None:
        job.phase = Phase.INSERTING
        self._tell("job")
        canvas = job.canvas
        pieces = insertion(self._host, canvas, order, pixels, result.bounds)
        inserted = partial(self._inserted, notice_in(result.report))

        def failed(error: Exception) -> None:
            if canvas.is_open:
                self._failed(error)
            else:  # closed in between: it goes to a new document, nothing is lost
                again = insertion(self._host, canvas, order, pixels, result.bounds)
                self._run(again, inserted)

        self._run(pieces, inserted, failed)

    def _inserted(self, said: Notice | None, finding: Finding | None) -> None:
        self._end(Notice(finding.message, finding.advice) if finding else said)

    def _failed(self, error: Exception) -> None:
        self._end(notice_of(error))

    def _end(self, notice: Notice | None) -> None:
        self.job = None
        self._tell("job")
        self._show(notice)

    def _run(
        self,
        pieces: Generator[None, None, Any],
        finished: Callable[[Any], None],
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        def finish(value: Any) -> None:
            self._work = None
            try:
                finished(value)
            except Exception as error:  # noqa: BLE001  a turn of the loop must not raise
                self._failed(error)

        self._work = Work(self._loop, pieces, finish, failed or self._failed)

    def _stop_work(self) -> None:
        if self._work is not None:
            self._work.cancel()
            self._work = None

    # --- from the link ----------------------------------------------------------------------------

    @guarded
    def link_changed(self) -> None:
        """The link's state is another one: a waiting job is sent, one that was lost goes on."""
        self._tell("backend")
        job = self.job
        if job is None:
            return
        if self._link.state is LinkState.LOST and job.phase is Phase.SUBMITTED:
            self._show(_LOST)
        elif self._link.state is LinkState.LOST and job.phase is Phase.CANCELLING:
            self._link.abandon(job.id)
            self._end(_CANCELLED)
        elif self._link.is_ready and job.phase is Phase.WAITING and job.order is not None:
            self._submit(job, job.order)
        elif self._link.is_ready and job.phase is Phase.SUBMITTED:
            self._show(None)

    @guarded
    def link_failed(self, error: TapestryError) -> None:
        """No backend can be reached."""
        if self.job is not None and self.job.phase is not Phase.INSERTING:
            self._stop_work()
            self._failed(error)
        else:
            self.report(error)

    @guarded
    def hear(self, message: Message, pixels: Pixels | None) -> None:
        """A message of the server."""
        if isinstance(message, Backend):
            self.worker = message
            self._tell("backend")
            return
        if isinstance(message, Welcome):
            self._know_models(message.models)
            return
        if isinstance(message, Remark):
            self._show(Notice(message.message, message.advice, is_error=False))
            return
        job = self.job
        if job is not None and job.phase is Phase.INSERTING:
            return  # its result is here already
        if job is not None and job.order and getattr(message, "job_id", None) == job.id:
            self._hear_about(job, job.order, message, pixels)
            self._tell("job")
        elif isinstance(message, Failed) and not message.job_id:
            self._show(Notice(message.message, message.advice))

    def _know_models(self, models: tuple[ModelInfo, ...]) -> None:
        """Another backend may not have the model that was chosen: then its first one paints."""
        self.models = models
        if models and self.settings.model not in [model.id for model in models]:
            self.change(model=models[0].id)
        self._tell("models")

    def _hear_about(self, job: Job, order: Order, message: Message, pixels: Pixels | None) -> None:
        if isinstance(message, Result | Failed | Cancelled):
            self._link.send(Acknowledge(job.id))
        if isinstance(message, Need):
            for sha256 in message.sha256s:
                self._link.send_blob(sha256, order.blobs[sha256])
        elif isinstance(message, Accepted):
            job.ahead = message.ahead
        elif isinstance(message, Progress):
            job.stage, job.step, job.steps = message.stage, message.step, message.steps
        elif isinstance(message, Preview):
            job.preview = pixels
        elif job.phase is Phase.CANCELLING or isinstance(message, Cancelled):
            self._end(_CANCELLED)
        elif isinstance(message, Result) and pixels is not None:
            self._show(None)
            self._insert(job, order, pixels, message)
        elif isinstance(message, Failed):
            self._end(Notice(message.message, message.advice))

    def _show(self, notice: Notice | None) -> None:
        self.notice = notice
        self._tell("notice")

    def _tell(self, topic: Topic) -> None:
        for watcher in self._watchers.get(topic, ()):
            watcher()
