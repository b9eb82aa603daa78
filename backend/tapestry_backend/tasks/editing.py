"""A picture edited with words: taken back to noise by what it shows, and on by what it shall show.

DiffEdit (Couairon et al. 2023) finds where the two differ and paints there alone; Prompt-to-Prompt
(Hertz et al. 2023) keeps the shapes besides; DDIB (Su et al. 2023) turns the whole into another
picture. All three invert the picture (Song et al. 2021), with every window and region.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Edit, Region, Request
from tapestry_protocol.pixels import Bounds, Pixels
from tapestry_protocol.request_checks import is_same
from tapestry_protocol.sentences import Sentence, quoted

from ..engine.difference import Sample, is_shown, prediction_errors, shown_map
from ..engine.inversion import deterministic, invert
from ..engine.multidiffusion import MultiDiffusion
from ..engine.noise import canvas_noise
from ..engine.noise_schedule import SamplingStep, sampling_steps
from ..engine.regions import PaintedMask
from ..models.attention_pairs import TokenMap
from ..models.denoiser import Denoiser
from ..models.model_cache import ModelCache
from ..models.schedulers import predicts_flow
from .canvas import cut_output, painted_masks, preview_rgba, to_rgba
from .canvas_source import RequestedCanvas, read_canvas_source, visible_shares
from .conditioning import Conditioning
from .decoding import decode_beside, decode_canvas
from .denoising_pass import DenoisingPass, Texts
from .events import Finished, Progressed
from .failure_messages import settings_notices
from .finite import check_finite
from .inversion_files import InversionFiles
from .model_loading import load_model
from .plan import Plan, make_plan
from .prompt_to_prompt import ShapeKeeper
from .report import Stopwatch, make_report
from .tensor_files import key_of

_NOISES = 10
"""How many noises a map is the mean of (DiffEdit's value)."""

_NOISED_BY = (0.5, 0.7)
"""How far the picture is noised for a map, in turn. Over twelve pictures of two materials the map's
overlap with the true region (IoU) was 0.90 at either, and 0.93 with both."""

_NOISES_SEED = 7
"""A map's noises do not depend on the request's seed: the same words find the same place."""

_ALIKE_DB, _AKIN_DB = 30.0, 20.0
"""From here on a picture that was turned back looks as it did, or much like it."""


def run_edit(
    request: Request,
    blobs: Mapping[str, bytes],
    model_cache: ModelCache,
    notices: Sequence[str],
    inversions: InversionFiles | None = None,
) -> Iterator[Progressed | Finished]:
    """An edit from beginning to end; as `run`, with a request that was checked."""
    edit = request.edit or Edit()
    state = yield from _prepare(request, edit, blobs, model_cache, notices)
    changing = _changing(state)
    where = None
    if edit.map_only or (edit.method != "ddib" and edit.threshold > 0):
        with state.watch.stage("compare"):
            where = yield from _compare(state)
    if edit.map_only and where is not None:
        yield Finished(_grey(where * changing, state.plan), _bounds(request), _report(state))
        return
    if where is not None:
        changing = changing * _outlined(where, edit.threshold, state.plan)
    if not bool((changing > 0).any()):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "Nothing in the picture differs between these words.",
            "Name what the picture shows there, and what it shall become; or lower the threshold.",
        )
    inverting = model_cache.catalogue.find(edit.source_model or request.model)
    with state.watch.stage("invert"):
        levels = yield from _levels(state, inversions, inverting.path)
    with state.watch.stage("denoise"):
        latents = yield from _repaint(state, levels, changing)
    if edit.cycle:
        with state.watch.stage("turn_back"):
            yield from _turn_back(state, latents)
    yield Progressed("decoding")
    with state.watch.stage("decode"):
        rgba = decode_change(latents, changing, state.canvas, state.model, state.plan)
    report = _report(state)
    report["edit"] |= {"changed": changed_share(rgba), "inversion_reused": state.reused}
    yield Finished(rgba, _bounds(request), report)


def decode_change(
    latents: Tensor, changing: Tensor, canvas: RequestedCanvas, model: Denoiser, plan: Plan
) -> Pixels:
    """Latents [1, C, h, w] as an RGBA picture, transparent where nothing has changed.

    changing [H, W] in 0..1: how much of each pixel has.
    """
    source = replace(canvas.source, preserve_until=(changing == 0).float())
    pixels = decode_beside(model, latents, source, wrap=plan.request.wrap).cpu()
    return to_rgba(cut_output(pixels, plan)[0], cut_output(changing, plan))


