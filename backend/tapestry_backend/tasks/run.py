"""Runs a request from beginning to end and reports every step."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.fields import Stage
from tapestry_protocol.limits import MAX_LAYERS_BYTES
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds, Pixels
from tapestry_protocol.request_checks import check_request
from tapestry_protocol.sentences import Sentence

from ..engine.coherence import Coherence
from ..engine.composition import PreserveComposition, composed, structured
from ..engine.jumps import Jump
from ..engine.layers import Layers
from ..engine.perceptual_coherence import PerceptualCoherence
from ..engine.regions import PixelShare
from ..engine.sampling import Preserved, Steer
from ..engine.views import WindowLayout
from ..models.denoiser import Denoiser
from ..models.lpips_distance import find_perceptual_distance
from ..models.model_cache import ModelCache
from .canvas import cut_output, preview_rgba, to_rgba
from .canvas_source import CanvasSource, RequestedCanvas, pixel_shares, read_canvas_source
from .conditioning import Conditioning
from .decoding import compose_layers, decode_beside, decode_canvas
from .denoising_pass import DenoisingPass, Texts
from .edge_colours import preserve_edge_colours
from .editing import run_edit
from .events import Finished, LayeredPicture, Progressed
from .failure_messages import (
    forgot_steps,
    layers_too_large,
    settings_notices,
    telling_of_memory,
)
from .finite import check_finite
from .imagic import run_imagic
from .instruction import run_instruction
from .inversion_files import InversionFiles
from .layering import Colours, Leaf, leaves_of, size_bytes, to_layers
from .live import LivePass, LivePasses, LiveUpdate, decode_update, preview_update
from .melting import melted
from .model_loading import load_model
from .own_paint import preserved_rows
from .plain_edges import plain_edges
from .plan import DraftPlan, Plan, make_plan
from .recognition import run_recognition
from .report import Stopwatch, make_report
from .sharing import Team
from .teaching import run_teaching
from .tensor_files import TensorFiles
from .upscaling import run_upscale


def run(
    request: Request,
    blobs: Mapping[str, bytes],
    model_cache: ModelCache,
    passes: LivePasses | None = None,
    inversions: InversionFiles | None = None,
    learned: TensorFiles | None = None,
    half_learned: TensorFiles | None = None,
    taught: Path | None = None,
    team: Team | None = None,
    most_rows: int = 0,
) -> Generator[Progressed | Finished]:
    """Make the picture of a request; the last event is `Finished`.

    blobs     maps SHA-256 to bytes and holds everything in `request.blobs`
    passes    what live requests leave for the next one, and go on from, until a picture that is not
              live lets it go; without it all of each is painted
    inversions    pictures that edits took back to noise, for the next edit; without them each
              edit does it again
    learned    pictures that models have learned, likewise
    half_learned    what models are being taught; without it a job that is stopped leaves nothing
    taught    the file for what a model is taught; None: in the models folder, called as the word
    team       helpers that take a share of each step, where a canvas is painted; not in edits,
               instructions, enlarging and painting live, nor with a step cache
    most_rows  of a batch that goes through the model there; 0: as many as it takes

    The caller shows progress, and cancels by not iterating further. Raises TapestryError for what
    an artist can meet: a request that cannot become a picture, a damaged model, numbers that are
    not finite, too little memory.
    """
    passes = passes or LivePasses()
    if not request.live:
        passes.forget()  # another picture may need its memory
    if request.task == "upscale":
        yield from run_upscale(request, blobs, model_cache)
        return
    check_request(request)
    model_cache.check(request)
    request, notices = model_cache.catalogue.adapters.read(request)
    if request.task == "teach":
        events = run_teaching(
            request,
            blobs,
            model_cache,
            lambda wanted: run(wanted, {}, model_cache, passes, inversions),
            half_learned,
            taught,
        )
        yield from telling_of_memory(events, request, model_cache.device)
        return
    given = request, blobs, model_cache, notices
    if request.edit is not None and request.edit.method == "instruct":
        events = run_instruction(*given)
    elif request.edit is not None and request.edit.method == "imagic":
        events = run_imagic(*given, learned, inversions)
    elif request.task == "edit":
        events = run_edit(*given, inversions)
    elif request.task == "recognise":
        events = run_recognition(*given)
    else:
        alone = request.live or request.step_cache
        events = run_painting(*given, passes, None if alone else team, most_rows)
    yield from telling_of_memory(events, request, model_cache.device)


def run_painting(
    request: Request,
    blobs: Mapping[str, bytes],
    model_cache: ModelCache,
    notices: Sequence[str],
    passes: LivePasses,
    team: Team | None = None,
    most_rows: int = 0,
) -> Iterator[Progressed | Finished]:
    """A job from beginning to end."""
    state = yield from _prepare(request, blobs, model_cache, notices, passes, most_rows)
    if team is not None:
        state.team = team
        team.begin(state.texts.conditions)
    painted = None if state.is_finished else (yield from _paint(state))
    yield Progressed("decoding")
    with state.watch.stage("decode"):
        pixels, layered = (
            (state.finished, None) if painted is None else _decode(state, painted, passes)
        )
        new = state.canvas.new
        rgba = to_rgba(
            cut_output(pixels, state.plan)[0], None if new is None else cut_output(new, state.plan)
        )
    told = _notices(state, model_cache)
    report = make_report(state.plan, state.evaluations, told, state.watch, state.left_out)
    if request.live:
        report["live"] = {"painted": 1.0 if state.update is None else state.update.share}
    if state.team is not None:
        report["rows_by_worker"] = [*state.team.rows]
    yield Finished(rgba, _output_bounds(request), report, layered)


@dataclass
class _RunState:
    """What a job has loaded and read, and what it counts on its way.

    batch_size    the smallest that was used; below the plan's where memory ran out
    update        what of a live document is painted; None: all of it
    left_out      evaluations that the step cache has spared; remembers: until memory ran out
    team          who takes a share of each step; None: it is painted here alone
    """

    plan: Plan
    model: Denoiser
    canvas: RequestedCanvas
    conditioning: Conditioning
    texts: Texts
    watch: Stopwatch
    notices: list[str]
    batch_size: int
    update: LiveUpdate | None = None
    evaluations: int = 0
    left_out: int = 0
    remembers: bool = True
    team: Team | None = None

    @property
    def source(self) -> CanvasSource:
        """The canvas before painting."""
        return self.canvas.source

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing to paint."""
        unchanged = self.update is not None and not bool(self.update.free.any())
        return unchanged or self.source.is_finished

    @property
    def finished(self) -> Tensor:
        """[1, 3, H, W] in 0..1: the picture, where there is nothing to paint."""
        return self.source.finished if self.update is None else self.update.last.pixels


