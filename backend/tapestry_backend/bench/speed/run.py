"""`tapestry bench speed`: how long pictures take, beside peers and beside the least possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

import torch

from tapestry_protocol.errors import ErrorCode, TapestryError

from ...checkpoints.catalogue import Catalogue
from ...models.model_cache import device_name
from ..common.painter import Painter, PainterSettings
from ..common.progress import ProgressLog
from ..common.prompts import textures
from .cases import Asked, Case, Effort, make_cases
from .clock import watch_memory
from .contenders import Painters, Taken
from .floor import Floor
from .loss import loss
from .metered import UNAVOIDABLE, MeteredModelCache
from .worth import Worth

_STEPS_OF_A_PEAK = 2
"""Memory is not a matter of how many steps there are."""


@dataclass(frozen=True)
class CaseResult:
    """What one case gave, medians over its pairs; the names are those of the JSON.

    in_batches_s     the evaluations alone, in batches of the sizes that the run's steps allowed
    overhead_share   of the run: all that is neither U-Net nor autoencoder
    peak_bytes       the model's weights, and the most that the run took on top of what was there
    loss, worth      of a faster setting against "quality", of a panorama beside a peer's
    """

    name: str
    peer: str
    tapestry_s: float
    peer_s: float
    ratio: float
    evaluations: int
    peer_evaluations: int
    floor_s: float
    run_over_floor: float
    overhead_share: float
    peak_bytes: int
    peer_peak_bytes: int | None
    in_batches_s: float = 0.0
    latents_differ_by: float | None = None
    loss: dict[str, float] | None = None
    worth: dict[str, float] | None = None
    stages_s: dict[str, float] = field(default_factory=dict)


@dataclass
class SpeedRun:
    """What a run found, and how it was run."""

    run: dict[str, Any]
    cases: list[tuple[Case, CaseResult]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Each case with its figures and its goal."""
        return {
            "cases": [
                {
                    **asdict(found),
                    "meaning": case.goal.text,
                    "goal": str(case.goal),
                    "met": case.goal.is_met(found.ratio),
                }
                for case, found in self.cases
            ],
            "run": self.run,
        }


class SpeedBench:
    """Takes the time of Tapestry and of others, in turns."""

    def __init__(
        self, model_cache: MeteredModelCache, settings: PainterSettings, effort: Effort
    ) -> None:
        self.progress = ProgressLog()
        self.painter = Painter(model_cache, settings, self.progress)
        self._effort = effort
        self._clock = model_cache.clock
        self._model = model_cache.load(settings.model)
        self._painters = Painters(self.painter, model_cache, effort.paper_steps)
        self._floor = Floor(self._model, model_cache.clock.now)
        self._worth = Worth(self.painter, effort)

    @property
    def about(self) -> dict[str, Any]:
        """How a run is made, ready for JSON."""
        return {
            **asdict(self.painter.settings),
            **asdict(self._effort),
            "device": device_name(self._model.device),
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "clock": self._clock.kind,
            "best_batch_size": self._floor.batch_size,
        }

    def cases(self, peers: Sequence[str], only: Sequence[str] = ()) -> list[Case]:
        """What is compared with these peers, and with Tapestry itself; the named ones alone.

        Raises TapestryError for a name that no case has.
        """
        prompts = textures(self.painter.settings.model)
        every = make_cases(self.painter, prompts, self._effort)
        names = [case.name for case in every]
        for name in only:
            if name not in names:
                raise TapestryError(
                    ErrorCode.BAD_REQUEST,
                    f"There is no case {name!r}.",
                    f"Choose among {', '.join(names)}.",
                )
        return [
            case
            for case in every
            if (case.name in only if only else not (case.long and self._effort.quick))
            and (case.reference is not None or case.peer in peers)
        ]

    def measure(self, case: Case) -> CaseResult:
        """Pairs of runs in turns, each with its floor; then the memory of one more."""
        count = self._effort.paper_pairs if case.peer == "paper" else self._effort.pairs
        paint_other = self._painters.other(case)
        self.progress.say(f"{case.name}: making ready")
        self._painters.tapestry(case.asked.in_steps(1))  # what is made once is made now
        ours: list[Taken] = []
        theirs: list[Taken] = []
        floors: list[float] = []
        batches: list[float] = []
        for number in range(1 if case.of_memory else count):
            self.progress.say(f"{case.name}: pair {number + 1}, with {case.peer}")
            ours.append(self._painters.tapestry(case.asked))
            floors.append(self._floor.seconds(ours[-1].evaluations, ours[-1].canvas))
            batches.append(self._floor.in_batches(ours[-1].batches))
            theirs.append(paint_other())
        peak = self._peak_bytes(case.asked)
        other = case.reference if case.of_memory else None
        other_peak = None if other is None else self._peak_bytes(other)
        found = _summary(case, ours, theirs, floors, (peak, other_peak))
        compared = self._compared(case, ours[-1], theirs[-1])
        return replace(found, in_batches_s=median(batches), **compared)

    def _compared(self, case: Case, own: Taken, other: Taken) -> dict[str, Any]:
        """What a case asks for besides seconds and memory."""
        if case.same_picture:
            return {"latents_differ_by": _difference(own, other)}
        if not (case.lossy or case.of_worth):
            return {}
        if own.picture is None or other.picture is None:
            raise ValueError("both must have kept their pictures")
        self.progress.say(f"{case.name}: what the pictures are worth")
        if case.of_worth:
            return {"worth": self._worth.beside_diffusers(case.asked, own.picture, other.picture)}
        speed = self._worth.beside_quality(case.asked.request.speed)
        return {"loss": {**loss(own.picture, other.picture), **speed}}

    def _peak_bytes(self, asked: Asked) -> int:
        with watch_memory(self._model.device) as peak:
            self._painters.tapestry(asked.in_steps(_STEPS_OF_A_PEAK))
        return self._model.weight_bytes + peak.taken_bytes


