"""Who paints beside Tapestry for `bench speed`, and what each picture took."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import transformers
from torch import Tensor

from ...engine.windows import Size
from ...tasks.events import Finished, Progressed
from ...tasks.run import run
from ...workers.job_runner import PREVIEW_INTERVAL_S
from ..common.painter import Painter
from ..peers.authors import AuthorsLoop
from .cases import Asked, Case
from .metered import MeteredModelCache

if TYPE_CHECKING:
    from ..peers.diffusers_panorama import DiffusersPanorama


_NO_CANVAS = Size(0, 0)


@dataclass(frozen=True)
class Taken:
    """One painted picture: seconds, rows through the model, and its latents [1, C, h, w].

    latents    None where they are not known, or where only a part of them is decoded
    canvas     in cells; 0 x 0 for a peer's
    picture    uint8 [H, W, 3]
    stages_s   seconds of the model's own work, and how many batches of each size it was asked for;
               as far as they are known
    """

    seconds: float
    evaluations: int
    latents: Tensor | None = None
    canvas: Size = _NO_CANVAS
    picture: np.ndarray | None = None
    stages_s: Mapping[str, float] = field(default_factory=dict)
    batches: Mapping[int, int] = field(default_factory=dict)


class Painters:
    """Tapestry, diffusers' panorama and the paper's loop, on one model cache."""

    def __init__(self, painter: Painter, model_cache: MeteredModelCache, paper_steps: int) -> None:
        self._painter = painter
        self._model_cache = model_cache
        self._model = model_cache.load(painter.settings.model)
        self._now = model_cache.clock.now
        self._paper_steps = paper_steps

    def tapestry(self, asked: Asked) -> Taken:
        """Tapestry, from a request to its pixels."""
        self._model.reset()
        start = self._now()
        finished = _watched(run(asked.request, asked.blobs, self._model_cache))
        seconds = self._now() - start
        canvas = Size(*finished.report["plan"]["canvas"])
        pixels = finished.pixels
        picture = np.frombuffer(pixels.data, np.uint8).reshape(pixels.height, pixels.width, 4)
        return Taken(
            seconds,
            self._model.evaluations,
            None if asked.request.image else _middle(self._model.decoded, canvas),
            canvas,
            picture[..., :3],
            dict(self._model.seconds),
            dict(self._model.batches),
        )

    def other(self, case: Case) -> Callable[[], Taken]:
        """The picture that a case compares with."""
        if case.reference is not None:
            reference = case.reference
            return lambda: self.tapestry(reference)
        return {"diffusers": self._diffusers, "paper": self._paper}[case.peer](case)

    def _diffusers(self, case: Case) -> Callable[[], Taken]:
        request = case.asked.request
        size, peer = (request.height, request.width), self._peer

        def paint() -> Taken:
            before, start = peer.evaluations, self._now()
            picture = peer.panorama(*size, request.prompt, 0)
            seconds = self._now() - start
            return Taken(seconds, peer.evaluations - before, peer.latents, picture=picture)

        return paint

    def _paper(self, case: Case) -> Callable[[], Taken]:
        layout = case.layout
        if layout is None:
            raise ValueError("the paper's loop paints layouts of regions")

        def paint() -> Taken:
            settings, steps = self._painter.settings, self._paper_steps
            loop = AuthorsLoop(self._model, settings, num_inference_steps=steps)
            start = self._now()
            loop.layout(layout, 0)
            return Taken(self._now() - start, loop.evaluations)

        return paint

    @cached_property
    def _peer(self) -> DiffusersPanorama:
        transformers.utils.logging.set_verbosity_error()  # it warns while it is imported
        from ..peers.diffusers_panorama import DiffusersPanorama  # noqa: PLC0415  only where something is compared

        return DiffusersPanorama(self._model, self._painter.folder, self._painter.settings)


def _watched(events: Iterable[Progressed | Finished]) -> Finished:
    """The picture at the end; previews are looked at on the way as often as a worker does."""
    looked_at = -math.inf
    for event in events:
        if isinstance(event, Finished):
            return event
        if event.preview and time.monotonic() - looked_at >= PREVIEW_INTERVAL_S:
            event.preview()
            looked_at = time.monotonic()
    raise TypeError("a task must end with its picture")


def _middle(decoded: Tensor, canvas: Size) -> Tensor:
    """A canvas without what continues it beyond its edges, as much on both sides."""
    top = (decoded.shape[-2] - canvas.height) // 2
    left = (decoded.shape[-1] - canvas.width) // 2
    return decoded[..., top : top + canvas.height, left : left + canvas.width]
