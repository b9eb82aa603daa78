"""A model is taught a word from examples, by the loop of `engine.learning`.

DreamBooth with a LoRA, textual inversion, Custom Diffusion or Perfusion: what each learns is in
`teaching_methods`. Each step shows windows of the examples behind noise, and counts only what is
painted there. What changes the network is also shown what it must not forget: pictures that it
paints itself for words that are near (Ruiz et al. 2023), and in turn what it predicts for others.

A step depends on its number alone, and what was learned is kept every few seconds: what was stopped
goes on from there, also when it was killed.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.files import write_whole
from tapestry_protocol.limits import MAX_LEARNING_STEPS
from tapestry_protocol.messages import Request, Teach
from tapestry_protocol.pixels import Bounds, Pixels
from tapestry_protocol.sentences import Sentence, quoted

from ..checkpoints.taught import Card, taught_path
from ..engine.learning import Learner, Lesson, Lessons, Shown
from ..engine.multidiffusion import WindowContext
from ..engine.noise_schedule import model_input, pure_noise, training_levels
from ..engine.out_of_memory import attempt
from ..engine.windows import Size
from ..models.adapters.taught_files import taught_file
from ..models.denoiser import Denoiser
from ..models.model_cache import ModelCache
from .events import Finished, Progressed
from .finite import check_finite
from .model_loading import load_model
from .report import Stopwatch
from .teaching_examples import read_examples, shown_examples, variants_of
from .teaching_methods import Student, student_of
from .teaching_optimiser import Optimiser, optimiser_for
from .teaching_pictures import curve_beside
from .teaching_room import check_memory, check_room
from .tensor_files import TensorFiles, key_of

_MOST_BYTES = 2**32
"""Of all that is half learned; a LoRA of Stable Diffusion XL takes 300 MB with its moments."""

_ROWS, _KEPT_ROWS = 4, 2
"""Windows of the examples in each step, and of what is not to be forgotten."""

_OWN_PICTURES = 6
"""That the model paints for the words that the new one is like."""

_DECAY = 1e-2
"""Of weights, as diffusers' scripts have it."""

_KEPT_EVERY_S = 15.0
"""What is lost at most when the power goes."""

_SAMPLES, _LEAST_BETWEEN_S = 8, 20.0
"""Pictures on the way, and how far apart they lie at least."""

_SAMPLE_STEPS, _SAMPLE_SCALE = 12, 5.0
_CURVE_POINTS = 200
_STEPS_DONE, _SECONDS, _LOSSES = "steps_done", "seconds", "losses"
_CLEAN = "clean"

OTHER_TEXTS = (
    *("", "a landscape", "a portrait of a woman", "a house", "a tree", "a city street"),
    *("the sea", "a cat", "an abstract painting", "a stone wall", "grass", "the sky"),
)
"""What words mean that the new one is not like shall stay as well."""

_LEARNING = Sentence("learning the word")

Paint = Callable[[Request], Iterator[Progressed | Finished]]
"""Paints a request; given by who may import the whole."""


def half_learned_files(data_folder: Path) -> TensorFiles:
    """Where what is being taught is kept."""
    return TensorFiles(data_folder / "teaching", _MOST_BYTES)


@dataclass
class _State:
    """What the task has loaded and read, and how far it is.

    shown, kept    the examples, and the model's own pictures; their texts are numbers in `prompts`
    rows           that go through the model at once
    losses         of every step so far
    """

    request: Request
    teach: Teach
    model: Denoiser
    student: Student
    learner: Learner
    shown: Sequence[Shown]
    prompts: Sequence[str]
    others: Sequence[str]
    path: Path
    kept: Sequence[Shown] = ()
    clock: Callable[[], float] = time.monotonic
    optimiser: Optimiser = field(default_factory=lambda: optimiser_for(torch.device("cpu")))
    rows: int = _ROWS
    spares: bool = False
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    picture: Pixels | None = None

    @property
    def window(self) -> Size:
        return Size(self.model.window, self.model.window)

    @property
    def total_s(self) -> float:
        return 60 * self.teach.minutes


