"""Which of some names fits what a picture shows, as the model itself sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Edit, Request
from tapestry_protocol.sentences import Sentence

from ..engine.classifier import Standing, compare_texts
from ..engine.difference import Sample
from ..engine.multidiffusion import MultiDiffusion, RegionPrompt
from ..engine.noise import canvas_noise
from ..engine.noise_schedule import sampling_steps
from ..engine.views import ViewPlan
from ..models.denoiser import Denoiser
from ..models.model_cache import ModelCache
from ..models.schedulers import predicts_flow
from .canvas_source import read_canvas_source
from .events import Progressed
from .failure_messages import telling_of_memory
from .finite import check_finite
from .model_loading import load_model
from .plan import Plan, make_plan
from .report import Stopwatch

MAX_NAMES = 64
"""Names that are compared at once; each costs two evaluations for every window at least."""

_SAMPLES = 10
_NOISED_BY = (0.5, 0.7)
"""How far the picture is noised for each sample, in turn, as when the place of an edit is found."""

_STEPS = 50
_NOISES_SEED = 19


@dataclass(frozen=True)
class Recognised:
    """The names, the best first."""

    names: tuple[str, ...]
    standings: tuple[Standing, ...]

    @property
    def best(self) -> str:
        return self.names[0]


def recognise(
    request: Request, names: Sequence[str], blobs: Mapping[str, bytes], model_cache: ModelCache
) -> Iterator[Progressed | Recognised]:
    """Compare 2 to `MAX_NAMES` names for a request's image, within its selection.

    Its prompts and regions count nothing. The last event is `Recognised`. Raises TapestryError for
    names that cannot be compared, and as `run` does.
    """
    events = _events(request, names, blobs, model_cache)
    yield from telling_of_memory(events, request, model_cache.device)


def _events(
    request: Request, names: Sequence[str], blobs: Mapping[str, bytes], model_cache: ModelCache
) -> Iterator[Progressed | Recognised]:
    chosen = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not 2 <= len(chosen) <= MAX_NAMES:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence("{count} different names cannot be compared.", count=len(chosen)),
            Sentence("Give 2 to {most}.", most=MAX_NAMES),
        )
    asked = Request(
        "edit",
        request.height,
        request.width,
        image=request.image,
        selection=request.selection,
        model=request.model,
        edit=Edit(),
    )
    model = yield from load_model(asked, model_cache, Stopwatch())
    plan = make_plan(asked, model)
    canvas = read_canvas_source(asked, blobs, plan)
    known = canvas.source.preserved_latents(model)
    if known is None or canvas.new is None:
        raise TypeError("a picture is needed to recognise something in it")
    where = functional.avg_pool2d(canvas.new[None, None], plan.cell_px)[0, 0]
    if not bool(where.any()):
        raise TapestryError(ErrorCode.BAD_REQUEST, "Nothing is selected.")
    denoise = [_denoiser(name, plan, model, where) for name in chosen]
    yield Progressed("comparing")
    standings: Sequence[Standing] = ()
    samples = _samples(plan, model)
    for number, standings in enumerate(
        compare_texts(denoise, known.latents, samples, where), start=1
    ):
        check_finite(torch.tensor([each.excess for each in standings]), "comparing the words")
        yield Progressed("comparing", number, len(samples))
    yield Recognised(tuple(chosen[each.text] for each in standings), tuple(standings))


def _denoiser(name: str, plan: Plan, model: Denoiser, where: torch.Tensor) -> MultiDiffusion:
    weights = (where > 0).float()[None]
    return MultiDiffusion(
        model.predict,
        ViewPlan(plan.layout, weights, device=model.device),
        [RegionPrompt(0, 0, 1.0)],
        model.encode_prompts([name], [1.0]),
        plan.batch_size,
        framed=plan.request.expert.framing == "canvas",
    )


def _samples(plan: Plan, model: Denoiser) -> list[Sample]:
    flows = predicts_flow(model.make_scheduler("checkpoint", plan.window))
    scheduler = model.make_scheduler("flow_euler" if flows else "ddim", plan.window)
    scheduler.set_timesteps(_STEPS)
    steps = sampling_steps(scheduler)
    found = []
    for number in range(_SAMPLES):
        noised_by = _NOISED_BY[number % len(_NOISED_BY)]
        seed = _NOISES_SEED + number
        noise = canvas_noise(seed, model.channels, plan.canvas, plan.origin).to(model.device)
        found.append(Sample(noise, steps[round((1 - noised_by) * _STEPS)]))
    return found
