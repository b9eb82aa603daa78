"""What the rows of each region run with, besides their prompts: LoRAs, control pictures, boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple

from torch import Tensor

from tapestry_protocol.adapters import Control, Lora
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds

from ..checkpoints.adapter_catalogue import AdapterCatalogue
from ..checkpoints.adapter_recognition import Adapter
from ..engine.multidiffusion import PredictWithAdapters, WindowContext
from ..engine.noise_schedule import SamplingStep
from ..engine.windows import Size
from ..models.adapters.grounding import Box, Grounding
from ..models.adapters.references import referring
from ..models.denoiser import Denoiser
from .control_pictures import ControlPictures, counts
from .melting import Melting
from .plan import Plan, RegionPlan


class AdapterSet(NamedTuple):
    """The LoRAs and control pictures of a region, those of the whole picture included.

    grounding: the share of the steps in which its rows get the boxes of all regions
    melt: how firmly words look at their places, as in the request
    """

    loras: tuple[Lora, ...]
    controls: tuple[Control, ...]
    grounding: float
    melt: float = 0.0


class Conditioning:
    """The adapters of a plan, loaded: one set for all regions that use the same.

    first: the plan of the picture that this plan enlarges, on which control pictures and regions
    lie; None: this one. places: as in `RequestedCanvas`. Raises TapestryError when an adapter is
    not there, damaged, or made for another model.
    """

    def __init__(
        self,
        request: Request,
        blobs: Mapping[str, bytes],
        plan: Plan,
        model: Denoiser,
        adapters: AdapterCatalogue,
        first: Plan | None = None,
        *,
        places: Tensor | None = None,
    ) -> None:
        self._model = model
        self._adapters = adapters
        self._plan = plan
        self._grounding = request.expert.grounding if request.regions else 0.0
        self.melting = None if places is None else Melting(model, plan, places)
        used = dict.fromkeys(self._set_of(region) for region in plan.regions)
        self._sets = [adapter_set for adapter_set in used if any(adapter_set)]
        if not any(adapter_set.loras for adapter_set in self._sets):
            model.adapter_manager.take_off_loras()
        controls = dict.fromkeys(c for adapter_set in self._sets for c in adapter_set.controls)
        args = list(controls), request, blobs, plan, model, adapters, first
        self._controls = ControlPictures(*args)
        self._boxes = [_box(region.bounds, plan, first or plan) for region in request.regions]
        for adapter_set in self._sets:  # what does not fit is found out now
            with self._activated(adapter_set.loras):
                self._ground(adapter_set, plan.canvas)

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences about adapters of which only a part is used."""
        loras = [self._find(lora) for adapter_set in self._sets for lora in adapter_set.loras]
        about_each = (self._model.adapter_manager.notices_about(adapter) for adapter in loras)
        return tuple(dict.fromkeys(sentence for sentences in about_each for sentence in sentences))

    def adapter_set_of(self, region: RegionPlan) -> int | None:
        """The number of the set that a region's rows run with; None: the model as it is."""
        adapter_set = self._set_of(region)
        return self._sets.index(adapter_set) if adapter_set in self._sets else None

    def activated_for(self, region: RegionPlan) -> AbstractContextManager[None]:
        """Inside, the model reads texts with this region's LoRAs."""
        return self._activated(region.loras)

    def with_adapters(self, size: Size) -> list[PredictWithAdapters]:
        """The model with each adapter set, for a canvas of this size in cells."""
        return [self._predict_with(adapter_set, size) for adapter_set in self._sets]

    def _predict_with(self, adapter_set: AdapterSet, size: Size) -> PredictWithAdapters:
        grounding = self._ground(adapter_set, size)

        def predict(
            inputs: Tensor,
            step: SamplingStep,
            conditions: Tensor,
            contexts: Sequence[WindowContext],
        ) -> Tensor:
            windows = [context.window for context in contexts]
            is_negative = [context.is_negative for context in contexts]
            controls = [control for control in adapter_set.controls if counts(control, step)]
            shown = self._controls.inputs(controls, size, windows)
            args = (inputs, step.timestep, conditions, contexts, *((shown,) if shown else ()))
            with ExitStack() as stack:
                stack.enter_context(self._activated(adapter_set.loras))
                stack.enter_context(referring(self._controls.references(controls), is_negative))
                if grounding is not None and step.step_index < int(
                    adapter_set.grounding * step.num_steps
                ):
                    boxes = [Box(*window) for window in windows]
                    stack.enter_context(grounding.told(boxes, is_negative))
                if self.melting is not None:
                    stack.enter_context(self.melting.told(step, size, windows, is_negative))
                return self._model.predict(*args)

        return predict

    def _set_of(self, region: RegionPlan) -> AdapterSet:
        melt = 0.0 if self.melting is None else self._plan.request.melt
        return AdapterSet(region.loras, region.controls, self._grounding, melt)

    def _ground(self, adapter_set: AdapterSet, size: Size) -> Grounding | None:
        """The boxes of the regions for a grounded model, on a canvas of this size."""
        if not adapter_set.grounding:
            return None
        plan = self._plan
        down, right = (size[i] / plan.canvas[i] / plan.cell_px for i in (0, 1))
        boxes = [
            Box(box.top * down, box.left * right, box.bottom * down, box.right * right)
            for box in self._boxes
        ]
        phrases = [region.prompt for region in plan.regions[:-1]]
        return self._model.adapter_manager.ground(phrases, boxes, size.width)

    @contextmanager
    def _activated(self, loras: Sequence[Lora]) -> Iterator[None]:
        found = [(self._find(lora), lora.weight) for lora in loras]
        with self._model.adapter_manager.activated(found):
            yield

    def _find(self, lora: Lora) -> Adapter:
        return self._adapters.find(lora.adapter, "lora")


def _box(bounds: Bounds, plan: Plan, first: Plan) -> Box:
    """On the plan's canvas; bounds: in coordinates of the document that `first` plans."""
    placed = bounds.moved(*first.origin_px)
    old, new = first.output, plan.output
    down, across = new.height / old.height, new.width / old.width
    return Box(
        new.top + (placed.top - old.top) * down,
        new.left + (placed.left - old.left) * across,
        new.top + (placed.bottom - old.top) * down,
        new.left + (placed.right - old.left) * across,
    )
