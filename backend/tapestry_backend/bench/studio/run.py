"""Measures workers of a small cluster on this computer: two against one, one picture on two.

Everything is painted in pairs, one way and the other in turn, so that what else the computer does
falls on both.
"""

from __future__ import annotations

import asyncio
import math
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tapestry_protocol.messages import Request

from .nodes_here import nodes_here
from .scale import Costs
from .workshop import LOCAL, Workshop, workshop

FIRST, SECOND = 1, 2
"""The two workers of the cluster, a core each."""

PANORAMA = Request(
    "generate", 128, 576, prompt="sand", num_inference_steps=20, scheduler="ddim", seed=1
)
"""Eight windows of the bundled model, beside each other."""

PANORAMA_BATCHES = 4
"""Each window with and without the prompt, four rows in a batch."""

_FUSING = 0.03
_SERVE_S, _ASK_S = 0.004, 0.0015
"""Seconds of the server for a job, which is assumed, and of a message to a helper and its answer,
which was measured between two processes of one computer."""

PICTURE = Request("generate", 128, 128, prompt="sand", num_inference_steps=20, seed=1)
SMALL = replace(PICTURE, num_inference_steps=4)


@dataclass(frozen=True)
class Scope:
    """How often each thing is done: blocks of pictures, panoramas, small jobs."""

    blocks: int = 4
    pictures: int = 10
    panoramas: int = 10
    jobs: int = 30


@dataclass
class StudioFigures:
    """What was measured; seconds, each list in the order of measuring.

    two_workers, split    times as fast, for each pair
    is_equal              whether each shared panorama equals that of one worker
    piped_s, carried_s    a small job over the pipe, and by the cluster
    picture_s, panorama_s    the median of a picture over the pipe, and of a panorama on one worker
    alone_s    the median of what such a panorama takes outside of its steps
    """

    two_workers: list[float] = field(default_factory=list)
    split: list[float] = field(default_factory=list)
    is_equal: bool = True
    piped_s: list[float] = field(default_factory=list)
    carried_s: list[float] = field(default_factory=list)
    picture_s: float = math.nan
    panorama_s: float = math.nan
    alone_s: float = math.nan

    @property
    def overhead_s(self) -> float:
        """The median of what the cluster adds to a job."""
        pairs = zip(self.carried_s, self.piped_s, strict=True)
        return statistics.median(carried - piped for carried, piped in pairs)

    @property
    def overhead_share(self) -> float:
        """The same of a picture of twenty steps over the pipe."""
        return self.overhead_s / self.picture_s

    @property
    def costs(self) -> Costs:
        """What the reckoning for more cards starts from.

        Of a panorama on one worker a share is fusing, as in `docs/performance.md`.
        """
        steps_s = self.panorama_s - self.alone_s
        batch_s = steps_s / (PANORAMA.num_inference_steps * PANORAMA_BATCHES)
        return Costs(
            batch_s=batch_s * (1 - _FUSING),
            fuse_s=batch_s * _FUSING,
            alone_s=self.alone_s,
            serve_s=_SERVE_S,
            ask_s=_ASK_S,
        )


def measure_studio(scope: Scope) -> StudioFigures:
    """Start a cluster of two nodes here, measure, and end it."""
    with one_thread_each(), nodes_here(2) as nodes:
        return asyncio.run(_measure(nodes.address, scope))


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Workers that are started meanwhile compute in one thread."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


async def _measure(address: str, scope: Scope) -> StudioFigures:
    figures = StudioFigures()
    async with workshop(address) as workers:
        await workers.until_ready(3)
        for worker in (LOCAL, FIRST, SECOND):  # the model is loaded now
            await workers.paint(worker, SMALL)
        await workers.paint(FIRST, PANORAMA, [SECOND])
        await _overhead(workers, scope, figures)
        await _two_workers(workers, scope, figures)
        await _split(workers, scope, figures)
    return figures


async def _overhead(workers: Workshop, scope: Scope, figures: StudioFigures) -> None:
    for seed in range(scope.jobs):
        request = replace(SMALL, seed=seed)
        figures.piped_s.append((await workers.paint(LOCAL, request)).seconds)
        figures.carried_s.append((await workers.paint(FIRST, request)).seconds)
    _say("overhead measured")
    pictures = [await workers.paint(LOCAL, replace(PICTURE, seed=seed)) for seed in range(5)]
    figures.picture_s = statistics.median(each.seconds for each in pictures)


async def _two_workers(workers: Workshop, scope: Scope, figures: StudioFigures) -> None:
    for block in range(scope.blocks):
        seeds = range(block * scope.pictures, (block + 1) * scope.pictures)
        requests = [replace(PICTURE, seed=seed) for seed in seeds]
        alone_s = await workers.paint_all([FIRST], requests)
        both_s = await workers.paint_all([FIRST, SECOND], requests)
        figures.two_workers.append(alone_s / both_s)
        _say(f"two workers: {alone_s / both_s:.2f} times as fast")


async def _split(workers: Workshop, scope: Scope, figures: StudioFigures) -> None:
    panoramas = []
    for seed in range(scope.panoramas):
        request = replace(PANORAMA, seed=seed)
        alone = await workers.paint(FIRST, request)
        shared = await workers.paint(FIRST, request, [SECOND])
        figures.split.append(alone.seconds / shared.seconds)
        panoramas.append(alone)
        figures.is_equal = figures.is_equal and alone.pixels == shared.pixels
        _say(f"one picture on two: {alone.seconds:.2f} s, {shared.seconds:.2f} s")
    figures.panorama_s = statistics.median(each.seconds for each in panoramas)
    outside = [each.report["seconds"] for each in panoramas]
    figures.alone_s = statistics.median(each["encode"] + each["decode"] for each in outside)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