def measure_speed(
    settings: PainterSettings,
    effort: Effort,
    peers: Sequence[str],
    device: str | None = None,
    only: Sequence[str] = (),
) -> SpeedRun:
    """Measure cases in turn, all or the named ones.

    Raises TapestryError when there is no such model, device or case.
    """
    model_cache = open_model_cache(
        lambda: MeteredModelCache(Catalogue([settings.model]), device), device
    )
    bench = SpeedBench(model_cache, settings, effort)
    speed = SpeedRun({"peers": list(peers), **bench.about})
    for case in bench.cases(peers, only):
        found = bench.measure(case)
        speed.cases.append((case, found))
        bench.progress.say(f"{case.name}: {found.ratio:.2f} {case.goal.text}")
    bench.progress.say("done")
    return speed


def open_model_cache(
    make: Callable[[], MeteredModelCache], device: str | None
) -> MeteredModelCache:
    """A model cache on this device; raises TapestryError when there is none such."""
    try:
        model_cache = make()
        torch.zeros(1, device=model_cache.device)
    except (RuntimeError, AssertionError) as error:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"There is no device {device!r} here.",
            "Name one that torch knows, for instance cpu, cuda or mps.",
        ) from error
    return model_cache


def _summary(
    case: Case,
    ours: Sequence[Taken],
    theirs: Sequence[Taken],
    floors: Sequence[float],
    peaks: tuple[int, int | None],
) -> CaseResult:
    peak, other_peak = peaks
    costs = [own.seconds / other.seconds for own, other in zip(ours, theirs, strict=True)]
    ratio = median(costs if case.reference is not None else [1 / cost for cost in costs])
    over = [own.seconds / floor for own, floor in zip(ours, floors, strict=True)]
    rest = [own.seconds - sum(own.stages_s.values()) for own in ours]
    spent = [own.seconds - sum(own.stages_s[name] for name in UNAVOIDABLE) for own in ours]
    stages = {name: median(own.stages_s[name] for own in ours) for name in ours[0].stages_s}
    return CaseResult(
        case.name,
        case.peer,
        tapestry_s=median(own.seconds for own in ours),
        peer_s=median(other.seconds for other in theirs),
        ratio=peak / other_peak if other_peak else ratio,
        evaluations=ours[-1].evaluations,
        peer_evaluations=theirs[-1].evaluations,
        floor_s=median(floors),
        run_over_floor=median(over),
        overhead_share=median(each / own.seconds for each, own in zip(spent, ours, strict=True)),
        peak_bytes=peak,
        peer_peak_bytes=other_peak,
        stages_s={**stages, "rest": median(rest)},
    )


def _difference(own: Taken, other: Taken) -> float:
    """The largest, between latents of one canvas."""
    if own.latents is None or other.latents is None:
        raise ValueError("both pictures must have kept their latents")
    return float((own.latents.cpu().float() - other.latents.cpu().float()).abs().max())