def run_teaching(
    request: Request,
    blobs: Mapping[str, bytes],
    model_cache: ModelCache,
    paint: Paint,
    files: TensorFiles | None = None,
    output: Path | None = None,
    clock: Callable[[], float] | None = None,
) -> Iterator[Progressed | Finished]:
    """Teach, write the file, and paint the word; `request` was checked.

    files     what is half learned, for the next time; without them nothing of a job that is stopped
              is left
    output    the file; None: in the models folder, called as the word
    clock     seconds by which the minutes are counted; None: those that pass

    Raises TapestryError before the wait for whatever can be known by then.
    """
    teach = request.teach
    if teach is None:
        raise TypeError("the request was checked for what is taught")
    watch, path = Stopwatch(), output or taught_path(teach.word, teach.method)
    entry = model_cache.catalogue.find(request.model)
    model = yield from load_model(request, model_cache, watch)
    with watch.stage("encode"):
        examples = read_examples(teach, blobs, model.cell_px)
        others = [*entry.materials, *OTHER_TEXTS] if entry.materials else list(OTHER_TEXTS)
    with student_of(model, teach) as student:
        optimiser = optimiser_for(model.device)
        check_memory(model, student, entry, teach, _ROWS, optimiser)
        check_room(path, student)
        prompts = [*student.prompts, teach.like]
        with watch.stage("encode"):
            variants = list(variants_of(examples, teach))
            encoded = shown_examples(variants, model, 0)
            shown = [
                each._replace(text=text)
                for each, text in itertools.product(encoded, range(len(student.prompts)))
            ]
        learner = Learner(
            student.tensors,
            student.rate,
            rates=student.rates,
            decay=_DECAY,
            is_half=model.dtype == torch.float16,
            optimiser=optimiser.make,
        )
        state = _State(request, teach, model, student, learner, shown, prompts, others, path)
        state.clock, state.optimiser = clock or time.monotonic, optimiser
        key = _key(state, encoded, entry.path)
        _restore(state, files.find(key) if files else None)
        _check_learned(state)
        if state.seconds < state.total_s:
            state.kept = yield from _own_pictures(state, paint, files, entry.path)
        with watch.stage("learn"):
            yield from _learn(state, files, key)
        _write(state)
    model_cache.catalogue.adapters.add_taught(path)
    yield from _finish(state, model_cache, paint, examples_of(teach))


def examples_of(teach: Teach) -> tuple[str, ...]:
    """What the examples are known by."""
    return tuple(example.sha256 for example in teach.examples)


def _own_pictures(
    state: _State, paint: Paint, files: TensorFiles | None, weights: Path
) -> Generator[Progressed, None, list[Shown]]:
    """Pictures that the model paints for the words that the new one is like, as latents.

    Those that were painted earlier are kept.
    """
    request, teach, model, student = state.request, state.teach, state.model, state.student
    if not teach.like.strip() or not student.keeps_others:
        return []
    side, text = model.window * model.cell_px, len(student.prompts)
    counts = torch.ones(side // model.cell_px, side // model.cell_px)
    settings = (
        *("own pictures", teach.like, request.model, _OWN_PICTURES, model.dtype),
        *(request.num_inference_steps, request.guidance_scale),
    )
    key = key_of([], settings, weights)
    kept = files.find(key) if files else None
    if kept is not None and set(kept) == {_CLEAN}:
        place = {"device": model.device, "dtype": model.dtype}
        return [Shown(each[None].to(**place), counts, text) for each in kept[_CLEAN]]
    found = []
    for number in range(_OWN_PICTURES):
        wanted = Request(
            "generate",
            side,
            side,
            prompt=teach.like,
            seed=number,
            model=request.model,
            composition=0,
            coherence=0,
            num_inference_steps=request.num_inference_steps,
            guidance_scale=request.guidance_scale,
        )
        for event in paint(wanted):
            if isinstance(event, Finished):
                pixels = _tensor(event.pixels)
                found.append(Shown(model.encode(pixels[None] * 2 - 1), counts, text))
            else:
                yield Progressed("encoding", number, _OWN_PICTURES)
    if files:
        files.keep(key, {_CLEAN: torch.cat([each.clean for each in found])})
    return found


def _tensor(pixels: Pixels) -> Tensor:
    """[3, H, W] in 0..1."""
    array = np.frombuffer(pixels.data, np.uint8).reshape(pixels.height, pixels.width, -1)
    return torch.from_numpy(array[..., :3].copy()).permute(2, 0, 1).float() / 255


def _key(state: _State, encoded: Sequence[Shown], weights: Path) -> str:
    """What is learned depends on this, and not on how long it takes."""
    settings = (
        *("teach", state.request.model, state.model.dtype, state.model.device.type),
        replace(state.teach, minutes=0.0, licence="", examples=()),
        *(_ROWS, _KEPT_ROWS, state.student.rate),
        *([state.optimiser.name] if state.optimiser.in_eight_bits else []),
    )
    tensors = [part for each in encoded for part in (each.clean, each.counts)]
    return key_of(tensors, settings, weights)


def _learn(state: _State, files: TensorFiles | None, key: str) -> Generator[Progressed, None, None]:
    """What is left of the time."""
    levels = training_levels(state.model.make_scheduler())
    rows: dict[str, Any] = {"window": state.window, "levels": levels, "seed": 0}
    lessons = Lessons(state.shown, rows=_ROWS, **rows)
    kept = Lessons(state.kept, rows=_KEPT_ROWS, **rows) if state.kept else None
    others = Lessons(state.shown, rows=_KEPT_ROWS, **rows) if state.student.keeps_others else None
    yield _progress(state)
    kept_at, shown_at = time.monotonic(), time.monotonic()
    between = max(_LEAST_BETWEEN_S, state.total_s / _SAMPLES)
    unsaved = False
    try:
        while state.seconds < state.total_s:
            began, number = state.clock(), len(state.losses)
            state.student.look(number)
            more = _not_to_forget(state, number, kept, others)
            state.losses.append(_learn_one(state, lessons.at(number), more))
            state.seconds += state.clock() - began
            unsaved = True
            if time.monotonic() - shown_at > between:
                state.picture = curve_beside(_sample(state), state.losses)
                shown_at = time.monotonic()
            yield _progress(state)
            if files and time.monotonic() - kept_at > _KEPT_EVERY_S:
                _keep(state, files, key)
                kept_at, unsaved = time.monotonic(), False
    finally:  # cancelled, too
        if files and unsaved:
            _keep(state, files, key)
        for tensor in state.student.tensors.values():
            tensor.requires_grad = False
    state.student.look(len(state.losses), is_last=True)


def _check_learned(state: _State) -> None:
    if state.total_s == 0 and not state.losses:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "Nothing was learned of these examples yet that could be kept.",
            "Start teaching first.",
        )


