"""A request becomes a frozen plan: everything resolved, nothing loaded, nothing computed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds

from ..engine.windows import Size, Window, plan_windows
from ..models.denoiser import Denoiser

_BATCH_SIZE = 16
"""Rows of one evaluation; enough to keep two to sixteen cores busy, small enough for any GPU."""


@dataclass(frozen=True)
class Plan:
    """Everything that a run needs to know; its repr explains the run.

    canvas     the latent canvas, in cells; covers the output and is at least one window large
    origin     where the corner of the document before extension lies on the canvas, in cells
    output     the part of the canvas that is the picture, in pixels of the canvas
    prompts    one for each region, topmost first, and the background's as the last
    region_frame   a region that touches an edge of this goes on beyond it, in pixels of the canvas
    """

    task: str
    model: str
    device: str
    dtype: str
    seed: int
    scheduler: str
    num_inference_steps: int
    guidance_scale: float
    prompts: tuple[str, ...]
    negative_prompt: str
    overlap: str
    wrap: bool
    cell_px: int
    canvas: Size
    origin: Size
    output: Bounds
    region_frame: Bounds
    window: Size
    stride: Size
    windows: tuple[Window, ...]
    batch_size: int

    @property
    def origin_px(self) -> tuple[int, int]:
        """(down, right): from document coordinates before extension to pixels of the canvas."""
        return self.origin.height * self.cell_px, self.origin.width * self.cell_px

    def to_json(self) -> dict[str, Any]:
        """Plain values for the report."""
        return asdict(self)


def make_plan(request: Request, model: Denoiser) -> Plan:
    """Resolve a request for a model; raises TapestryError where the two do not fit."""
    cell_px = model.cell_px
    _check_wrap(request, cell_px)
    canvas, origin, output = _lay_out(request, model)
    window = Size(model.window, model.window)
    stride = Size(model.window // 2, model.window // 2)
    return Plan(
        task=request.task,
        model=request.model,
        device=str(model.device),
        dtype=str(model.dtype).removeprefix("torch."),
        seed=request.seed,
        scheduler=type(model.make_scheduler()).__name__,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        prompts=(*(region.prompt for region in request.regions), background_prompt(request)),
        negative_prompt=request.negative_prompt,
        overlap=request.overlap,
        wrap=request.wrap,
        cell_px=cell_px,
        canvas=canvas,
        origin=origin,
        output=output,
        region_frame=_region_frame(request, origin, cell_px, output),
        window=window,
        stride=stride,
        windows=tuple(plan_windows(canvas, window, stride, wrap=request.wrap)),
        batch_size=_BATCH_SIZE,
    )


def _check_wrap(request: Request, cell_px: int) -> None:
    if request.wrap and request.width % cell_px:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"A picture that wraps around must be a multiple of {cell_px} pixels wide; this one "
            f"is {request.width}.",
            f"Resize the canvas to {math.ceil(request.width / cell_px) * cell_px} pixels.",
        )


def _lay_out(request: Request, model: Denoiser) -> tuple[Size, Size, Bounds]:
    """The plan's canvas, origin and output: the document's own corner lies on a cell."""
    cell_px, margins = model.cell_px, request.margins
    origin = Size(math.ceil(margins.top / cell_px), math.ceil(margins.left / cell_px))
    rows = origin.height + math.ceil((request.height + margins.bottom) / cell_px)
    columns = origin.width + math.ceil((request.width + margins.right) / cell_px)
    canvas = Size(max(rows, model.window), columns if request.wrap else max(columns, model.window))
    output = Bounds(
        origin.height * cell_px - margins.top,
        origin.width * cell_px - margins.left,
        origin.height * cell_px + request.height + margins.bottom,
        origin.width * cell_px + request.width + margins.right,
    )
    return canvas, origin, output


def _region_frame(request: Request, origin: Size, cell_px: int, output: Bounds) -> Bounds:
    """Beyond which edges a region goes on: the picture's own, as they only hide the padding.

    An extension without a background prompt carries on what is painted at the old edges: there the
    frame is the canvas before extension.
    """
    if request.task == "generate" or request.prompt.strip():
        return output
    top, left = origin.height * cell_px, origin.width * cell_px
    return Bounds(top, left, top + request.height, left + request.width)


def background_prompt(request: Request) -> str:
    """What is painted where no region is: without a prompt of its own, all regions' together.

    An empty prompt lets a model paint anything; the names of all regions keep the gaps between
    roughly painted areas in the picture's own world.
    """
    if request.prompt.strip() or request.task == "extend":
        return request.prompt
    return ", ".join(dict.fromkeys(r.prompt for r in request.regions if r.prompt.strip()))