class _Painted(NamedTuple):
    """Finished latents [L, C, h, w], a row for each of the layers."""

    latents: Tensor
    layers: Layers


class _Draft(NamedTuple):
    """A draft [1, 3, H, W] in 0..1, enlarged, and where [h, w] in 0..1 it is preserved."""

    plan: DraftPlan
    pixels: Tensor
    where: Tensor

    def preserve(self, latents: Tensor, layers: Layers) -> PreserveComposition:
        """Steers the canvas towards it, as latents [1, C, h, w]."""
        plan, where = self.plan, self.where.to(latents)
        return PreserveComposition(
            latents, plan.size, plan.start, plan.preserve_until, where, layers
        )


def _prepare(
    request: Request,
    blobs: Mapping[str, bytes],
    model_cache: ModelCache,
    notices: Sequence[str],
    passes: LivePasses,
    most_rows: int = 0,
) -> Generator[Progressed, None, _RunState]:
    """Load the model, read the canvas, encode the prompts."""
    watch = Stopwatch()
    model = yield from load_model(request, model_cache, watch)
    with watch.stage("encode"):
        if request.melt:
            request, without = melted(request)
            notices = (*notices, *without)
        plan = make_plan(request, model)
        if most_rows:
            plan = replace(plan, batch_size=min(plan.batch_size, most_rows))
        canvas = read_canvas_source(request, blobs, plan)
        adapters = model_cache.catalogue.adapters
        conditioning = Conditioning(request, blobs, plan, model, adapters, places=canvas.places)
        last = passes.before(plan, model)
        texts = Texts.encode(plan, model, conditioning, last.texts.encoded if last else None)
        check_finite(texts.conditions, "reading the prompts")
    all_notices = [*notices, *texts.notices, *conditioning.notices, *canvas.notices]
    update = passes.update_of(plan, canvas.source, model)
    return _RunState(
        plan, model, canvas, conditioning, texts, watch, all_notices, plan.batch_size, update
    )


