"""Control pictures: loaded with their networks, and each window's part of them prepared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.adapters import Control
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds

from ..checkpoints.adapter_catalogue import PICTURED, AdapterCatalogue
from ..checkpoints.control_types import mode_of
from ..engine.noise_schedule import SamplingStep
from ..engine.windows import Size, Window, crop
from ..models.adapters.control_input import ControlInput
from ..models.adapters.references import Reference, ReferenceAdapter
from ..models.denoiser import Denoiser
from .ade20k import class_colours
from .canvas import cut_output, painted_masks, pixel_array, placed
from .plan import Plan, background_prompt
from .preprocessing import (
    canny_edges,
    colour_of,
    drawn_lines,
    on_black,
    region_map,
    soft_edges,
)

_EDGES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "canny": canny_edges,
    "soft_edges": soft_edges,
}

_AROUND_PX = 16
"""Around a part in which edges are looked for: filters see 6, and lines go on."""


class ControlPictures:
    """The controls of a plan: networks with their pictures, and IP-Adapters with their tokens.

    first: the plan of the picture that this plan enlarges, as which the controls lie; None: this
    one. Raises TapestryError when an adapter is not there, damaged, or made for another model.
    """

    def __init__(
        self,
        controls: Sequence[Control],
        request: Request,
        blobs: Mapping[str, bytes],
        plan: Plan,
        model: Denoiser,
        adapters: AdapterCatalogue,
        first: Plan | None = None,
    ) -> None:
        self._model = model
        self._cell_px = plan.cell_px
        self._output = None if first is None else plan.output
        self._networks: dict[str, Any] = {}
        self._pictures: dict[Control, Tensor] = {}
        self._modes: dict[Control, int | None] = {}
        self._references: dict[Control, Reference] = {}
        self._scaled: dict[tuple[Control, Size], Tensor] = {}
        self._prepared: dict[tuple[Control, Size, Window], Tensor] = {}
        self._keeps = plan.layout.mode == "overlap"
        for control in controls:
            adapter = adapters.find(control.adapter, *PICTURED)
            network = model.adapter_manager.control(adapter)
            if isinstance(network, ReferenceAdapter):
                tokens = network.read(_on_white(control, blobs))
                self._references[control] = Reference(network, tokens, control.weight)
            else:
                self._networks[control.adapter] = network
                self._modes[control] = mode_of(control, adapter.id, adapter.types)
                if first is None:
                    self._pictures[control] = _picture(control, request, blobs, plan)
                else:
                    shown = _picture(_unprepared(control), first.request, blobs, first)
                    self._pictures[control] = cut_output(shown, first)

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

        def shown(window: Window) -> Tensor:
            key = control, size, window
            found = self._prepared.get(key)
            if found is None:
                found = self._model.prepare_control(network, self._part(control, size, window))
            if self._keeps:
                self._prepared[key] = found
            return found

        seen = shown_parts(windows, shown)
        return ControlInput(network, *seen, control.weight, self._modes[control])

    def _part(self, control: Control, size: Size, window: Window) -> Tensor:
        """A window's part of a canvas of this size: [1, 3, H, W] uint8."""
        place = Window(*(edge * self._cell_px for edge in window))
        if self._output is not None:
            return _enlarged(self._pictures[control], self._output, place, control.preprocessor)
        if (control, size) not in self._scaled:
            picture = _scaled(self._pictures[control], size, self._cell_px)
            self._scaled[control, size] = picture
        return crop(self._scaled[control, size], place)


def counts(control: Control, step: SamplingStep) -> bool:
    """Whether a control picture counts at this step, as in diffusers' pipelines."""
    begun, done = step.step_index / step.num_steps, (step.step_index + 1) / step.num_steps
    return begun >= control.start and done <= control.end


def shown_parts(
    windows: Sequence[Window], shown: Callable[[Window], Tensor]
) -> tuple[Tensor, list[int]]:
    """What is shown in each place once, and which of them each row sees."""
    places = list(dict.fromkeys(windows))
    return torch.cat([shown(place) for place in places]), [places.index(each) for each in windows]


def _picture(control: Control, request: Request, blobs: Mapping[str, bytes], plan: Plan) -> Tensor:
    """What a network is shown, on the plan's canvas: [1, 3, H, W] uint8."""
    if control.image is None or control.bounds is None:
        size_px = Size(*(side * plan.cell_px for side in plan.canvas))
        colours = _map_colours(control, request)
        shown = region_map(painted_masks(request, blobs, plan), colours, size_px)
    else:
        rgba = placed(control.image, control.bounds.moved(*plan.origin_px), blobs, plan)
        if control.preprocessor == "lines":
            shown = drawn_lines(rgba)
        else:
            shown = _EDGES.get(control.preprocessor, _as_it_is)(on_black(rgba))
    return _as_bytes(shown)


def _unprepared(control: Control) -> Control:
    """The same, of which no edges are looked for: they would be as thick as it becomes larger."""
    return replace(control, preprocessor="none") if control.preprocessor in _EDGES else control


def _enlarged(picture: Tensor, output: Bounds, place: Window, preprocessor: str) -> Tensor:
    """A part [1, 3, H, W] uint8 of the canvas on which a picture [1, 3, h, w] fills the output.

    Edges are looked for in what was enlarged.
    """
    find_edges = _EDGES.get(preprocessor)
    beyond = 0 if find_edges is None else _AROUND_PX
    part = _read(picture, (place.top, place.bottom), (output.top, output.bottom), beyond, -2)
    part = _read(part, (place.left, place.right), (output.left, output.right), beyond, -1)
    if find_edges is None:
        return part.round().to(torch.uint8)
    return _as_bytes(find_edges(part[0] / 255)[:, beyond:-beyond, beyond:-beyond])


def _read(
    values: Tensor, part: tuple[int, int], whole: tuple[int, int], beyond: int, axis: int
) -> Tensor:
    """A part of a whole that values fill along an axis, and what lies beyond it; its ends go on."""
    length = values.shape[axis]
    at = torch.arange(part[0] - beyond, part[1] + beyond) - whole[0] + 0.5
    at = (at * length / (whole[1] - whole[0]) - 0.5).clamp(0, length - 1)
    before = at.long()
    share = (at - before)[:, None] if axis == -2 else at - before
    after = values.index_select(axis, (before + 1).clamp(max=length - 1)).float()
    return torch.lerp(values.index_select(axis, before).float(), after, share)


def _as_it_is(rgb: Tensor) -> Tensor:
    return rgb


def _as_bytes(shown: Tensor) -> Tensor:
    """[3, H, W] in 0..1 -> [1, 3, H, W] uint8."""
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
