"""One picture on several devices: batches of its windows and regions go to other workers.

A worker leads, and keeps the canvas; helpers hold the same model, read the same request, and give
back what the model makes of the batches that they are sent. Every batch is the one that a worker
alone would evaluate, so the picture is the same to the bit on devices of one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from tapestry_protocol.messages import Request

from ..engine.multidiffusion import ModelBatch, PredictWithAdapters
from ..engine.windows import Size
from ..models.model_cache import ModelCache
from .canvas_source import read_canvas_source
from .conditioning import Conditioning
from .melting import melted
from .plan import make_plan


class Team(Protocol):
    """Helpers of a worker that leads. All of them may be lost: then it goes on alone."""

    @property
    def rows(self) -> Sequence[int]:
        """Rows that went through the model so far, of the worker that leads and of each helper."""

    def begin(self, conditions: Tensor) -> None:
        """Send what is sent once: the encoded texts [K, T, D]."""

    def share(
        self, batches: Sequence[ModelBatch], here: Callable[[int], list[Tensor]]
    ) -> list[list[Tensor]]:
        """As `Share` in the engine; what a lost helper has not evaluated is evaluated here."""


class Helper:
    """Evaluates batches of a picture that another worker paints; reads its request once."""

    def __init__(
        self, request: Request, blobs: Mapping[str, bytes], model_cache: ModelCache
    ) -> None:
        request, _ = model_cache.catalogue.adapters.read(request)
        self._model = model_cache.load(request.model)
        if request.melt:
            request, _ = melted(request)
        plan = make_plan(request, self._model)
        places = read_canvas_source(request, blobs, plan).places
        adapters = model_cache.catalogue.adapters
        self._conditioning = Conditioning(
            request, blobs, plan, self._model, adapters, places=places
        )
        self._with_adapters: dict[Size, list[PredictWithAdapters]] = {}

    def evaluate(self, batch: ModelBatch, conditions: Tensor) -> Tensor:
        """The model's outputs [B, C, h, w] for a batch, on the processor.

        conditions: the encoded texts [K, T, D], as the worker that leads has them
        """
        device = self._model.device
        inputs = batch.inputs.to(device)
        step = batch.step._replace(timestep=batch.step.timestep.to(device))
        encoded = conditions.to(device)[batch.conditions]
        if batch.adapter_set is None:
            found = self._model.predict(inputs, step.timestep, encoded, batch.contexts)
        else:
            if batch.canvas not in self._with_adapters:
                sets = self._conditioning.with_adapters(batch.canvas)
                self._with_adapters[batch.canvas] = sets
            predict = self._with_adapters[batch.canvas][batch.adapter_set]
            found = predict(inputs, step, encoded, batch.contexts)
        return found.cpu()