def _progress(state: _State) -> Progressed:
    total = min(MAX_LEARNING_STEPS, max(1, math.ceil(state.total_s)))
    done = total if state.total_s == 0 else min(total, int(state.seconds / state.total_s * total))
    picture = state.picture
    return Progressed("learning", done, total, None if picture is None else lambda: picture)


def _not_to_forget(
    state: _State, number: int, kept: Lessons | None, others: Lessons | None
) -> list[Lesson]:
    """In turn the model's own pictures, and what it predicts for other words."""
    if kept is not None and number % 2 == 0:
        return [kept.at(number)]
    if others is None:
        return []
    lesson = others.at(number + 1)
    generator = torch.Generator("cpu").manual_seed(number)
    chosen = torch.randint(len(state.others), (_KEPT_ROWS,), generator=generator).tolist()
    texts = tuple(len(state.prompts) + each for each in chosen)
    lesson = lesson._replace(texts=texts, counts=torch.ones_like(lesson.counts))
    with torch.no_grad():
        return [lesson._replace(wanted=_predict(state, lesson).float())]


def _predict(state: _State, part: Lesson) -> Tensor:
    prompts = [*state.prompts, *state.others]
    conditions = state.student.conditions([prompts[text] for text in part.texts])
    whole = Size(*part.noisy.shape[-2:])
    contexts = [WindowContext(window, whole, framed=False) for window in part.windows]
    return state.model.predict_with_gradient(part.noisy, part.timesteps, conditions, contexts)


def _learn_one(state: _State, lesson: Lesson, more: Sequence[Lesson]) -> float:
    """One step; with fewer windows at a time, or more computing, where memory gives out."""

    def learn() -> float:
        with state.student.laid_on():
            return state.learner.learn(
                lesson, lambda part: part.loss(_predict(state, part)), state.rows, *more
            )

    while (found := attempt(learn)) is None:
        if state.rows > 1:
            state.rows //= 2
        elif not state.spares:
            state.spares = True
            state.model.spare_gradients()
        else:
            raise TapestryError(
                ErrorCode.OUT_OF_MEMORY,
                "There is not enough memory for this model to learn by this method.",
                'Choose the method "word", which takes least, or a smaller model.',
            )
    check_finite(torch.tensor(found[0]), _LEARNING)
    return found[0]


