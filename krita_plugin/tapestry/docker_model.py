"""The model of the docker: settings, scene, jobs, results, and what to tell the artist.

Widgets call its methods and watch its topics. No call and no message may raise into Krita: what
goes wrong becomes a notice.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from tapestry_protocol.bundled import instructed
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_SEED
from tapestry_protocol.messages import (
    Backend,
    Learned,
    Message,
    ModelInfo,
    Remark,
    Welcome,
    Workers,
)
from tapestry_protocol.pixels import Pixels
from tapestry_protocol.request_checks import (
    check_follows,
    check_references,
    check_taught_word,
    upscaled_size,
)
from tapestry_protocol.sentences import quoted

from .backend.choice import BackendChoice, ChosenBackend
from .backend.controller import BackendController
from .backend.status_text import backend_sentence
from .common.error_boundary import guarded
from .common.task_queue import Loop, Work
from .connection.link import Link, LinkState
from .document.adapter_controller import AdapterController
from .document.adapter_settings import PICTURE
from .document.canvas import Canvas, Host
from .document.example import Example
from .document.judging import (
    Judgement,
    judgements_of,
    order_to_judge,
    order_to_suggest,
    suggested,
)
from .document.order import NOTHING, Beside, Order
from .document.reading import (
    needs_painting,
    order_from,
    order_to_enlarge,
    order_to_enlarge_anew,
    target_of,
)
from .document.region_controller import RegionController
from .document.scene_watcher import SceneWatcher
from .document.teaching import order_to_teach
from .i18n.notices import Notice, notice_of
from .i18n.translation import tr
from .jobs.job import Job, JobResult
from .jobs.pending import PendingJobs
from .jobs.queue import JobQueue
from .live.painting import LivePainting
from .presets.presets import Presets
from .presets.prompt_history import PromptHistory
from .results.controller import Results
from .results.found_place import FoundPlace
from .results.history import HistoryEntry
from .results.inserting import InsertAs
from .settings.settings import TIMES_AT_ONCE, Mode, Settings, settings_of

Topic = Literal[
    "scene",
    "thumbnails",
    "settings",
    "presets",
    "models",
    "job",
    "history",
    "backend",
    "notice",
    "live",
    "place",
]

_SETTINGS_KEY = "docker"

_NAMES_OF_EARLIER = 24
"""Prompts that were used lately, among which what an edge shows is looked for."""

_WRITTEN_AGAIN_WITHIN_S = 6.0
"""The adapter waits for Krita's icon of the file before it writes the file again."""

_PIECE_OF_UNKNOWN_PX = 512
"""The window of a model of which nothing is known yet."""