def _paint(state: _RunState) -> Generator[Progressed, None, _Painted]:
    """The draft, where it helps, and the picture; of a live document what has changed."""
    if state.update is not None:
        return (yield from _paint_update(state, state.update))
    plan, source = state.plan, state.source
    draft = yield from _draft(state)
    plain = plain_edges(plan, source)
    if plain is not None and draft is not None:
        draft = draft._replace(where=draft.where * (plain.where == 0))
    if draft is not None:
        source = source.over(draft.pixels, draft.plan.start, draft.where)
    preserved, denoising = _denoising_pass(state, source, plan.layout, plan.jumps)
    layers = denoising.layers
    steer: list[Steer] = []
    if draft is not None and preserved is not None:
        steer.append(draft.preserve(preserved.latents, layers))
    if plain is not None and preserved is not None:
        steer.extend(plain.preserve(preserved.latents, layers))
    if preserved is not None:
        steered = [each.where for each in (draft, plain) if each is not None]
        free = torch.stack([torch.ones(source.size), *(1 - where.sign() for where in steered)])
        steer += preserve_edge_colours(plan, source, preserved.latents, layers, free.amin(dim=0))
    steer.extend(_coherence(plan, state.source, state.model, layers))
    latents = yield from _denoise(state, denoising, "denoising", steer)
    return _Painted(latents, layers)


def _paint_update(state: _RunState, update: LiveUpdate) -> Generator[Progressed, None, _Painted]:
    """What has changed, from what is around it."""
    preserved = state.source.preserved_latents(state.model)
    source = update.restrict(state.source)
    args = state.plan, state.model, state.texts, state.conditioning
    denoising = DenoisingPass(
        *args, source, state.plan.layout, preserved, update.preserve_unchanged
    )
    latents = yield from _denoise(state, denoising, "denoising")
    return _Painted(latents, denoising.layers)


def _draft(state: _RunState) -> Generator[Progressed, None, _Draft | None]:
    """A small picture of the whole, enlarged; None where there is nothing that it decides about."""
    plan, draft, source = state.plan, state.plan.draft, state.source
    if draft is None:
        return None
    high = composed(source.weights, plan.window.height, draft.size)
    high = high * source.new_cells * source.from_noise
    if not bool((high >= 0.5).any()):
        return None
    source = source.scaled(draft.size)
    layout = WindowLayout(source.size, source.size, source.size, wrap=plan.request.wrap)
    _, denoising = _denoising_pass(state, source, layout)
    latents = yield from _denoise(state, denoising, "drafting")
    with state.watch.stage("decode"):
        latents = denoising.layers.fused(latents)
        small = decode_canvas(state.model, latents, wrap=plan.request.wrap, continued=True)
        size = tuple(side * plan.cell_px for side in plan.canvas)
        pixels = functional.interpolate(small, size, mode="bicubic").clamp(0, 1).cpu()
    where = structured(pixels, high)
    return _Draft(draft, pixels, where) if bool((where >= 0.5).any()) else None


def _denoising_pass(
    state: _RunState, source: CanvasSource, layout: WindowLayout, jumps: Sequence[Jump] = ()
) -> tuple[Preserved | None, DenoisingPass]:
    """What is there already, as latents, and the pass that starts from it."""
    with state.watch.stage("encode"):
        preserved = source.preserved_latents(state.model)
    args = state.plan, state.model, state.texts, state.conditioning
    denoising = DenoisingPass(*args, source, layout, preserved, jumps=jumps)
    if state.team is not None:
        denoising.denoise.share = state.team.share
    return preserved, denoising


def _denoise(
    state: _RunState, denoising: DenoisingPass, stage: Stage, steer: Sequence[Steer] = ()
) -> Generator[Progressed, None, Tensor]:
    """Tell of every step; returns the latents [L, C, h, w] of what was painted."""

    def preview(denoised: Tensor) -> Pixels:
        rough = state.model.preview(denoised)
        if state.update is None:
            return preview_rgba(rough, state.plan)
        return to_rgba(cut_output(preview_update(rough, state.update), state.plan)[0])

    steps = denoising.steps(steer)
    yield Progressed(stage)
    while True:
        with state.watch.stage("denoise"):
            step = next(steps, None)
            if step is None:
                break
            latents = step.latents
            check_finite(
                latents, Sentence("{stage} (step {step})", stage=Sentence(stage), step=step.number)
            )
        yield Progressed(stage, step.number, step.num_steps, partial(preview, step.denoised))
    state.evaluations += denoising.denoise.evaluations
    state.left_out += denoising.denoise.left_out
    if denoising.denoise.step_cache is not None and denoising.denoise.step_cache.gave_up:
        state.remembers = False
    state.batch_size = min(state.batch_size, denoising.denoise.batch_size)
    return latents


