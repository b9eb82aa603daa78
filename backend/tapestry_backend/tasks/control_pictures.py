"""Control pictures: loaded with their networks, and each window's part of them prepared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.adapters import Control
from tapestry_protocol.messages import Request

from ..checkpoints.adapter_catalogue import PICTURED, AdapterCatalogue
from ..engine.noise_schedule import SamplingStep
from ..engine.windows import Size, Window, crop
from ..models.adapters.control_input import ControlInput
from ..models.adapters.references import Reference, ReferenceAdapter
from ..models.denoiser import Denoiser
from .ade20k import class_colours
from .canvas import painted_masks, pixel_array, placed
from .plan import Plan, background_prompt
from .preprocessing import (
    canny_edges,
    colour_of,
    drawn_lines,
    on_black,
    region_map,
    soft_edges,
)


class ControlPictures:
    """The controls of a plan: networks with their pictures, and IP-Adapters with their tokens.

    Raises TapestryError when an adapter is not there, damaged, or made for another model.
    """

    def __init__(
        self,
        controls: Sequence[Control],
        request: Request,
        blobs: Mapping[str, bytes],
        plan: Plan,
        model: Denoiser,
        adapters: AdapterCatalogue,
    ) -> None:
        self._model = model
        self._cell_px = plan.cell_px
        self._networks: dict[str, Any] = {}
        self._pictures: dict[Control, Tensor] = {}
        self._references: dict[Control, Reference] = {}
        self._scaled: dict[tuple[Control, Size], Tensor] = {}
        self._prepared: dict[tuple[Control, Size, Window], Tensor] = {}
        self._keeps = plan.layout.mode == "overlap"
        for control in controls:
            network = model.adapter_manager.control(adapters.find(control.adapter, *PICTURED))
            if isinstance(network, ReferenceAdapter):
                tokens = network.read(_on_white(control, blobs))
                self._references[control] = Reference(network, tokens, control.weight)
            else:
                self._networks[control.adapter] = network
                self._pictures[control] = _picture(control, request, blobs, plan)

    def inputs(
        self, controls: Sequence[Control], size: Size, windows: Sequence[Window]
    ) -> list[ControlInput]:
        """What the networks of these controls are shown of a canvas of this size, in cells."""
        return [self._input(c, size, windows) for c in controls if c in self._pictures]

    def references(self, controls: Sequence[Control]) -> list[Reference]:
        """The pictures that IP-Adapters are shown."""
        return [self._references[control] for control in controls if control in self._references]

    def _input(self, control: Control, size: Size, windows: Sequence[Window]) -> ControlInput:
        """What was prepared for a window is kept, unless windows move and it hardly comes again."""
        network = self._networks[control.adapter]
        if (control, size) not in self._scaled:
            picture = _scaled(self._pictures[control], size, self._cell_px)
            self._scaled[control, size] = picture

        def prepare(window: Window, part: Tensor) -> Tensor:
            key = control, size, window
            shown = self._prepared.get(key)
            if shown is None:
                shown = self._model.prepare_control(network, part)
            if self._keeps:
                self._prepared[key] = shown
            return shown

        picture = self._scaled[control, size]
        parts, rows = shown_parts(picture, windows, self._cell_px, prepare)
        return ControlInput(network, parts, rows, control.weight)


def counts(control: Control, step: SamplingStep) -> bool:
    """Whether a control picture counts at this step, as in diffusers' pipelines."""
    begun, done = step.step_index / step.num_steps, (step.step_index + 1) / step.num_steps
    return begun >= control.start and done <= control.end


def shown_parts(
    picture: Tensor,
    windows: Sequence[Window],
    cell_px: int,
    prepare_control: Callable[[Window, Tensor], Tensor],
) -> tuple[Tensor, list[int]]:
    """Each window's part of a control picture [1, 3, H, W] uint8, and which of them each row's is.

    prepare_control: makes of such a part what a network is shown.
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
    """The map's colour for each region and for the background, in 0..1."""
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
