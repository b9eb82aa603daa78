"""What a run tells about itself afterwards: plan, evaluations, seconds, memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from .plan import Plan


class Stopwatch:
    """Seconds per stage; a stage may be entered many times. A GPU's peak counts from here on."""

    def __init__(self) -> None:
        if torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats()
        self._start = time.perf_counter()
        self._stages = dict.fromkeys(("load", "encode", "denoise", "decode"), 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time spent inside towards this stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self._stages[name] = self._stages.get(name, 0.0) + spent

    @property
    def seconds(self) -> dict[str, float]:
        """Each stage's seconds, and `total` since the watch was made."""
        return {**self._stages, "total": time.perf_counter() - self._start}


def make_report(
    plan: Plan, evaluations: int, notices: Sequence[str], watch: Stopwatch, left_out: int = 0
) -> dict[str, Any]:
    """A report of a finished run, ready for JSON.

    left_out: evaluations that the step cache has spared
    """
    return {
        "plan": plan.to_json(),
        "seed": plan.request.seed,
        "model": plan.request.model,
        "windows": len(plan.layout.grid),
        "unet_evaluations": evaluations,
        "evaluations_left_out": left_out,
        "notices": list(notices),
        "seconds": watch.seconds,
        "peak_memory_bytes": _peak_memory_bytes(plan.device),
    }


def _peak_memory_bytes(device: str) -> int:
    """The device's peak on a GPU, the process' peak otherwise."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        import psutil  # noqa: PLC0415  only Windows lacks `resource`

        return psutil.Process().memory_info().peak_wset
    import resource  # noqa: PLC0415  absent on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
