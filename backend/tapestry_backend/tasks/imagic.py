"""A picture that the model learns, so that words change it and it stays itself (Imagic).

After Kawar et al. 2023: the embedding of the words is moved until it stands for the picture, then
the model - here a LoRA beside it - until it paints the picture from that embedding; on the way from
there to the words' own embedding the picture does what they say. Two things differ from the paper:
the way begins with the picture's own noise (`engine.inversion`), so that a canvas of any size is
itself at 0, and guidance grows from none with the way.

What was learned is kept on disk: another place on the way costs a painting and nothing else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Edit, Request
from tapestry_protocol.pixels import Bounds
from tapestry_protocol.sentences import Sentence, quoted

from ..engine.inversion import deterministic, invert
from ..engine.learning import Learner, Lesson, Lessons, Shown
from ..engine.multidiffusion import MultiDiffusion, WindowContext
from ..engine.noise_schedule import training_levels
from ..engine.out_of_memory import attempt
from ..models.adapters.learned import LearnedLora
from ..models.denoiser import Denoiser
from ..models.model_cache import ModelCache
from .canvas import preview_rgba
from .canvas_source import RequestedCanvas, read_canvas_source
from .editing import (
    Words,
    changed_share,
    changing_pixels,
    check_variant,
    decode_change,
    regions_as_words,
    words_of,
)
from .events import Finished, Progressed
from .failure_messages import settings_notices
from .finite import check_finite
from .inversion_files import InversionFiles
from .model_loading import load_model
from .plan import make_plan
from .report import Stopwatch, make_report
from .tensor_files import TensorFiles, key_of

_MOST_BYTES = 2**31
"""Of all that was learned. A picture takes 64 MB with Stable Diffusion XL, three times that while
it is learned."""

_ROWS = 4
"""Windows in each step of learning."""

_EMBEDDING_SHARE = 1 / 3
"""Of the steps; the others are the LoRA's."""

_EMBEDDING_RATE, _LORA_RATE = 0.03, 1e-4
"""The first in parts of the embedding's own deviation, which differs from encoder to encoder. Where
it hardly moves (0.001), the LoRA learns that the words' own embedding means the picture, and no
place on the way changes anything."""

_RANK = 8

_KEPT_EVERY_S = 20.0
"""What is lost at most when the power goes."""

_EMBEDDING, _STEPS_DONE = "embedding", "steps_done"

_PARTS = ("", "-missed")
"""How the files of an inversion end."""

_LEARNING = Sentence("learning the picture")


def learned_files(data_folder: Path) -> TensorFiles:
    """Where what was learned is kept."""
    return TensorFiles(data_folder / "learned", _MOST_BYTES)


@dataclass
class _Learned:
    """What is learned: where the words' embedding went [1, T, D], and a LoRA."""

    embedding: Tensor
    lora: LearnedLora

    @property
    def tensors(self) -> dict[str, Tensor]:
        return {_EMBEDDING: self.embedding, **self.lora.tensors}


@dataclass
class _State:
    """What the task has loaded and read.

    clean      the picture's latents [1, C, h, w]
    changing   [H, W] in 0..1: how much of each pixel may change
    own        the row of the words among all encoded texts
    rows       of learning that go through the model at once
    steps_learned    in this run; the others were kept
    reused           whether the picture was taken back to noise by an earlier edit
    """

    edit: Edit
    canvas: RequestedCanvas
    words: Words
    clean: Tensor
    changing: Tensor
    own: int
    watch: Stopwatch
    weights: Path
    rows: int = _ROWS
    spares: bool = False
    steps_learned: int = 0
    reused: bool = False
    loss: float = math.nan

    @property
    def first(self) -> int:
        """The index of the step to begin with."""
        count = len(self.words.steps)
        return count - max(1, round(count * self.words.plan.strength))