def changed_share(rgba: Pixels) -> float:
    """The share of a result's pixels that are not transparent."""
    alpha = np.frombuffer(rgba.data, np.uint8)[3::4]
    return np.count_nonzero(alpha) / len(alpha)


@dataclass(frozen=True)
class Words:
    """A plan's prompts, what predicts a canvas by them, and the steps of all the way from noise."""

    model: Denoiser
    plan: Plan
    texts: Texts
    conditioning: Conditioning
    denoise: MultiDiffusion
    steps: list[SamplingStep]


@dataclass
class _EditState:
    """What an edit has loaded and read.

    before, after    the words for what is there, and for what it shall become
    no_words         no words at all
    maps             "p2p": for each region, what attention to the words before means for those
                     after
    clean            the picture's latents [1, C, h, w], for what is there
    places           of the regions, with the outlines that they are painted with
    reused           whether the picture was taken back to noise by an earlier edit
    first            the index of the step to begin with
    variant          of the checkpoint
    batch_size       the smallest that was used; below the plan's where memory ran out
    """

    edit: Edit
    canvas: RequestedCanvas
    before: Words
    after: Words
    no_words: Words
    maps: Sequence[TokenMap]
    clean: Tensor
    places: Sequence[PaintedMask]
    first: int
    watch: Stopwatch
    notices: list[str]
    variant: str
    batch_size: int
    evaluations: int = 0
    reused: bool = False
    cycle_db: float | None = None

    @property
    def model(self) -> Denoiser:
        """The one that paints."""
        return self.after.model

    @property
    def plan(self) -> Plan:
        """The plan of what it shall become; that of what is there differs in its prompts alone."""
        return self.after.plan

    def count(self, *denoise: MultiDiffusion | ShapeKeeper) -> None:
        """Note what has gone through the model, and how much at once."""
        self.evaluations += sum(each.evaluations for each in denoise)
        self.batch_size = min(self.batch_size, *(each.batch_size for each in denoise))


def _prepare(
    request: Request,
    edit: Edit,
    blobs: Mapping[str, bytes],
    model_cache: ModelCache,
    notices: Sequence[str],
) -> Generator[Progressed, None, _EditState]:
    """Load the model, read the canvas, encode picture and prompts."""
    for name in {request.model, edit.source_model or request.model}:
        check_variant(name, model_cache)
    watch, inverts = Stopwatch(), None
    if edit.source_model not in {"", request.model}:
        other = replace(request, model=edit.source_model, clip_skip=0)
        inverts = yield from load_model(other, model_cache, watch)
    model = yield from load_model(request, model_cache, watch)
    with watch.stage("encode"):
        wanted = regions_as_words(request)
        plan = make_plan(wanted, model)
        canvas = read_canvas_source(wanted, blobs, plan)
        given = (blobs, model_cache, canvas)
        names = [source_of(region) for region in wanted.regions]
        now = _with_prompts(wanted, edit.source_prompt, names)
        if inverts is not None:
            now = _plain(now, edit.source_model)
            _check_same_noise(make_plan(now, inverts), inverts, plan, model)
        before = words_of(now, inverts or model, *given)
        no_words = words_of(_with_prompts(wanted, "", [""] * len(names)), model, *given)
        after = words_of(wanted, model, *given)
        maps = _token_maps(model, before.plan, plan) if edit.method == "p2p" else ()
        known = canvas.source.preserved_latents(before.model)
        if known is None:
            raise TypeError("the request was checked for its picture")
    told = [*notices, *after.texts.notices, *after.conditioning.notices, *canvas.notices]
    count = len(after.steps)
    return _EditState(
        edit,
        canvas,
        before,
        after,
        no_words,
        maps,
        known.latents,
        places_of(wanted, blobs, plan),
        count - max(1, round(count * plan.strength)),
        watch,
        told,
        model_cache.variant_of(request.model),
        plan.batch_size,
    )


def _token_maps(model: Denoiser, before: Plan, after: Plan) -> list[TokenMap]:
    return [
        model.token_map(now.prompt, wanted.prompt)
        for now, wanted in zip(before.regions, after.regions, strict=True)
    ]


def _plain(request: Request, model: str) -> Request:
    """The same for another model, which has none of its adapters."""
    regions = (replace(region, loras=(), controls=()) for region in request.regions)
    return replace(request, model=model, regions=tuple(regions), loras=(), controls=(), clip_skip=0)