@torch.no_grad()
def _sample(state: _State) -> Pixels:
    """What the word means now, in a window of its own [h, w] pixels."""
    model, student = state.model, state.student
    scheduler = model.make_scheduler("checkpoint")
    scheduler.set_timesteps(_SAMPLE_STEPS)
    generator = torch.Generator("cpu").manual_seed(0)
    shape = 1, model.channels, model.window, model.window
    latents = pure_noise(scheduler, torch.randn(shape, generator=generator)).to(model.device)
    with student.laid_on():
        pair = student.conditions([student.prompts[0], ""])
        for timestep in scheduler.timesteps:
            given = model_input(scheduler, latents, timestep).to(model.dtype)
            wished, plain = model.predict(given.expand(2, -1, -1, -1), timestep, pair).chunk(2)
            guided = plain + _SAMPLE_SCALE * (wished - plain)
            latents = scheduler.step(guided.to(latents.dtype), timestep, latents).prev_sample
    pixels = ((model.decode(latents.to(model.dtype))[0].float() + 1) / 2).clamp(0, 1)
    rgb = (pixels * 255).round().permute(1, 2, 0).to("cpu", torch.uint8).numpy()
    height, width = rgb.shape[:2]
    rgba = np.dstack([rgb, np.full((height, width), 255, np.uint8)])
    return Pixels(height, width, 4, rgba.tobytes())


def _keep(state: _State, files: TensorFiles, key: str) -> None:
    tensors = state.learner.state()
    if all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        counted = {
            _STEPS_DONE: torch.tensor([float(state.learner.steps_done)]),
            _SECONDS: torch.tensor([state.seconds]),
            _LOSSES: torch.tensor(state.losses),
        }
        files.keep(key, {**tensors, **counted, **state.student.seen})


def _restore(state: _State, kept: Mapping[str, Tensor] | None) -> None:
    """Go on from what was kept, where it is of this model and method."""
    wanted = state.student.tensors
    if kept is None or any(
        name not in kept or kept[name].shape != wanted[name].shape for name in wanted
    ):
        return
    counted = [kept.get(name) for name in (_STEPS_DONE, _SECONDS, _LOSSES)]
    if any(each is None for each in counted):
        return
    done, seconds, losses = (each.tolist() for each in counted if each is not None)
    state.learner.restore(kept, int(done[0]))
    state.seconds, state.losses = seconds[0], losses
    state.student.look_again(kept)


def _write(state: _State) -> None:
    teach = state.teach
    settings = {
        name: value
        for name, value in asdict(teach).items()
        if name not in {"word", "like", "method", "examples", "licence"}
    }
    card = Card(
        (teach.word.strip(),),
        teach.like.strip(),
        teach.method,
        state.request.model,
        examples_of(teach),
        {**settings, "steps": len(state.losses)},
        teach.licence,
    )
    data = taught_file(state.student.changes, state.student.word, card)
    try:
        state.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(state.path, [data])
    except OSError as error:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "{path} cannot be written ({reason}).",
                path=quoted(state.path),
                reason=error.strerror or str(error),
            ),
            "What was learned is kept: make room, and teach it again for 0 minutes.",
        ) from error


def _finish(
    state: _State,
    model_cache: ModelCache,
    paint: Paint,
    examples: Sequence[str],
) -> Iterator[Progressed | Finished]:
    """What the word means, painted from the file, and the report."""
    request, teach = state.request, state.teach
    wanted = replace(request, task="generate", teach=None, prompt=request.prompt or teach.word)
    size = state.path.stat().st_size
    for event in paint(wanted):
        if not isinstance(event, Finished):
            yield event
            continue
        report = dict(event.report)
        report["teach"] = {
            "word": teach.word,
            "method": teach.method,
            "file": str(state.path),
            "bytes": size,
            "sha256": hashlib.sha256(state.path.read_bytes()).hexdigest(),
            "examples": list(examples),
            "steps": len(state.losses),
            "seconds": round(state.seconds, 1),
            "optimiser": state.optimiser.name,
            "losses": curve(state.losses),
            "model": model_cache.catalogue.find(request.model).id,
        }
        yield Finished(event.pixels, Bounds(0, 0, request.height, request.width), report)


def curve(losses: Sequence[float]) -> list[float]:
    """At most so many means of neighbouring losses, in order."""
    if not losses:
        return []
    parts = np.array_split(np.array(losses), min(len(losses), _CURVE_POINTS))
    return [round(float(part.mean()), 5) for part in parts]
