"""Absolute figures of models of well-known shapes: seconds, device throughput, launches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from ...models.model_cache import device_name
from ..common.painter import Painter, PainterSettings
from ..common.progress import ProgressLog
from ..common.prompts import GENERAL_TEXTURES
from .cases import Asked, board, of_layout
from .clock import Clock, watch_memory
from .contenders import Painters
from .floor import Floor
from .metered import UNAVOIDABLE, Metered, MeteredModelCache

STEPS = 30
"""Of all pictures but those in few steps."""

UNIT_PX = 512
"""The side of a square of which the canvases are made."""

_FEW_STEPS: Mapping[str, Any] = {"scheduler": "lcm", "num_inference_steps": 5, "guidance_scale": 1}

_ROUNDS = 3
_SIDES = {"cuda": 8192}
_SIDE = 1024
"""Of the matrices whose product says what a device can do: on a graphics card, and elsewhere."""

_LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "hipLaunchKernel", "hipModuleLaunchKernel")


@dataclass(frozen=True)
class Absolute:
    """What one picture took.

    matmul_share       of the throughput that the device reaches in a large product of matrices of
                       the same type, while the U-Net is at work; matmul_share_of_run: in all
    launches_per_step  of kernels on a graphics card; elsewhere, of PyTorch's operations
    """

    name: str
    height: int
    width: int
    num_inference_steps: int
    seconds: float
    evaluations: int
    floor_s: float
    run_over_floor: float
    overhead_share: float
    peak_bytes: int
    matmul_share: float
    matmul_share_of_run: float
    launches_per_step: float
    stages_s: dict[str, float] = field(default_factory=dict)


@dataclass
class ShapesRun:
    """What a run found, and how it was run."""

    run: dict[str, Any]
    cases: list[Absolute] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"cases": [asdict(case) for case in self.cases], "run": self.run}


def measure_shapes(
    model_cache: MeteredModelCache, settings: PainterSettings, unit_px: int | None = None
) -> ShapesRun:
    """Paint everything with the cache's model and take the time."""
    progress = ProgressLog()
    painter = Painter(model_cache, settings, progress)
    progress.say(f"{settings.model}: making the model")
    bench = _Bench(painter, model_cache)
    shapes = ShapesRun({**asdict(settings), **bench.about})
    for name, asked in _cases(painter, unit_px or UNIT_PX):
        progress.say(f"{name}: painting")
        shapes.cases.append(bench.measure(name, asked))
    progress.say("done")
    return shapes


def _cases(painter: Painter, unit_px: int) -> Iterator[tuple[str, Asked]]:
    for high, wide in ((1, 4), (1, 8), (2, 8)):
        height, width = high * unit_px, wide * unit_px
        yield (
            f"panorama_{height}x{width}",
            Asked(painter.request(height, width, GENERAL_TEXTURES[0], 0)),
        )
    eight = board(2 * unit_px, GENERAL_TEXTURES, 2, 4)
    yield f"regions_8_{2 * unit_px}", of_layout(painter, eight)
    four = board(unit_px, GENERAL_TEXTURES, 2, 2)
    yield f"regions_4_{unit_px}_lcm", of_layout(painter, four, **_FEW_STEPS)


class _Bench:
    """Times one model on its device."""

    def __init__(self, painter: Painter, model_cache: MeteredModelCache) -> None:
        self._model = model_cache.load(painter.settings.model)
        self._clock = model_cache.clock
        self._painters = Painters(painter, model_cache, paper_steps=0)
        self._floor = Floor(self._model, self._clock.now)
        self._flops_a_second = matmul_flops_a_second(self._clock, self._model)
        self._flops = evaluation_flops(self._model)

    @property
    def about(self) -> dict[str, Any]:
        """How a run is made, ready for JSON."""
        return {
            "device": device_name(self._model.device),
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "clock": self._clock.kind,
            "weight_bytes": self._model.weight_bytes,
            "evaluation_flops": self._flops,
            "matmul_flops_a_second": self._flops_a_second,
            "best_batch_size": self._floor.batch_size,
            "batch_size": self._model.batch_size,
        }

    def measure(self, name: str, asked: Asked) -> Absolute:
        """One picture after another one that made ready; then its launches, and its memory."""
        paint = self._painters.tapestry
        paint(asked.in_steps(1))
        taken = paint(asked)
        floor_s = self._floor.seconds(taken.evaluations, taken.canvas)
        counts = [count_launches(self._model, partial(paint, asked.in_steps(n))) for n in (1, 3)]
        with watch_memory(self._model.device) as peak:
            paint(asked.in_steps(2))
        best_s = taken.evaluations * self._flops / self._flops_a_second
        inside_s = sum(taken.stages_s[stage] for stage in UNAVOIDABLE)
        return Absolute(
            name,
            asked.request.height,
            asked.request.width,
            asked.request.num_inference_steps,
            seconds=taken.seconds,
            evaluations=taken.evaluations,
            floor_s=floor_s,
            run_over_floor=taken.seconds / floor_s,
            overhead_share=1 - inside_s / taken.seconds,
            peak_bytes=self._model.weight_bytes + peak.taken_bytes,
            matmul_share=best_s / taken.stages_s["unet"],
            matmul_share_of_run=best_s / taken.seconds,
            launches_per_step=(counts[1] - counts[0]) / 2,
            stages_s=dict(taken.stages_s),
        )


def matmul_flops_a_second(clock: Clock, model: Metered) -> float:
    """What the device reaches in a product of two large matrices of the model's type."""
    side = _SIDES.get(model.device.type, _SIDE)
    left, right = torch.randn(2, side, side, device=model.device).to(model.dtype)
    torch.mm(left, right)
    taken = []
    for _ in range(_ROUNDS):
        start = clock.now()
        torch.mm(left, right)
        taken.append(clock.now() - start)
    return 2 * side**3 / min(taken)


def evaluation_flops(model: Metered) -> int:
    """Multiplications and additions of one evaluation, in matrices and convolutions."""
    latents = torch.zeros(1, model.channels, model.window, model.window, device=model.device)
    conditions, timestep = model.encode_prompts([""]), torch.tensor(500, device=model.device)
    with FlopCounterMode(display=False) as counter:
        model.predict(latents, timestep, conditions)
    return counter.get_total_flops()


def count_launches(model: Metered, compute: Callable[[], object]) -> int:
    """Kernels that a graphics card is given, or operations of PyTorch where there is none."""
    on_card = model.device.type == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_card else [])]
    with profile(activities=kinds) as profiled:
        compute()
    names = _LAUNCHES if on_card else ("aten::",)
    return sum(event.count for event in profiled.key_averages() if event.key.startswith(names))
