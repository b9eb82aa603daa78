"""Runs a request from beginning to end and reports every step."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn import functional

from tapestry_protocol.fields import Stage
from tapestry_protocol.limits import MAX_LAYERS_BYTES
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds, Pixels
from tapestry_protocol.request_checks import check_request

from ..engine.coherence import Coherence, PerceptualCoherence
from ..engine.composition import HoldComposition, composed, structured
from ..engine.layers import Layers
from ..engine.out_of_memory import is_out_of_memory
from ..engine.regions import Share
from ..engine.sampling import Known, Steer
from ..engine.views import WindowLayout
from ..models.denoiser import Denoiser
from ..models.lpips_distance import find_perceptual_distance
from ..models.model_cache import ModelCache
from .canvas import cut_output, preview_rgba, to_rgba
from .canvas_source import CanvasSource, RequestedCanvas, pixel_shares, read_canvas_source
from .conditioning import Conditioning
from .decoding import compose_layers, decode_beside, decode_canvas
from .denoising_pass import DenoisingPass, Texts
from .events import Finished, LayeredPicture, Progressed
from .failure_messages import (
    check_finite,
    layers_too_large,
    out_of_memory,
    short_of_memory,
    unlike_few_steps,
)
from .layering import Colours, Leaf, leaves_of, size_bytes, to_layers
from .own_paint import kept_rows
from .plain_edges import plain_edges
from .plan import DraftPlan, Plan, make_plan
from .report import Stopwatch, make_report


def run(
    request: Request, blobs: Mapping[str, bytes], store: ModelCache
) -> Iterator[Progressed | Finished]:
    """Make the picture of a request; the last event is `Finished`.

    blobs maps SHA-256 to bytes and holds everything in `request.blobs`. Whoever iterates shows
    progress, and cancels by iterating no longer. Raises TapestryError for whatever an artist can
    meet: a request that cannot become a picture, a damaged model, numbers that are not finite, too
    little memory.
    """
    check_request(request)
    store.check(request)
    request, notices = store.catalogue.adapters.read(request)
    stage = "loading"
    try:
        for event in _Job(request, blobs, store, notices).events():
            stage = event.stage if isinstance(event, Progressed) else stage
            yield event
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(request, stage, store.device) from error


class _Drafted(NamedTuple):
    """A draft [1, 3, H, W] in 0..1, enlarged, and where [h, w] in 0..1 it is kept to."""

    plan: DraftPlan
    pixels: Tensor
    where: Tensor

    def hold(self, latents: Tensor, layers: Layers) -> HoldComposition:
        """What keeps the canvas to it, as latents [1, C, h, w]."""
        plan, where = self.plan, self.where.to(latents)
        return HoldComposition(latents, plan.size, plan.start, plan.hold, where, layers)


class _Job:
    """One request on its way; its events are asked for once."""

    def __init__(
        self,
        request: Request,
        blobs: Mapping[str, bytes],
        store: ModelCache,
        notices: Sequence[str] = (),
    ) -> None:
        self._request = request
        self._notices = tuple(notices)
        self._blobs = blobs
        self._store = store
        self._watch = Stopwatch()
        self._model: Denoiser
        self._plan: Plan
        self._reading: RequestedCanvas
        self._conditioning: Conditioning
        self._texts: Texts
        self._evaluations = 0
        self._batch_size: int
        self._latents: Tensor
        self._layers: Layers

    def events(self) -> Iterator[Progressed | Finished]:
        """Everything from beginning to end."""
        yield from self._prepare()
        yield from self._paint()
        yield from self._finish()

    def _prepare(self) -> Iterator[Progressed]:
        """Load the model, read the canvas, encode the prompts."""
        yield Progressed("loading")
        with self._watch.stage("load"):
            self._model = self._store.load(self._request.model)
        self._model.clip_skip = self._request.clip_skip
        yield Progressed("encoding")
        with self._watch.stage("encode"):
            self._plan = make_plan(self._request, self._model)
            self._batch_size = self._plan.batch_size
            self._reading = read_canvas_source(self._request, self._blobs, self._plan)
            adapters = self._store.catalogue.adapters
            self._conditioning = Conditioning(
                self._request, self._blobs, self._plan, self._model, adapters
            )
            self._texts = Texts.encode(self._plan, self._model, self._conditioning)
            check_finite(self._texts.conditions, "reading the prompts")

    def _paint(self) -> Iterator[Progressed]:
        """The draft, where it helps, and the picture."""
        plan, source = self._plan, self._reading.source
        if source.is_finished:
            return
        draft = yield from self._draft(source)
        plain = plain_edges(plan, source)
        if plain is not None and draft is not None:
            draft = draft._replace(where=draft.where * (plain.where == 0))
        if draft is not None:
            source = source.over(draft.pixels, draft.plan.start, draft.where)
        with self._watch.stage("encode"):
            known = self._known(source)
        painting = self._painting(source, plan.layout, known)
        self._layers = painting.layers
        steer: list[Steer] = []
        if draft is not None and known is not None:
            steer.append(draft.hold(known.latents, self._layers))
        if plain is not None and known is not None:
            steer.extend(plain.holds(known.latents, self._layers))
        steer.extend(_coherence(plan, self._reading.source, self._model, self._layers))
        self._latents = yield from self._follow(painting, "denoising", steer)

    def _finish(self) -> Iterator[Progressed | Finished]:
        """Decode the picture and let it meet what is there."""
        yield Progressed("decoding")
        plan, reading = self._plan, self._reading
        with self._watch.stage("decode"):
            pixels, layered = self._pixels(reading.source)
            alpha = None if reading.new is None else cut_output(reading.new, plan)
            rgba = to_rgba(cut_output(pixels, plan)[0], alpha)
        notices = (
            *(*self._notices, *self._texts.notices, *self._conditioning.notices, *reading.notices),
            *short_of_memory(self._batch_size, plan.batch_size),
            *self._unlike_its_checkpoint,
        )
        report = make_report(plan, self._evaluations, notices, self._watch)
        yield Finished(rgba, _output_bounds(self._request), report, layered)

    def _pixels(self, source: CanvasSource) -> tuple[Tensor, LayeredPicture | None]:
        """The canvas [1, 3, H, W] in 0..1, and the same as layers, where they were asked for.

        What was painted, and what was there already.
        """
        if source.is_finished:
            return source.finished, None
        model, plan, layers = self._model, self._plan, self._layers
        pixels = decode_beside(
            model, layers.fused(self._latents), source, wrap=plan.request.wrap
        ).cpu()
        if layers.count == 1:
            return pixels, None
        shares, new = pixel_shares(self._reading, plan, layers), ~source.known
        kept = kept_rows(source.paints, layers)
        leaves, colours = self._leaves(shares), None
        if leaves:
            colours = Colours(leaves, layers, pixels.clone(), new, wrap=plan.request.wrap)
            colours.decode(model, self._latents, kept)
        args = model, self._latents, layers, shares, pixels, new
        seen = None if colours is None else colours.take
        compose_layers(*args, wrap=plan.request.wrap, kept=kept, seen=seen)
        if colours is None:
            return pixels, None
        return pixels, to_layers(leaves, colours.base, pixels, self._reading.new, plan)

    def _leaves(self, shares: Sequence[Share]) -> list[Leaf]:
        """The layers that were asked for, as yet without colours."""
        if not self._request.layered:
            return []
        leaves = leaves_of(self._layers, shares, self._reading.masks, self._plan)
        if size_bytes(leaves, self._plan) <= MAX_LAYERS_BYTES:
            return leaves
        self._notices += (layers_too_large(),)
        return []

    @property
    def _unlike_its_checkpoint(self) -> tuple[str, ...]:
        variant = self._store.variant_of(self._request.model)
        scale = self._request.guidance_scale
        told = unlike_few_steps(variant, self._request.num_inference_steps, scale)
        if self._request.clip_skip and not self._model.knows_clip_skip:
            told += (
                "This model reads its texts without CLIP's layers: clip skip changes nothing.",
            )
        return told

    def _draft(self, source: CanvasSource) -> Generator[Progressed, None, _Drafted | None]:
        """The draft, where there is something that it decides about."""
        draft = self._plan.draft
        if draft is None:
            return None
        high = composed(source.weights, self._plan.window.height, draft.size)
        high = high * source.new_cells * source.from_noise
        if not bool((high >= 0.5).any()):
            return None
        pixels = yield from self._paint_draft(source.scaled(draft.size))
        where = structured(pixels, high)
        return _Drafted(draft, pixels, where) if bool((where >= 0.5).any()) else None

    def _paint_draft(self, source: CanvasSource) -> Generator[Progressed, None, Tensor]:
        """A small picture of the whole, enlarged to the canvas: [1, 3, H, W] in 0..1."""
        plan = self._plan
        layout = WindowLayout(source.size, source.size, source.size, wrap=plan.request.wrap)
        with self._watch.stage("encode"):
            known = self._known(source)
        painting = self._painting(source, layout, known)
        latents = yield from self._follow(painting, "drafting")
        with self._watch.stage("decode"):
            latents = painting.layers.fused(latents)
            pixels = decode_canvas(self._model, latents, wrap=plan.request.wrap, continued=True)
            size = tuple(side * plan.cell_px for side in plan.canvas)
            return functional.interpolate(pixels, size, mode="bicubic").clamp(0, 1).cpu()

    def _painting(
        self, source: CanvasSource, layout: WindowLayout, known: Known | None
    ) -> DenoisingPass:
        return DenoisingPass(
            self._plan, self._model, self._texts, self._conditioning, source, layout, known
        )

    def _look(self, denoised: Tensor) -> Pixels:
        """How latents look, small."""
        return preview_rgba(self._model.preview(denoised), self._plan)

    def _known(self, source: CanvasSource) -> Known | None:
        """What is there already, as latents."""
        return source.known_latents(self._model)

    def _follow(
        self, painting: DenoisingPass, stage: Stage, steer: Sequence[Steer] = ()
    ) -> Generator[Progressed, None, Tensor]:
        """Tells of every step; returns the latents [L, C, h, w] of what was painted."""
        steps = painting.steps(steer)
        yield Progressed(stage)
        while True:
            with self._watch.stage("denoise"):
                step = next(steps, None)
                if step is None:
                    break
                latents = step.latents
                check_finite(latents, f"{stage} (step {step.number})")
            yield Progressed(stage, step.number, step.count, partial(self._look, step.denoised))
        self._evaluations += painting.denoise.evaluations
        self._batch_size = min(self._batch_size, painting.denoise.batch_size)
        return latents


def _coherence(plan: Plan, source: CanvasSource, model: Denoiser, layers: Layers) -> list[Steer]:
    """All windows keep to the look of the anchor's, whatever kind of windows paints them.

    What starts from something keeps to that instead: a picture that grows or is mended has the look
    that it has there, and an artist's own colours may change along a region. More than half of it
    evens out what a trained eye sees as well, where LPIPS is installed, which takes far longer.
    """
    if plan.request.task != "generate":
        return []
    where: dict[str, Any] = {"anchor": plan.anchor.width, "wrap": plan.request.wrap}
    windows, free = plan.layout.grid, (source.keep == 0).float() * source.from_noise
    own = layers.within.cpu() * (source.weights > 0) * free
    statistics = Coherence(windows, own, plan.request.coherence, rows=layers.rows, **where)
    if not statistics.is_needed:
        return []
    share = 2 * plan.request.coherence - 1
    distance = find_perceptual_distance(model.device) if share > 0 else None
    if distance is None:
        return [statistics]
    decode = model.decode_with_gradient
    weights = source.weights * free
    seen = PerceptualCoherence(windows, weights, share, decode, distance, layers=layers, **where)
    return [seen, statistics]


def _output_bounds(request: Request) -> Bounds:
    margins = request.margins
    return Bounds(
        -margins.top,
        -margins.left,
        request.height + margins.bottom,
        request.width + margins.right,
    )