class DockerModel:
    """One for all windows of Krita.

    backend  what the link takes for a server, where the artist may choose another
    """

    def __init__(
        self, host: Host, link: Link, loop: Loop, backend: ChosenBackend | None = None
    ) -> None:
        self.settings = Settings.from_text(host.read_setting(_SETTINGS_KEY))
        self.notice: Notice | None = None
        self.worker = Backend("starting")
        self.models: tuple[ModelInfo, ...] = ()
        self.upscalers: tuple[str, ...] = ()
        self._host = host
        self._link = link
        self._watchers: dict[Topic, list[Callable[[], None]]] = {}
        self._to_enlarge: dict[str, Settings] = {}
        self.scene_watch = SceneWatcher(
            host,
            loop,
            scene_changed=lambda: self._tell("scene"),
            thumbnail_changed=lambda _: self._tell("thumbnails"),
            failed=self.report,
        )
        self.regions = RegionController(host, loop, self.scene_watch, self.report)
        self.adapters = AdapterController(host, self.scene_watch, self._family, self.report)
        self.presets = Presets(host)
        self.prompt_history = PromptHistory(host)
        self.queue = JobQueue(
            link,
            loop,
            self._queue_changed,
            self._previewed,
            self._finished,
            self._show,
            PendingJobs(host.data_folder / "outstanding"),
        )
        self.results = Results(
            host,
            loop,
            self.settings,
            changed=lambda: self._tell("history"),
            said=self._show,
            onlooker=self.scene_watch,
        )
        self.live = LivePainting(
            host,
            loop,
            link,
            self.settings,
            self.results.canvas_preview,
            sources=lambda canvas: self._sources(canvas, "generate"),
            is_busy=lambda: bool(self.queue.jobs) or self.scene_watch.is_resting,
            is_quick=lambda: self.can_be_quick and self.settings.live_quick,
            changed=lambda: self._tell("live"),
        )
        self.place = FoundPlace(host, loop, lambda: self._tell("place"), self._show)
        self.example = Example(host, loop, self._show)
        self.backend_controller = (
            BackendController(
                host, link, backend, lambda: self._tell("backend"), lambda: bool(self.queue.jobs)
            )
            if backend
            else None
        )
        host.watch_saving(self._saving, self._saved)
        link.observer = self

    # --- for the widgets --------------------------------------------------------------------------

    def watch(self, topic: Topic, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call the watcher whenever something of this topic changes, until the given end of it."""
        watchers = self._watchers.setdefault(topic, [])
        watchers.append(watcher)

        def unwatch() -> None:
            # A widget that goes with its model tells so when the list may have been emptied.
            if watcher in watchers:
                watchers.remove(watcher)

        return unwatch

    def report(self, error: Exception) -> None:
        """Tell the artist what went wrong."""
        self._show(notice_of(error))

    @property
    def job(self) -> Job | None:
        """The picture that is painted, or the next one."""
        return self.queue.front

    @property
    def model(self) -> ModelInfo | None:
        """The one that is chosen; None while no backend has told of it."""
        chosen = (model for model in self.models if model.id == self.settings.model)
        return next(chosen, None)

    @property
    def can_be_quick(self) -> bool:
        """Whether the chosen model has a way of its own to paint in few steps."""
        return self.model is not None and self.model.quick

    @property
    def instructed_model(self) -> ModelInfo | None:
        """The one that an instruction goes to; None while no backend has told of it."""
        wanted = self._instructed(self.settings)
        return next((model for model in self.models if model.id == wanted), None)

    def _instructed(self, settings: Settings) -> str:
        return instructed(settings.model, [model.id for model in self.models])

    @property
    def backend_sentence(self) -> str:
        """The state of the backend, for the artist to read."""
        return backend_sentence(self._link.state, self.worker)

    @guarded
    def look(self) -> None:
        """Follow the document in front; called now and then while a docker is visible."""
        self.results.look()
        self.place.look()
        self.scene_watch.look()
        if self.scene_watch.has_document and self._link.state is LinkState.OFF:
            self._link.ensure()

    @guarded
    def change(self, **values: Any) -> None:
        """Set fields of the settings; live painting belongs to Generate, and ends elsewhere."""
        for name, value in values.items():
            setattr(self.settings, name, value)
        if self.model is not None and not self.model.step_cache:
            self.settings.step_cache = 0.0  # what is not shown asks for nothing
        self._host.write_setting(_SETTINGS_KEY, self.settings.to_text())
        if self.live.is_on and self.settings.mode != "generate":
            self.live.stop()
            self._show(
                Notice(
                    tr("Live is off now: it belongs to Generate."),
                    tr("To go on with its picture, switch it on there again and press Keep first."),
                    is_error=False,
                )
            )

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
        laid = self.adapters.laid(PICTURE) if self.scene_watch.has_document else None
        self.presets.keep(name, self.settings, laid)
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
        laid = self.presets.laid(name)
        if laid is not None:
            self.adapters.lay_on_picture(laid)

    @guarded
    def dismiss_notice(self) -> None:
        """The artist has read it."""
        self._show(None)

    def close(self) -> None:
        """Krita ends, or the plugin is taken out."""
        self._watchers.clear()
        self.live.stop()
        self.queue.close()
        self.scene_watch.stop()
        self.regions.close()
        self.results.close()
        self.place.close()
        self._link.close()

    # --- jobs -------------------------------------------------------------------------------------

    @guarded
    def generate(self) -> None:
        """Paint the whole canvas, or what is selected, anew."""
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
    def edit(self) -> None:
        """Change what the picture shows, by words."""
        self._begin("edit")

    @guarded
    def find_place(self) -> None:
        """Look for what the picture shows, by words; the map is no picture of the history."""
        self._begin("edit", finds=True)

    @guarded
    def select_place(self) -> None:
        """Make what is above the threshold Krita's selection."""
        self._show(None)
        self.place.select(self.settings.edit_threshold)

    @guarded
    def add_place_layer(self) -> None:
        """Make what is above the threshold a layer that says where."""
        self._show(None)
        self.place.add_layer(self.settings.edit_threshold)

    @guarded
    def judge_regions(self) -> None:
        """Ask whether the picture shows in each region what its layer is called."""
        canvas = self._document_in_front()
        self._check_live()
        self._ask(canvas, order_to_judge(canvas, replace(self.settings)))

    @guarded
    def suggest_prompt(self) -> None:
        """Ask what the picture shows at the edges that grow, for the background's prompt."""
        canvas, settings = self._document_in_front(), replace(self.settings)
        layers = (region.prompt for region in self.scene_watch.scene.regions)
        names = [settings.prompt, *layers, *self.prompt_history.prompts[:_NAMES_OF_EARLIER]]
        window_px = self.model.window_px if self.model else _PIECE_OF_UNKNOWN_PX
        self._ask(canvas, order_to_suggest(canvas, settings, window_px, names))

    def _ask(self, canvas: Canvas, reading: Work[Order]) -> None:
        """A job whose result is no picture."""
        self._show(None)
        self.live.stop()
        self.results.canvas_preview.hide()
        self.regions.hide_overlay()

        async def undisturbed() -> Order:
            with self.scene_watch.resting():
                await self.results.canvas_preview.gone()
                return await reading

        self.queue.begin(canvas, undisturbed())

    @guarded
    def upscale(self) -> None:
        """Make the picture larger, and paint over it."""
        self._begin("upscale")

    @guarded
    def teach(self) -> None:
        """Teach the model a word, or go on with it; painting that is asked for goes first."""
        self._teach(keep=False)

    @guarded
    def keep_taught(self) -> None:
        """Make the file of what was learned so far."""
        self._teach(keep=True)

    def _teach(self, *, keep: bool) -> None:
        canvas, settings = self._document_in_front(), replace(self.settings)
        self._check_live()
        check_taught_word(settings.teach_word, settings.teach_like)
        self._ask(canvas, self._examples(canvas, settings, keep=keep))

    async def _examples(self, canvas: Canvas, settings: Settings, *, keep: bool) -> Order:
        pictures = await self.results.favourites() if settings.teach_from == "history" else ()
        return await order_to_teach(canvas, settings, pictures, keep=keep)

    @property
    def canvas_in_front(self) -> Canvas | None:
        """The document in front, if one is open."""
        return self._host.active_canvas()

    @guarded
    def upscale_by_four(self) -> None:
        """Make it four times as large; regions of which there is no picture are painted first.

        Both are pictures of the history: what stops the second leaves the first.
        """
        larger = replace(self.settings, upscale_factor=float(TIMES_AT_ONCE))
        canvas, scene = self._document_in_front(), self.scene_watch.scene
        if larger.upscale_into == "selection" or not needs_painting(canvas, scene):
            self._begin("upscale", larger)
            return
        target_of(canvas, larger, "upscale")  # what cannot be is told before anything is painted
        whole = replace(larger, only_selection=False, in_regions=False, batch=1)
        first = self._begin("generate", whole)
        self._to_enlarge[first.id] = larger

    @guarded
    def toggle_live(self) -> None:
        """Paint what changes in the document in front at once, or no longer.

        Another document that was painted live is let go.
        """
        if self.live.is_in_front:
            self.live.stop()
            return
        self._show(None)
        canvas = self._document_in_front()
        self.regions.hide_overlay()
        self.change_and_tell(mode="generate")
        self.live.start(canvas)

    @guarded
    def keep_live(self) -> None:
        """Make a layer of the picture that is painted live."""
        picture = self.live.picture
        if picture is None or not self.live.is_in_front:
            return
        self.live.note_kept()
        canvas = picture.job.canvas
        job = replace(
            picture.job,
            id=uuid.uuid4().hex,
            history_id=self.results.histories.id_of(canvas),
            sources=tuple(self._sources(canvas, "generate")),
        )
        self.results.take(job, picture.order, picture.made, lambda: None, at_once=True)

    @guarded
    def cancel(self, job: Job | None = None) -> None:
        """Stop a job, wherever it is; the one in front when none is named."""
        job = job or self.job
        if job is not None:
            self.queue.cancel(job)

    @guarded
    def cancel_all(self) -> None:
        """Stop every job."""
        self.queue.cancel_all()

    def _document_in_front(self) -> Canvas:
        canvas = self._host.active_canvas()
        if canvas is None:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                tr("No document is open."),
                tr("Open one, or make a new one with File > New."),
            )
        return canvas

    def _begin(self, mode: Mode, settings: Settings | None = None, *, finds: bool = False) -> Job:
        """Read and paint; with other settings than those that are shown, of the same seed."""
        canvas = self._document_in_front()
        self._show(None)
        self._check_model(mode)
        if mode != "generate":
            self._check_live()
        self.live.stop()
        self.results.canvas_preview.hide()
        self.regions.hide_overlay()
        if not self.settings.seed_locked:
            self.roll_dice()
        # A copy: what is changed from now on is for the next picture.
        settings = replace(settings or self.settings, seed=self.settings.seed)
        if mode == "edit" and settings.edit_method == "instruct":
            settings = replace(settings, model=self._instructed(settings))
        return self.queue.begin(
            canvas,
            self._reading(canvas, settings, mode, finds=finds),
            self._sources(canvas, mode),
            settings.batch if mode != "edit" else 1,  # every seed gives the same
            self.results.histories.id_of(canvas),
        )

    def _check_model(self, mode: Mode) -> None:
        """Raises TapestryError where the chosen model cannot do this, before anything is read."""
        is_instructed = mode == "edit" and self.settings.edit_method == "instruct"
        model = self.instructed_model if is_instructed else self.model
        if model is not None:
            check_follows(
                model.name,
                is_instructed=is_instructed,
                follows=model.follows_instructions,
                nothing_else=model.only_instructions,
            )

    def _check_live(self) -> None:
        """Raises TapestryError where one sees a live picture, which nothing can be made of yet."""
        if self.live.has_unkept_picture:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                tr("The live picture is a preview, and no layer yet."),
                tr("Press Keep first, or switch Live off; then press the button once more."),
            )

    async def _reading(
        self, canvas: Canvas, settings: Settings, mode: Mode, *, finds: bool
    ) -> Order:
        with self.scene_watch.resting():
            await self.results.canvas_preview.gone()
            is_instructed = mode == "edit" and settings.edit_method == "instruct" and not finds
            wanted = is_instructed and settings.edit_reference_from == "favourites"
            favourites = await self.results.favourites() if wanted else ()
            order = await order_from(canvas, settings, mode, finds=finds, favourites=favourites)
        request, model = order.request, self.instructed_model
        if request.edit is not None and is_instructed and model is not None:
            check_references(model.name, model.references, request.edit)
        used = [request.prompt, *(region.prompt for region in request.regions)]
        if mode == "edit" and settings.edit_method != "instruct":
            used = [settings.edit_from, settings.edit_to, *used]
        self.prompt_history.remember(used)
        return order

    def _sources(self, canvas: Canvas, mode: Mode) -> list[str]:
        """The layers above which the picture belongs: those that count, or all that one sees."""
        rows = self.scene_watch.scene.rows if mode == "generate" else ()
        off = {row.id for row in rows if not row.settings.on}
        return [layer.id for layer in canvas.layers() if layer.visible and layer.id not in off]

    def _queue_changed(self) -> None:
        pending = {job.id for job in self.queue.jobs}
        self._to_enlarge = {id_: s for id_, s in self._to_enlarge.items() if id_ in pending}
        self.results.hide_live([job.id for job in self.queue.jobs])
        self._tell("job")
        if self.backend_controller:
            self.backend_controller.note_work()

    def _previewed(self, job: Job) -> None:
        if self.settings.live_on_canvas and job.order and job.preview:
            self.results.show_live(job, job.order, job.preview)

    def _finished(self, job: Job, made: JobResult) -> None:
        if self.backend_controller:
            self.backend_controller.note_report(made.result.report)
        end = self.queue.end
        if job.order is not None and job.order.request.task == "recognise":
            found = judgements_of(made.result.report)
            # Of a document that was closed meanwhile, also with Krita, nothing is asked any more.
            end(job, self._judged(job.order, found) if job.canvas.is_open else None)
        elif job.order is not None and job.order.request.teach is not None:
            self._taught(job, job.order, made)
        elif job.order is not None and job.order.is_map:
            self.place.take(job, job.order, made, lambda: end(job, self.notice))
        elif job.order is not None:
            self.scene_watch.note_judged({})
            at_once = self.settings.apply_at_once and job.copies == 1
            self.results.take(job, job.order, made, lambda: end(job, self.notice), at_once=at_once)
            larger = self._to_enlarge.pop(job.id, None)
            if larger is not None and job.canvas.is_open:
                order = order_to_enlarge(job.order, made.pixels, larger)
                self.queue.begin(job.canvas, _ready(order), job.sources, history_id=job.history_id)

    def _taught(self, job: Job, order: Order, made: JobResult) -> None:
        """The picture of the word goes to the history; what was learned can be used at once."""
        word = order.layer_name
        self.prompt_history.remember([word])
        self.results.take(
            job,
            order,
            made,
            lambda: self.queue.end(
                job,
                Notice(
                    tr("The model has learned {word}.").format(word=quoted(word)),
                    tr("Name a layer so, or write it into any prompt."),
                    is_error=False,
                ),
            ),
            at_once=False,
        )

    def _judged(self, order: Order, found: Sequence[Judgement]) -> Notice:
        """Mark the regions that do not show their names, or take what the edges show."""
        if order.judged:
            self.scene_watch.note_judged(dict(zip(order.judged, found, strict=False)))
            unlike = ", ".join(each.prompt for each in found if not each.shows)
            if not unlike:
                return Notice(tr("Every region shows what it is called."), is_error=False)
            marked = tr("They are marked in the list: try another seed, or plainer words.")
            said = tr("Not shown where they should be: {names}.").format(names=unlike)
            return Notice(said, marked, is_error=False)
        prompt = suggested(found)
        if not prompt:
            return Notice(tr("Nothing was recognised at these edges."), is_error=False)
        self.prompt_history.remember([prompt, self.settings.prompt])
        self.change_and_tell(prompt=prompt)
        changed = tr("That is the background's prompt now: change it as you like.")
        return Notice(tr("The edges show: {names}.").format(names=prompt), changed, is_error=False)

    # --- results ----------------------------------------------------------------------------------

    @guarded
    def apply(self, entry_id: str, way: InsertAs = "layer") -> None:
        """Make a layer of a picture of the history."""
        self.results.apply(entry_id, way)

    @guarded
    def take_back(self, entry_id: str) -> None:
        """Take an applied picture out of the document again."""
        self.results.take_back(entry_id)

    @guarded
    def preview(self, entry_id: str) -> None:
        """Show a picture of the history on the canvas, or none."""
        self.results.preview(entry_id)

    @guarded
    def discard(self, entry_id: str) -> None:
        """Take a picture out of the history."""
        self.results.discard(entry_id)

    @guarded
    def enlarge(self, entry_id: str) -> None:
        """Make a picture of the history larger, as a document of its own."""
        entry = self.results.find(entry_id)
        if entry is None:
            return
        canvas, settings = self._document_in_front(), replace(self.settings)
        upscaled_size(entry.height, entry.width, settings.upscale_factor)
        self._show(None)
        self.live.stop()
        history_id = self.results.histories.id_of(canvas)
        self.queue.begin(canvas, self._enlarging(entry, settings), history_id=history_id)

    async def _enlarging(self, entry: HistoryEntry, settings: Settings) -> Order:
        picture, painted = await self.results.to_enlarge(entry)
        if painted is None:
            return order_to_enlarge_anew(picture, entry.prompts, settings)
        request, masks = painted
        order = Order(request, masks, entry.name, adapters=entry.adapters)
        return replace(order_to_enlarge(order, picture, settings), new_document=True)

    @guarded
    def set_favourite(self, entry_id: str, *, on: bool) -> None:
        """Keep a picture however old it is, or not."""
        self.results.set_favourite(entry_id, on=on)

    @guarded
    def use_settings(self, entry: HistoryEntry) -> None:
        """Set the fields to what made this picture."""
        request = entry.request
        if request is None:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                tr("The settings of this picture were written by another version of Tapestry."),
                tr("Its name tells the prompts and the seed."),
            )
        self.change_and_tell(**settings_of(request))
        self.adapters.bring_back(entry.adapters)
        self._tell("models")

    @guarded
    def use_seed(self, entry: HistoryEntry) -> None:
        """Set the seed to this picture's."""
        self.change_and_tell(seed=entry.seed)

    @guarded
    def _saving(self) -> None:
        self.live.saving()
        self.results.saving()

    @guarded
    def _saved(self, canvas: Canvas | None) -> None:
        if self.results.saved(canvas):
            self.live.saving(_WRITTEN_AGAIN_WITHIN_S)
        else:
            self.live.saved()

    # --- the backend ------------------------------------------------------------------------------

    @guarded
    def choose_backend(self, choice: BackendChoice) -> None:
        """Use another backend, or the same with other models."""
        if self.backend_controller:
            self.backend_controller.choose(choice)

    @guarded
    def try_backend_again(self) -> None:
        """Look for the backend once more."""
        self._show(None)
        if self.backend_controller:
            self.backend_controller.try_again()

    # --- from the link ----------------------------------------------------------------------------

    @guarded
    def link_changed(self) -> None:
        """The link's state is another one."""
        self._tell("backend")
        self.queue.link_changed()
        self.live.link_changed()
        if self.backend_controller:
            self.backend_controller.note_work()

    @guarded
    def link_failed(self, error: TapestryError) -> None:
        """No backend can be reached."""
        if self.backend_controller:
            self.backend_controller.note_failure(error)
        self.queue.link_failed(error)

    @guarded
    def hear(self, message: Message, pixels: Pixels | None, beside: Beside = NOTHING) -> None:
        """A message of the server."""
        if isinstance(message, Backend):
            self.worker = message
            if self.backend_controller:
                self.backend_controller.worker = message
                self.backend_controller.note_work()
            self._tell("backend")
        elif isinstance(message, Workers):
            if self.backend_controller:
                self.backend_controller.workers = message
            self._tell("backend")
        elif isinstance(message, Welcome):
            self._hear_welcome(message)
        elif isinstance(message, Learned):
            new = {adapter.id for adapter in message.adapters}
            known = (adapter for adapter in self.adapters.known if adapter.id not in new)
            self.adapters.known = (*known, *message.adapters)
            self._tell("models")
        elif isinstance(message, Remark):
            self._show(Notice(message.message, message.advice, is_error=False))
        elif not self.live.hear(message, pixels):
            self.queue.hear(message, pixels, beside)

    def _hear_welcome(self, welcome: Welcome) -> None:
        self.adapters.known = welcome.adapters
        if self.backend_controller:
            self.backend_controller.left_out = welcome.left_out
            self.backend_controller.workers = Workers(())  # another backend may have none
        self._know_upscalers(welcome.upscalers)
        self._know_models(welcome.models)

    def _family(self) -> str:
        """Family of the model that is chosen; empty while it is unknown."""
        return self.model.family if self.model else ""

    def _know_models(self, models: tuple[ModelInfo, ...]) -> None:
        """Another backend may not have the model that was chosen: then its first one paints."""
        self.models = models
        if self.backend_controller:
            self.backend_controller.models, self.backend_controller.trouble = models, None
        if models and self.settings.model not in [model.id for model in models]:
            self.change(model=models[0].id)
        self._tell("models")

    def _know_upscalers(self, upscalers: tuple[str, ...]) -> None:
        """What the chosen one made is made by the filter where another backend lacks it."""
        self.upscalers = upscalers
        if self.settings.upscaler and self.settings.upscaler not in upscalers:
            self.change(upscaler="")

    def _show(self, notice: Notice | None) -> None:
        self.notice = notice
        self._tell("notice")

    def _tell(self, topic: Topic) -> None:
        for watcher in list(self._watchers.get(topic, ())):
            watcher()


async def _ready(order: Order) -> Order:
    """An order for which nothing has to be read."""
    return order