def _decode(
    state: _RunState, painted: _Painted, passes: LivePasses
) -> tuple[Tensor, LayeredPicture | None]:
    """The canvas [1, 3, H, W] in 0..1, and the same as layers, where they were asked for.

    What was painted, and what was there already. A live canvas is remembered for its next pass.
    """
    model, source, wrap = state.model, state.source, state.plan.request.wrap
    is_live = state.plan.request.live
    latents, layers = painted
    if state.update is None:
        fused, outlines = layers.fused(latents), layers.outlines(wrap=wrap)
        plain = decode_beside(model, fused, source, wrap=wrap, outlines=outlines).cpu()
        pixels = plain.clone() if is_live else plain
        layered = _draw_outlines(state, painted, pixels)
    else:
        shares = pixel_shares(state.canvas, state.plan, layers)
        preserved = preserved_rows(source.paints, layers)
        plain, pixels = decode_update(
            model, latents, layers, state.update, shares, preserved, wrap=wrap
        )
        layered = None
    if is_live:
        last = LivePass(state.plan, source, state.texts, layers, latents, plain, pixels)
        passes.remember(last, model)
    return pixels, layered


def _draw_outlines(state: _RunState, painted: _Painted, pixels: Tensor) -> LayeredPicture | None:
    """Draw outlines to the pixel into the decoded canvas, in place; its layers, if asked for."""
    model, plan, source = state.model, state.plan, state.source
    latents, layers = painted
    if layers.count == 1:
        return None
    wrap = plan.request.wrap
    shares, new = pixel_shares(state.canvas, plan, layers), ~source.known
    preserved = preserved_rows(source.paints, layers)
    leaves, colours = _leaves(state, layers, shares), None
    if leaves:
        colours = Colours(leaves, layers, pixels.clone(), new, wrap=wrap)
        colours.decode(model, latents, preserved)
    compose_layers(
        model,
        latents,
        layers,
        shares,
        pixels,
        new,
        matched=not bool(new.all()),
        wrap=wrap,
        preserved=preserved,
        seen=None if colours is None else colours.take,
    )
    if colours is None:
        return None
    return to_layers(leaves, colours.base, pixels, state.canvas.new, plan)


def _leaves(state: _RunState, layers: Layers, shares: Sequence[PixelShare]) -> list[Leaf]:
    """The layers that were asked for, as yet without colours."""
    if not state.plan.request.layered:
        return []
    leaves = leaves_of(layers, shares, state.canvas.masks, state.plan)
    if size_bytes(leaves, state.plan) <= MAX_LAYERS_BYTES:
        return leaves
    state.notices.append(layers_too_large())
    return []


def _notices(state: _RunState, model_cache: ModelCache) -> list[str]:
    """What the artist should know about the finished picture: sentences."""
    request, planned = state.plan.request, state.plan.batch_size
    variant, knows = model_cache.variant_of(request.model), state.model.knows_clip_skip
    about = settings_notices(request, variant, state.batch_size, planned, knows_clip_skip=knows)
    return [*state.notices, *about, *([] if state.remembers else [forgot_steps()])]


def _coherence(plan: Plan, source: CanvasSource, model: Denoiser, layers: Layers) -> list[Steer]:
    """All windows take on the look of the anchor's, whatever kind of windows paints them.

    What starts from something follows that instead: a picture that is extended or mended has the
    look that it has there, and an artist's own colours may change along a region. More than half of
    it evens out what a trained eye sees as well, where LPIPS is installed, which takes far longer.
    """
    if plan.request.task != "generate":
        return []
    where: dict[str, Any] = {"anchor": plan.anchor.width, "wrap": plan.request.wrap}
    windows, free = plan.layout.grid, (source.preserve_cells_until == 0).float() * source.from_noise
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