def run_imagic(
    request: Request,
    blobs: Mapping[str, bytes],
    model_cache: ModelCache,
    notices: Sequence[str],
    files: TensorFiles | None = None,
    inversions: InversionFiles | None = None,
) -> Iterator[Progressed | Finished]:
    """An edit of this kind from beginning to end; as `run`, with a request that was checked.

    When it is cancelled while it learns, what it has learned so far is kept, and the next one goes
    on from there.
    """
    state = yield from _prepare(request, blobs, model_cache)
    key = _key(state, model_cache)
    with state.watch.stage("learn"):
        learned = yield from _learn(state, files, key)
    with learned.lora.laid_on():
        with state.watch.stage("invert"):
            inverted = yield from _inverted(state, learned, inversions, key)
        with state.watch.stage("denoise"):
            latents = yield from _repaint(state, learned, inverted)
    yield Progressed("decoding")
    words = state.words
    with state.watch.stage("decode"):
        rgba = decode_change(latents, state.changing, state.canvas, words.model, words.plan)
    told = [*notices, *words.texts.notices, *words.conditioning.notices, *state.canvas.notices]
    told += settings_notices(
        request,
        model_cache.variant_of(request.model),
        words.denoise.batch_size,
        words.plan.batch_size,
        knows_clip_skip=words.model.knows_clip_skip,
    )
    report: dict[str, Any] = make_report(words.plan, words.denoise.evaluations, told, state.watch)
    report["edit"] = {
        "method": state.edit.method,
        "changed": changed_share(rgba),
        "inversion_reused": state.reused,
        "interpolation": state.edit.interpolation,
        "learning_steps": state.edit.learning_steps,
        "learned_now": state.steps_learned,
    }
    if state.steps_learned:
        report["edit"]["loss"] = state.loss
    yield Finished(rgba, Bounds(0, 0, request.height, request.width), report)


def _prepare(
    request: Request, blobs: Mapping[str, bytes], model_cache: ModelCache
) -> Generator[Progressed, None, _State]:
    check_variant(request.model, model_cache)
    watch = Stopwatch()
    model = yield from load_model(request, model_cache, watch)
    _check_learns(request, model)
    with watch.stage("encode"):
        edit = request.edit or Edit("imagic")
        scale = 1 + edit.interpolation * (request.guidance_scale - 1)
        wanted = replace(regions_as_words(request), guidance_scale=max(0.0, scale))
        plan = make_plan(wanted, model)
        canvas = read_canvas_source(wanted, blobs, plan)
        words = words_of(wanted, model, blobs, model_cache, canvas)
        known = canvas.source.preserved_latents(model)
        if known is None:
            raise TypeError("the request was checked for its picture")
        changing = changing_pixels([True], (), canvas, plan)
    own = words.texts.region_prompts[-1].condition
    weights = model_cache.catalogue.find(request.model).path
    return _State(edit, canvas, words, known.latents, changing, own, watch, weights)


def _check_learns(request: Request, model: Denoiser) -> None:
    """Raises TapestryError for models that match flows: their way back to noise is another one."""
    if not hasattr(model.make_scheduler(), "alphas_cumprod"):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence("The model {name} cannot learn a picture.", name=quoted(request.model)),
            "Choose another method, or a checkpoint of Stable Diffusion 1, 2 or XL that was not "
            "made for few steps.",
        )


def _key(state: _State, model_cache: ModelCache) -> str:
    """What is learned depends on this, and not on how far the words then count."""
    words, expert = state.words, state.words.plan.request.expert
    loras = []
    for lora in words.plan.regions[-1].loras:
        path = model_cache.catalogue.adapters.find(lora.adapter, "lora").path
        loras.append((lora, path.stat().st_size, path.stat().st_mtime_ns))
    settings = (
        *("imagic", words.plan.request.model, words.plan.dtype, state.clean.device.type),
        *(words.plan.window, expert.framing, words.plan.request.clip_skip, loras),
        *(_ROWS, _RANK, _EMBEDDING_RATE, _LORA_RATE, state.edit.learning_steps),
    )
    tensors = [state.clean, words.texts.conditions[state.own], _counts(state)]
    return key_of(tensors, settings, state.weights)


def _counts(state: _State) -> Tensor:
    """[h, w]: 1 where a cell is of the picture, and near what may change."""
    plan = state.words.plan
    inside = torch.zeros_like(state.changing)
    place = plan.document
    inside[place.top : place.bottom, place.left : place.right] = 1
    near = functional.max_pool2d((state.changing > 0).float()[None, None], plan.cell_px)
    whole = functional.max_pool2d(inside[None, None], plan.cell_px)
    return (near * whole)[0, 0]


