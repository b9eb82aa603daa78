"""What the rows of each region run with, besides their prompts: LoRAs and control pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.adapters import Control, Lora
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds

from ..checkpoints.adapter_catalogue import PICTURED, AdapterCatalogue
from ..checkpoints.adapter_recognition import Adapter
from ..engine.levels import SamplingStep
from ..engine.multidiffusion import Variant, WindowContext
from ..engine.windows import Size, Window, crop
from ..models.adapters.control_input import ControlInput
from ..models.adapters.grounding import Box, Grounding
from ..models.adapters.references import Reference, ReferenceAdapter, referring
from ..models.denoiser import Denoiser
from .ade20k import class_colours
from .canvas import painted_masks, pixel_array, placed
from .plan import Plan, RegionPlan, background_prompt
from .preprocessing import (
    canny_edges,
    colour_of,
    drawn_lines,
    on_black,
    region_map,
    soft_edges,
)


class AdapterSet(NamedTuple):
    """The LoRAs and control pictures of a region, those of the whole picture included.

    grounding: the share of the steps in which its rows are told the boxes of all regions
    """

    loras: tuple[Lora, ...]
    controls: tuple[Control, ...]
    grounding: float


class Conditioning:
    """The adapters of a plan, loaded, and its control pictures as they are shown.

    Raises TapestryError when one is not there, damaged, or made for another model.
    """

    def __init__(
        self,
        request: Request,
        blobs: Mapping[str, bytes],
        plan: Plan,
        model: Denoiser,
        adapters: AdapterCatalogue,
    ) -> None:
        self._model = model
        self._adapters = adapters
        self._cell_px = plan.cell_px
        self._canvas = plan.canvas
        self._grounding = plan.request.grounding if request.regions else 0.0
        used = dict.fromkeys(self._gear_of(region) for region in plan.regions)
        self._gears = [adapter_set for adapter_set in used if any(adapter_set)]
        controls = dict.fromkeys(
            control for adapter_set in self._gears for control in adapter_set.controls
        )
        self._networks: dict[str, Any] = {}
        self._pictures: dict[Control, Tensor] = {}
        self._references: dict[Control, Reference] = {}
        self._looks: dict[tuple[Control, Size, Window], Tensor] = {}
        for control in controls:
            network = model.adapter_manager.control(self._find(control))
            if isinstance(network, ReferenceAdapter):
                tokens = network.read(_on_white(control, blobs))
                self._references[control] = Reference(network, tokens, control.weight)
            else:
                self._networks[control.adapter] = network
                self._pictures[control] = _picture(control, request, blobs, plan)
        self._boxes = [_box(region.bounds.moved(*plan.origin_px)) for region in request.regions]
        self._phrases = [region.prompt for region in plan.regions[:-1]]
        for adapter_set in self._gears:
            with self._wearing(adapter_set.loras):
                self._source(plan.canvas, adapter_set)  # what does not fit is found out now

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences about adapters of which only a part is used."""
        loras = [self._find_lora(lora) for adapter_set in self._gears for lora in adapter_set.loras]
        told = (self._model.adapter_manager.notices_about(adapter) for adapter in loras)
        return tuple(dict.fromkeys(sentence for sentences in told for sentence in sentences))

    def variant_of(self, region: RegionPlan) -> int | None:
        """Which of the variants a region's rows run with; None: the model as it is."""
        adapter_set = self._gear_of(region)
        return self._gears.index(adapter_set) if adapter_set in self._gears else None

    @contextmanager
    def worn_by(self, region: RegionPlan) -> Iterator[None]:
        """Inside, the model reads texts as this region wants them read."""
        with self._wearing(region.loras):
            yield

    def variants(self, size: Size) -> list[Variant]:
        """The model with each gear, for a canvas of this size in cells: the picture, or a draft."""
        return [self._variant(adapter_set, size) for adapter_set in self._gears]

    def _variant(self, adapter_set: AdapterSet, size: Size) -> Variant:
        pictures = {
            control: _scaled(self._pictures[control], size, self._cell_px)
            for control in adapter_set.controls
            if control in self._pictures
        }

        grounding = self._source(size, adapter_set)

        def ask(
            inputs: Tensor,
            moment: SamplingStep,
            conditions: Tensor,
            places: Sequence[WindowContext],
        ) -> Tensor:
            windows = [place.window for place in places]
            now = [control for control in adapter_set.controls if counts(control, moment)]
            shown = [self._show(c, pictures[c], size, windows) for c in now if c in pictures]
            seen = [self._references[control] for control in now if control in self._references]
            negative = [place.negative for place in places]
            grounded = moment.index < int(adapter_set.grounding * moment.count)
            with ExitStack() as laid:
                laid.enter_context(self._wearing(adapter_set.loras))
                laid.enter_context(referring(seen, negative))
                if grounding is not None and grounded:
                    laid.enter_context(grounding.told([Box(*w) for w in windows], negative))
                told = (inputs, moment.timestep, conditions, places)
                return self._model.predict(*told, shown) if shown else self._model.predict(*told)

        return ask

    def _show(
        self, control: Control, picture: Tensor, size: Size, windows: Sequence[Window]
    ) -> ControlInput:
        """A control picture for a canvas of this size; what was made of a window is kept."""
        network = self._networks[control.adapter]

        def prepare_control(window: Window, part: Tensor) -> Tensor:
            key = control, size, window
            if key not in self._looks:
                self._looks[key] = self._model.prepare_control(network, part)
            return self._looks[key]

        parts, rows = shown_parts(picture, windows, self._cell_px, prepare_control)
        return ControlInput(network, parts, rows, control.weight)

    def _gear_of(self, region: RegionPlan) -> AdapterSet:
        return AdapterSet(region.loras, region.controls, self._grounding)

    def _source(self, size: Size, adapter_set: AdapterSet) -> Grounding | None:
        """The regions' boxes on a canvas of this size, in cells."""
        if not adapter_set.grounding:
            return None
        down, right = (size[i] / self._canvas[i] / self._cell_px for i in (0, 1))
        boxes = [
            Box(box.top * down, box.left * right, box.bottom * down, box.right * right)
            for box in self._boxes
        ]
        return self._model.adapter_manager.ground(self._phrases, boxes, size.width)

    @contextmanager
    def _wearing(self, loras: Sequence[Lora]) -> Iterator[None]:
        found = [(self._find_lora(lora), lora.weight) for lora in loras]
        with self._model.adapter_manager.activated(found):
            yield

    def _find_lora(self, lora: Lora) -> Adapter:
        return self._adapters.find(lora.adapter, "lora")

    def _find(self, control: Control) -> Adapter:
        return self._adapters.find(control.adapter, *PICTURED)