def _check_same_noise(one: Plan, inverts: Denoiser, other: Plan, paints: Denoiser) -> None:
    """Raises TapestryError where the noise of one model is none for the other."""
    kinds = [
        (plan.canvas, plan.origin, plan.cell_px, model.channels)
        for plan, model in ((one, inverts), (other, paints))
    ]
    if kinds[0] != kinds[1]:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "The noise of {source} is none for {target}: their latents differ.",
                source=quoted(one.request.model),
                target=quoted(other.request.model),
            ),
            "Choose two models of one family, and of one size.",
        )


def check_variant(name: str, model_cache: ModelCache) -> None:
    """Raises TapestryError for a checkpoint that cannot invert a picture."""
    if model_cache.variant_of(name) == "inpaint":
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "A checkpoint for inpainting edits no pictures with words.",
            "Choose a checkpoint that paints from a prompt.",
        )


def regions_as_words(request: Request) -> Request:
    """The same, whose regions are nothing but words for a place: their outlines are there."""
    return replace(
        request,
        regions=tuple(
            replace(region, fit="loose", strength=1.0, paint=None) for region in request.regions
        ),
        composition=0.0,
        coherence=0.0,
        layered=False,
        expert=replace(request.expert, bootstrapping=0.0, windows="overlap"),
    )


def _with_prompts(request: Request, prompt: str, of_regions: Sequence[str]) -> Request:
    """The same with other words for background and regions, which nothing is guided by."""
    regions = (
        replace(region, prompt=words, negative_prompt=None, guidance_scale=None)
        for region, words in zip(request.regions, of_regions, strict=True)
    )
    return replace(
        request, prompt=prompt, negative_prompt="", guidance_scale=1.0, regions=tuple(regions)
    )


def source_of(region: Region) -> str:
    """What the picture shows in a region now."""
    return region.prompt if region.source_prompt is None else region.source_prompt


def words_of(
    request: Request,
    model: Denoiser,
    blobs: Mapping[str, bytes],
    model_cache: ModelCache,
    canvas: RequestedCanvas,
) -> Words:
    """What predicts a canvas by a request's words, with all that it needs."""
    plan = make_plan(request, model)
    conditioning = Conditioning(request, blobs, plan, model, model_cache.catalogue.adapters)
    texts = Texts.encode(plan, model, conditioning)
    check_finite(texts.conditions, "reading the prompts")
    passing = DenoisingPass(plan, model, texts, conditioning, canvas.source, plan.layout)
    return Words(model, plan, texts, conditioning, passing.denoise, _steps(plan, model))


def _steps(plan: Plan, model: Denoiser) -> list[SamplingStep]:
    """Those of a scheduler without noise of its own, which leads back as well."""
    flows = predicts_flow(model.make_scheduler("checkpoint", plan.window))
    scheduler = model.make_scheduler("flow_euler" if flows else "ddim", plan.window)
    scheduler.set_timesteps(plan.request.num_inference_steps)
    return sampling_steps(scheduler)


def _changing(state: _EditState) -> Tensor:
    """[H, W] in 0..1: how much of each pixel may change, since it has other words than before."""
    request = state.plan.request
    has_other_words = [not is_same(source_of(region), region.prompt) for region in request.regions]
    has_other_words.append(not is_same(state.edit.source_prompt, request.prompt))
    if state.before.model is not state.model:  # which paints the same words in its own way
        has_other_words = [True] * len(has_other_words)
    return changing_pixels(has_other_words, state.places, state.canvas, state.plan)


def places_of(request: Request, blobs: Mapping[str, bytes], plan: Plan) -> Sequence[PaintedMask]:
    """Where the regions' paint is on the canvas, topmost first: words are soft, places are not."""
    regions = tuple(replace(region, fit="tight") for region in request.regions)
    return painted_masks(replace(request, regions=regions), blobs, plan)


def changing_pixels(
    changes: Sequence[bool], places: Sequence[PaintedMask], canvas: RequestedCanvas, plan: Plan
) -> Tensor:
    """[H, W] in 0..1: how much of each pixel is selected, and of a region that changes.

    changes: whether each region does, and the background as the last. places: `places_of` them.
    Raises TapestryError where nothing is left.
    """
    if canvas.new is None:
        raise TypeError("an edit has a picture")
    if not bool((canvas.new > 0).any()):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "Nothing is selected.",
            "Select what shall be painted anew; what is transparent stays so.",
        )
    changing = torch.zeros_like(canvas.new)
    for share, does in zip(visible_shares(places, plan), changes, strict=True):
        if does:
            share.part_of(changing).add_(share.values)
    changing = changing.clamp(0, 1) * canvas.new
    if not bool((changing > 0).any()):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "Nothing is seen of the layers that shall change, or nothing of them is selected.",
            "Select what shall be painted anew, or hide the layers that lie over it.",
        )
    return changing