def _learn(
    state: _State, files: TensorFiles | None, key: str
) -> Generator[Progressed, None, _Learned]:
    """What was learned of this picture earlier, and what is left of it."""
    model, plan = state.words.model, state.words.plan
    target = state.words.texts.conditions[state.own, None].float()
    learned = _Learned(target.clone(), model.new_lora(_RANK))
    total = state.edit.learning_steps
    first = max(1, round(total * _EMBEDDING_SHARE))
    is_half = model.dtype == torch.float16
    learners = [
        Learner(
            {_EMBEDDING: learned.embedding}, _EMBEDDING_RATE * float(target.std()), is_half=is_half
        ),
        Learner(learned.lora.tensors, _LORA_RATE, is_half=is_half),
    ]
    done = _restore(learners, files.find(key) if files else None, first)
    if done >= total:
        return learned
    lessons = Lessons(
        *([Shown(state.clean, _counts(state))], plan.window),
        training_levels(model.make_scheduler("ddim")),
        rows=_ROWS,
        seed=0,
    )
    yield Progressed("learning", done, total)
    kept_at, kept = time.monotonic(), done
    try:
        while done < total:
            learner = learners[done >= first]
            state.loss = _learn_one(state, learner, lessons.at(done), learned)
            done += 1
            state.steps_learned += 1
            yield Progressed("learning", done, total)
            if files and time.monotonic() - kept_at > _KEPT_EVERY_S:
                _keep(files, key, learners, done, total)
                kept_at, kept = time.monotonic(), done
    finally:  # cancelled, too
        if files and done > kept:
            _keep(files, key, learners, done, total)
        for tensor in learned.tensors.values():
            tensor.requires_grad = False
    return learned


def _learn_one(state: _State, learner: Learner, lesson: Lesson, learned: _Learned) -> float:
    """One step; with fewer windows at a time, or more computing, where memory gives out."""
    words, model = state.words, state.words.model
    canvas, framed = words.plan.canvas, words.plan.request.expert.framing == "canvas"
    learns_words = _EMBEDDING in learner.tensors
    embedding = learned.embedding if learns_words else learned.embedding.detach()

    def loss_of(part: Lesson) -> Tensor:
        contexts = [WindowContext(window, canvas, framed) for window in part.windows]
        conditions = embedding.expand(len(part.windows), -1, -1)
        return part.loss(
            model.predict_with_gradient(part.noisy, part.timesteps, conditions, contexts)
        )

    def learn() -> float:
        with ExitStack() as stack:
            stack.enter_context(words.conditioning.activated_for(words.plan.regions[-1]))
            if not learns_words:
                stack.enter_context(learned.lora.laid_on())
            return learner.learn(lesson, loss_of, state.rows)

    while (found := attempt(learn)) is None:
        if state.rows > 1:
            state.rows //= 2
        elif not state.spares:
            state.spares = True
            model.spare_gradients()
        else:
            raise TapestryError(
                ErrorCode.OUT_OF_MEMORY,
                "There is not enough memory for this model to learn a picture: that takes more "
                "than painting one.",
                "Close other programs that use the graphics card or much memory, choose a smaller "
                "model, or another method.",
            )
    check_finite(torch.tensor(found[0]), _LEARNING)
    return found[0]


def _keep(files: TensorFiles, key: str, learners: Sequence[Learner], done: int, total: int) -> None:
    """Keep what was learned; how to go on, too, until all of it is."""
    tensors: dict[str, Tensor] = {}
    for learner in learners:
        tensors |= learner.state() if done < total else learner.tensors
    if all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        files.keep(key, {**tensors, _STEPS_DONE: torch.tensor([float(done)])})


def _restore(learners: Sequence[Learner], kept: Mapping[str, Tensor] | None, first: int) -> int:
    """Go on from what was kept; gives the steps that are done."""
    if kept is None:
        return 0
    wanted = {name: tensor for learner in learners for name, tensor in learner.tensors.items()}
    if any(name not in kept or kept[name].shape != wanted[name].shape for name in wanted):
        return 0
    done = int(kept.get(_STEPS_DONE, torch.zeros(1))[0])
    embedding, lora = learners
    embedding.restore(kept, min(done, first))
    lora.restore(kept, max(0, done - first))
    return done


