"""Which of some names fits what a picture shows, as the model itself sees it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_NAMES
from tapestry_protocol.messages import Edit, Request
from tapestry_protocol.pixels import Bounds, Pixels
from tapestry_protocol.request_checks import names_to_compare

from ..engine.classifier import Standing, compare_texts
from ..engine.difference import Sample
from ..engine.multidiffusion import MultiDiffusion, RegionPrompt
from ..engine.noise import canvas_noise
from ..engine.noise_schedule import sampling_steps
from ..engine.views import ViewPlan
from ..models.denoiser import Denoiser
from ..models.model_cache import ModelCache
from ..models.schedulers import predicts_flow
from .canvas_source import RequestedCanvas, read_canvas_source, visible_shares
from .events import Finished, Progressed
from .failure_messages import telling_of_memory
from .finite import check_finite
from .model_loading import load_model
from .plan import Plan, make_plan
from .report import Stopwatch, make_report

_SAMPLES = 10
_NOISED_BY = (0.5, 0.7)
"""How far the picture is noised for each sample, in turn, as when the place of an edit is found."""

_STEPS = 50
_NOISES_SEED = 19

_FEWEST = 2
_TOLD = 5
"""How many names are told of a region, the best first."""


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
    chosen = names_to_compare(names)
    asked = Request(
        "edit",
        request.height,
        request.width,
        image=request.image,
        selection=request.selection,
        model=request.model,
        edit=Edit(),
    )
    judge = yield from _prepare(asked, blobs, model_cache)
    where = functional.avg_pool2d(judge.selected[None, None], judge.plan.cell_px)[0, 0]
    if not bool(where.any()):
        raise TapestryError(ErrorCode.BAD_REQUEST, "Nothing is selected.")
    standings = yield from judge.compare(chosen, where)
    yield Recognised(tuple(chosen[each.text] for each in standings), tuple(standings))


def run_recognition(
    request: Request, blobs: Mapping[str, bytes], model_cache: ModelCache, notices: Sequence[str]
) -> Iterator[Progressed | Finished]:
    """Say what fits each region of a request; as `run`, with a request that was checked.

    A region shows its prompt where nothing it is compared with fits better: the names of others,
    and no words at all.
    """
    watch = Stopwatch()
    regions = (replace(region, fit="tight", paint=None) for region in request.regions)
    asked = replace(request, regions=tuple(regions), feather_px=0, loras=(), controls=())
    judge = yield from _prepare(asked, blobs, model_cache, watch)
    materials = model_cache.catalogue.find(request.model).materials
    compared = [_compared(region.prompt, request.names, materials) for region in request.regions]
    judge.comparisons = len(compared)
    recognised: list[dict[str, Any]] = []
    shares = visible_shares(judge.canvas.masks, judge.plan)
    for region, names, share in zip(request.regions, compared, shares, strict=False):
        whole = torch.zeros_like(judge.selected)
        share.part_of(whole).copy_(share.values)
        where = functional.avg_pool2d(whole[None, None], judge.plan.cell_px)[0, 0]
        if not bool(where.any()):  # others lie over all of it
            recognised.append({"prompt": region.prompt, "names": [], "shows": True})
            continue
        standings = yield from judge.compare(names, where)
        ranked = [names[each.text] for each in standings]
        recognised.append(
            {
                "prompt": region.prompt,
                "names": [name for name in ranked if name][:_TOLD],
                "shows": not region.prompt.strip() or ranked[0] == region.prompt.strip(),
            }
        )
    report = make_report(judge.plan, judge.evaluations, [*notices, *judge.canvas.notices], watch)
    report["recognised"] = recognised
    yield Finished(Pixels(1, 1, 4, bytes(4)), Bounds(0, 0, 1, 1), report)


def _compared(prompt: str, names: Sequence[str], materials: Sequence[str]) -> tuple[str, ...]:
    """What is compared for a region: all names once, its own first."""
    own = prompt.strip()
    others = [*names] if own else [*names, *materials]
    known = [name.strip() for name in (own, *others) if name.strip()]
    chosen = tuple(dict.fromkeys([*known, ""] if own else known))[:MAX_NAMES]
    if len(chosen) < _FEWEST:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "There are too few names to choose from.",
            "Names of layers and earlier prompts are compared: write the prompt yourself, or name "
            "some layers.",
        )
    return chosen


@dataclass
class _Judge:
    """A picture, and the model that compares words for it; counts what that takes.

    selected      [H, W] in 0..1: how much of each pixel is
    comparisons   how many there will be
    """

    plan: Plan
    model: Denoiser
    canvas: RequestedCanvas
    selected: torch.Tensor
    latents: torch.Tensor
    comparisons: int = 1
    evaluations: int = 0
    _samples_done: int = 0

    def compare(
        self, names: Sequence[str], where: torch.Tensor
    ) -> Generator[Progressed, None, Sequence[Standing]]:
        """The standing of each name for a place, as in `compare_texts`; one of `comparisons`."""
        denoise = [_denoiser(name, self.plan, self.model, where) for name in names]
        samples = _samples(self.plan, self.model)
        yield Progressed("comparing", self._samples_done, _SAMPLES * self.comparisons)
        standings: Sequence[Standing] = ()
        for standings in compare_texts(denoise, self.latents, samples, where):
            check_finite(torch.tensor([each.excess for each in standings]), "comparing the words")
            self._samples_done += 1
            yield Progressed("comparing", self._samples_done, _SAMPLES * self.comparisons)
        self.evaluations += sum(each.evaluations for each in denoise)
        return standings


def _prepare(
    asked: Request,
    blobs: Mapping[str, bytes],
    model_cache: ModelCache,
    watch: Stopwatch | None = None,
) -> Generator[Progressed, None, _Judge]:
    if model_cache.variant_of(asked.model) == "inpaint":
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "A checkpoint for inpainting compares no words.",
            "Choose a checkpoint that paints from a prompt.",
        )
    model = yield from load_model(asked, model_cache, watch or Stopwatch())
    plan = make_plan(asked, model)
    canvas = read_canvas_source(asked, blobs, plan)
    known = canvas.source.preserved_latents(model)
    if known is None or canvas.new is None:
        raise TypeError("a picture is needed to recognise something in it")
    return _Judge(plan, model, canvas, canvas.new, known.latents)


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