def _compare(state: _EditState) -> Generator[Progressed, None, Tensor]:
    """Where the picture shows what it is said to show, and not what it shall: [H, W] in 0..1."""
    yield Progressed("comparing")
    found = []
    others = [_unguided(state.after), _unguided(state.no_words)]
    for errors in prediction_errors([state.before.denoise, *others], state.clean, _samples(state)):
        check_finite(errors, "comparing the words")
        found.append(errors)
        yield Progressed("comparing", len(found), _NOISES)
    state.count(*others)
    words = state.edit.source_prompt.strip()
    if words and not state.plan.regions[:-1] and not is_shown(found):
        state.notices.append(
            Sentence(
                "The model does not clearly see {name} in this picture: the place is a guess.",
                name=quoted(words[:40]),
            )
        )
    shown = shown_map(found)
    if not words and not bool(shown.any()):  # it shows nothing yet of what it shall become
        shown = torch.ones_like(shown)
    return _in_pixels(shown, state.plan)


def _samples(state: _EditState) -> Iterator[Sample]:
    for number in range(_NOISES):
        noised_by = _NOISED_BY[number % len(_NOISED_BY)]
        seed, plan = _NOISES_SEED + number, state.plan
        noise = canvas_noise(seed, state.model.channels, plan.canvas, plan.origin).to(state.clean)
        steps = state.before.steps
        yield Sample(noise, steps[round((1 - noised_by) * len(steps))])


def _unguided(words: Words) -> MultiDiffusion:
    prompts = [prompt._replace(guidance_scale=1.0) for prompt in words.denoise.region_prompts]
    return replace(words.denoise, region_prompts=prompts)


def _in_pixels(where: Tensor, plan: Plan) -> Tensor:
    """A map of cells [h, w] -> of pixels [H, W]."""
    size = [side * plan.cell_px for side in where.shape]
    return functional.interpolate(where[None, None], size, mode="bilinear")[0, 0]