class _Inverted(NamedTuple):
    """The picture at every noise level, and what a step from each misses of the next.

    Both [1, C, h, w] by the index of the step that begins there. What is missed is small, and
    without it a picture in few steps would not quite be itself (Ju et al. 2023).
    """

    levels: dict[int, Tensor]
    missed: dict[int, Tensor]


def _inverted(
    state: _State, learned: _Learned, inversions: InversionFiles | None, key: str
) -> Generator[Progressed, None, _Inverted]:
    """The picture taken back to noise, as what was learned of it."""
    words, request = state.words, state.words.plan.request
    tensors = [learned.embedding, state.canvas.source.weights, state.canvas.source.new]
    settings = key, words.plan.layout, len(words.steps), state.first
    found_by = key_of(tensors, settings, state.weights)
    files = None if request.all_controls else inversions
    kept = [files.find(found_by + part) for part in _PARTS] if files else []
    if kept and all(part is not None for part in kept):
        state.reused = True
        return _Inverted(
            *({i: each.to(state.clean) for i, each in (part or {}).items()} for part in kept)
        )
    inverted = yield from _invert(state, learned)
    for part, tensors_of in zip(_PARTS, inverted, strict=True):
        if files:
            files.keep(found_by + part, tensors_of)
    return inverted


def _invert(state: _State, learned: _Learned) -> Generator[Progressed, None, _Inverted]:
    words, count = state.words, len(state.words.steps)
    unguided = [prompt._replace(guidance_scale=1.0) for prompt in words.denoise.region_prompts]
    denoise = replace(_with(state, learned.embedding), region_prompts=unguided)
    levels, missed = {count: state.clean}, {}
    yield Progressed("inverting")
    for index, latents in invert(denoise, words.steps, state.clean, first=state.first):
        check_finite(latents, "taking the picture back to noise")
        levels[index] = latents
        step = next(deterministic(denoise, words.steps, latents, first=index))
        missed[index + 1] = levels[index + 1] - step.latents
        yield Progressed("inverting", count - index, count - state.first)
    words.denoise.evaluations += denoise.evaluations
    return _Inverted(levels, missed)


def _repaint(
    state: _State, learned: _Learned, inverted: _Inverted
) -> Generator[Progressed, None, Tensor]:
    """From the picture's noise to what it becomes: latents [1, C, h, w]."""
    words = state.words
    target = words.texts.conditions[state.own, None].float()
    denoise = _with(state, learned.embedding.lerp(target, state.edit.interpolation))
    cell = words.plan.cell_px
    free = functional.max_pool2d((state.changing > 0).float()[None, None], cell)
    free = free.to(state.clean) > 0

    held = max(0.0, 1 - state.edit.interpolation)

    def blend(latents: Tensor, index: int) -> Tensor:
        return torch.where(free, latents + held * inverted.missed[index], inverted.levels[index])

    begin = inverted.levels[state.first]
    steps = deterministic(denoise, words.steps, begin, first=state.first, blend=blend)
    yield Progressed("denoising")
    for step in steps:
        check_finite(
            step.latents,
            Sentence("{stage} (step {step})", stage=Sentence("denoising"), step=step.number),
        )
        latents = step.latents
        look = partial(_preview, state, step.denoised)
        yield Progressed("denoising", step.number, step.num_steps, look)
    words.denoise.evaluations += denoise.evaluations
    words.denoise.batch_size = min(words.denoise.batch_size, denoise.batch_size)
    return latents


def _with(state: _State, embedding: Tensor) -> MultiDiffusion:
    """The same windows, whose words are this embedding [1, T, D]."""
    plain = state.words.denoise
    conditions = plain.conditions.clone()
    conditions[state.own] = embedding[0].to(conditions)
    return replace(plain, conditions=conditions)


def _preview(state: _State, denoised: Tensor) -> Any:
    return preview_rgba(state.words.model.preview(denoised), state.words.plan)