def _box(bounds: Bounds) -> Box:
    return Box(bounds.top, bounds.left, bounds.bottom, bounds.right)


def counts(control: Control, moment: SamplingStep) -> bool:
    """Whether a control picture counts at this step, as diffusers' pipelines see it."""
    begun, done = moment.index / moment.count, (moment.index + 1) / moment.count
    return begun >= control.start and done <= control.end


def shown_parts(
    picture: Tensor,
    windows: Sequence[Window],
    cell_px: int,
    prepare_control: Callable[[Window, Tensor], Tensor],
) -> tuple[Tensor, list[int]]:
    """Each window's part of a control picture [1, 3, H, W] uint8, and which of them each row's is.

    look: what a network is shown of such a part.
    """
    places = list(dict.fromkeys(windows))
    crops = [crop(picture, Window(*(edge * cell_px for edge in window))) for window in places]
    parts = [prepare_control(window, part) for window, part in zip(places, crops, strict=True)]
    return torch.cat(parts), [places.index(window) for window in windows]


def _picture(control: Control, request: Request, blobs: Mapping[str, bytes], plan: Plan) -> Tensor:
    """What a network is shown, on the plan's canvas: [1, 3, H, W] uint8."""
    if control.image is None or control.bounds is None:
        size_px = Size(*(side * plan.cell_px for side in plan.canvas))
        colours = _map_colours(control, request)
        shown = region_map(painted_masks(request, blobs, plan), colours, size_px)
    else:
        rgba = placed(control.image, control.bounds.moved(*plan.origin_px), blobs, plan)
        shown = {
            "none": on_black,
            "lines": drawn_lines,
            "canny": lambda layer: canny_edges(on_black(layer)),
            "soft_edges": lambda layer: soft_edges(on_black(layer)),
        }[control.preprocessor](rgba)
    return (shown[None] * 255).round().to(torch.uint8)


def _map_colours(control: Control, request: Request) -> list[tuple[float, ...]]:
    """Of each region and of the background, in 0..1."""
    prompts = [region.prompt for region in request.regions] + [background_prompt(request)]
    if control.preprocessor == "regions":
        return [colour_of(number) for number, _ in enumerate(prompts)]
    return [tuple(part / 255 for part in colour) for colour in class_colours(prompts)]


def _on_white(control: Control, blobs: Mapping[str, bytes]) -> np.ndarray:
    """A layer as it is, white where nothing is painted: [h, w, 3] uint8."""
    if control.image is None:
        raise TypeError("the request was checked for that")
    rgba = pixel_array(control.image, blobs).astype(np.float32)
    alpha = rgba[..., 3:] / 255
    return (rgba[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)


def _scaled(picture: Tensor, size: Size, cell_px: int) -> Tensor:
    """The same for a canvas of another size, in cells."""
    size_px = (size.height * cell_px, size.width * cell_px)
    if tuple(picture.shape[-2:]) == size_px:
        return picture
    return functional.adaptive_avg_pool2d(picture.float(), size_px).round().to(torch.uint8)