def _outlined(where: Tensor, threshold: float, plan: Plan) -> Tensor:
    """What of a map [H, W] is above the threshold, in 0..1 with soft outlines."""
    cell = plan.cell_px
    chosen = (where >= threshold).float()[None, None]
    around = functional.pad(chosen, (cell // 2,) * 4, mode="replicate")
    return functional.avg_pool2d(around, cell | 1, stride=1)[0, 0]


def _levels(
    state: _EditState, inversions: InversionFiles | None, weights: Path
) -> Generator[Progressed, None, dict[int, Tensor]]:
    """The picture at every noise level: from an earlier edit, or by inverting it."""
    request = state.before.plan.request
    if inversions is None or request.all_loras or request.all_controls:
        return (yield from _invert(state))
    key = key_of(*_depends_on(state), weights)
    kept = inversions.find(key)
    if kept is not None:
        state.reused = True
        return {index: latents.to(state.clean) for index, latents in kept.items()}
    levels = yield from _invert(state)
    inversions.keep(key, levels)
    return levels


def _depends_on(state: _EditState) -> tuple[list[Tensor], object]:
    """What an inversion without adapters depends on: tensors, and everything else."""
    plan, texts = state.before.plan, state.before.texts
    source = state.canvas.source
    levels = [
        (step.timestep.item(), step.alpha, step.sigma, step.kind) for step in state.before.steps
    ]
    settings = (
        *(plan.request.model, plan.dtype, state.clean.device.type),
        *(plan.layout, plan.request.expert, plan.request.clip_skip),
        *(texts.region_prompts, levels, state.first),
    )
    return [state.clean, texts.conditions, source.weights, source.new], settings


def _invert(state: _EditState) -> Generator[Progressed, None, dict[int, Tensor]]:
    """The picture at every noise level, by the index of the step that begins there."""
    steps = state.before.steps
    count = len(steps)
    levels = {count: state.clean}
    yield Progressed("inverting")
    for index, latents in invert(state.before.denoise, steps, state.clean, first=state.first):
        check_finite(latents, "taking the picture back to noise")
        levels[index] = latents
        yield Progressed("inverting", count - index, count - state.first)
    return levels


def _repaint(
    state: _EditState, levels: Mapping[int, Tensor], changing: Tensor
) -> Generator[Progressed, None, Tensor]:
    """From the noise that became the picture to what it shall be: latents [1, C, h, w]."""
    cell = state.plan.cell_px
    free = functional.max_pool2d((changing > 0).float()[None, None], cell).to(state.clean) > 0
    denoise = state.after.denoise
    keeper = _shape_keeper(state, levels) if state.edit.method == "p2p" else None

    def blend(latents: Tensor, index: int) -> Tensor:
        if state.before.model is not state.model:
            return latents  # the levels in between are another model's own
        return torch.where(free, latents, levels[index])

    steps = deterministic(
        keeper or denoise, state.after.steps, levels[state.first], first=state.first, blend=blend
    )
    yield Progressed("denoising")
    for step in steps:
        check_finite(
            step.latents,
            Sentence("{stage} (step {step})", stage=Sentence("denoising"), step=step.number),
        )
        latents = step.latents
        yield Progressed(
            "denoising", step.number, step.num_steps, partial(_preview, state, step.denoised)
        )
    if keeper is not None:
        state.count(keeper)
    return latents


def _turn_back(state: _EditState, latents: Tensor) -> Generator[Progressed, None, None]:
    """Turn the result [1, C, h, w] back into what was there, and note how near that comes."""
    source, wrap = state.canvas.source, state.plan.request.wrap
    count = len(state.after.steps)
    made = decode_canvas(state.model, latents, wrap=wrap)
    seen = replace(source, pixels=made.to(source.pixels)).preserved_latents(state.model)
    if source.pixels is None or seen is None:
        raise TypeError("the request was checked for its picture")
    back = _unguided(state.after)
    noise = seen.latents
    yield Progressed("inverting")
    for index, noise in invert(back, state.after.steps, seen.latents, first=state.first):
        check_finite(noise, "taking the picture back to noise")
        yield Progressed("inverting", count - index, count - state.first)
    yield Progressed("denoising")
    steps = deterministic(state.before.denoise, state.before.steps, noise, first=state.first)
    for step in steps:
        check_finite(step.latents, "turning the picture back")
        noise = step.latents
        yield Progressed("denoising", step.number, step.num_steps)
    state.count(back)
    again = decode_canvas(state.before.model, noise, wrap=wrap).cpu()
    there = cut_output(source.pixels[0].cpu(), state.plan)
    error = (cut_output(again[0], state.plan).clamp(0, 1) - there).square().mean()
    state.cycle_db = -10 * math.log10(max(float(error), 1e-10))


def _shape_keeper(state: _EditState, levels: Mapping[int, Tensor]) -> ShapeKeeper:
    before, after = state.before, state.after
    texts = before.texts, after.texts
    return ShapeKeeper(
        state.edit, state.model, *texts, state.maps, after.denoise, levels, state.first
    )


def _preview(state: _EditState, denoised: Tensor) -> Pixels:
    return preview_rgba(state.model.preview(denoised), state.plan)


def _grey(where: Tensor, plan: Plan) -> Pixels:
    return to_rgba(cut_output(where, plan).expand(3, -1, -1))


def _report(state: _EditState) -> dict[str, Any]:
    state.count(state.before.denoise, state.after.denoise)
    about = settings_notices(
        state.plan.request,
        state.variant,
        state.batch_size,
        state.plan.batch_size,
        knows_clip_skip=state.model.knows_clip_skip,
    )
    notices = [*state.notices, *about]
    if state.cycle_db is not None:
        notices.append(_how_near(state.cycle_db))
    report = make_report(state.plan, state.evaluations, notices, state.watch)
    report["edit"] = {"method": state.edit.method}
    if state.cycle_db is not None:
        report["edit"]["cycle_db"] = state.cycle_db
    return report


def _how_near(cycle_db: float) -> Sentence:
    near = f"{cycle_db:.1f}"
    if cycle_db >= _ALIKE_DB:
        return Sentence("Turned back, the picture looks as it did before ({db} dB).", db=near)
    if cycle_db >= _AKIN_DB:
        return Sentence(
            "Turned back, the picture is much the same, and differs in details ({db} dB).", db=near
        )
    return Sentence("Turned back, the picture is clearly another one ({db} dB).", db=near)


def _bounds(request: Request) -> Bounds:
    return Bounds(0, 0, request.height, request.width)
