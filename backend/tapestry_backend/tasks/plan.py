"""A request becomes a frozen plan: everything resolved, nothing loaded, nothing computed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from tapestry_protocol.adapters import Control, Lora
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Region, Request
from tapestry_protocol.pixels import Bounds
from tapestry_protocol.sentences import Sentence, quoted

from ..engine.composition import DRAFT_SIGNALS, draft_size
from ..engine.extension import FOLLOW_FAR, FOLLOW_NEAR, Follow
from ..engine.jumps import CannotJumpError, Jump, plan_jumps
from ..engine.noise_schedule import SamplingStep, first_index, sampling_steps, share_until
from ..engine.views import WindowLayout
from ..engine.windows import Size, native_window
from ..models.denoiser import Denoiser
from ..models.schedulers import check_steps

_REPORTED = (
    *("task", "model", "seed", "scheduler", "num_inference_steps", "feather_px"),
    *("continue_regions", "under_px", "harmonise", "wrap", "coherence", "melt", "speed"),
    *("step_cache", "clip_skip"),
)
"""Fields of the request in a report; the others are pixels, or resolved in the plan."""


class _SpeedSettings(NamedTuple):
    """What a speed leaves out.

    stride     from window to window, in windows, where the request names none
    moving     whether a canvas without regions takes windows side by side that move: a region needs
               fewer windows when they lie around its mask; and of windows that move a step cache
               remembers nothing
    guidance_every    after the first steps, guidance is computed in every n-th step, and
               used again between. (Without any in the last steps, single windows kept 0.6 to 0.7 of
               their fine detail on average, mountains 0.3)
    """

    stride: float
    moving: bool
    guidance_every: int


_SPEEDS = {
    "quality": _SpeedSettings(stride=0.5, moving=False, guidance_every=1),
    "balanced": _SpeedSettings(stride=0.75, moving=False, guidance_every=2),
    "fast": _SpeedSettings(stride=0.75, moving=True, guidance_every=3),
}


_STRIDE_HELD = 0.75
"""From window to window, in windows, in the last steps of moving ones that paint over a picture
that is there: borders heal before, and what is large is held."""


@dataclass(frozen=True)
class RegionPlan:
    """What one region (or, as the last one, the background) asks for.

    Adapters are its own and the picture's; those that count nothing are left out.
    """

    prompt: str
    negative_prompt: str
    guidance_scale: float
    weight: float
    seed: int
    fit: str
    strength: float
    loras: tuple[Lora, ...]
    controls: tuple[Control, ...]


@dataclass(frozen=True)
class DraftPlan:
    """A small picture of the whole, its size in cells, and what the large one takes from it.

    start      the share of the steps that it replaces
    preserve_until    the share of the steps in which what is large follows it
    """

    size: Size
    start: float
    preserve_until: float


@dataclass(frozen=True)
class Plan:
    """Everything that a run needs: the request, and what was resolved from it.

    canvas     the latent canvas, in cells; covers the output and is at least one window large
    origin     where the corner of the document before extension lies on the canvas, in cells
    output     the part of the canvas that is the picture, in pixels of the canvas
    document   the document before extension, in pixels of the canvas
    regions    topmost first, the background as the last
    follow     how long new cells follow the continued edges of the picture that is there
    jumps      which steps are taken back and again, in this order
    draft      the small picture that is made first; None: no draft
    anchor     the point whose window all others follow, in cells of the canvas
    guidance_every    after the first steps, guidance is computed in every n-th step
    """

    request: Request
    device: str
    dtype: str
    scheduler_class: str
    regions: tuple[RegionPlan, ...]
    strength: float
    cell_px: int
    canvas: Size
    origin: Size
    output: Bounds
    document: Bounds
    window: Size
    stride: Size
    windows: str
    follow: Follow
    jumps: tuple[Jump, ...]
    draft: DraftPlan | None
    anchor: Size
    guidance_every: int
    batch_size: int

    @property
    def layout(self) -> WindowLayout:
        """How the canvas is cut into windows."""
        return WindowLayout(
            self.canvas,
            self.window,
            self.stride,
            "shift" if self.windows == "shift" else "overlap",
            self.request.expert.window_weighting,
            self.request.wrap,
            self.request.expert.fusion,
        )

    @property
    def origin_px(self) -> tuple[int, int]:
        """(down, right): from document coordinates before extension to pixels of the canvas."""
        return self.origin.height * self.cell_px, self.origin.width * self.cell_px

    def to_json(self) -> dict[str, Any]:
        """Plain values for the report."""
        asked = asdict(self.request)
        resolved = asdict(self)
        del resolved["request"], resolved["jumps"]
        resolved["steps_again"] = sum(jump.steps for jump in self.jumps)
        return {name: asked[name] for name in _REPORTED} | asked["expert"] | resolved


def make_plan(request: Request, model: Denoiser) -> Plan:
    """Resolve a request for a model; raises TapestryError where the two do not fit."""
    cell_px = model.cell_px
    _check_wrap(request, cell_px)
    _check_step_cache(request, model)
    canvas, window, origin, output = _lay_out(request, model)
    document = Bounds(0, 0, request.height, request.width).moved(
        origin.height * cell_px, origin.width * cell_px
    )
    scheduler = model.make_scheduler(request.scheduler, window)
    check_steps(scheduler, request.num_inference_steps)
    scheduler.set_timesteps(request.num_inference_steps)
    steps = sampling_steps(scheduler)
    near, far = (share_until(steps, signal) for signal in (FOLLOW_NEAR, FOLLOW_FAR))
    return Plan(
        request=request,
        device=str(model.device),
        dtype=str(model.dtype).removeprefix("torch."),
        scheduler_class=type(scheduler).__name__,
        regions=_plan_regions(request),
        strength=request.strength if request.task in {"refine", "upscale", "edit"} else 1.0,
        cell_px=cell_px,
        canvas=canvas,
        origin=origin,
        output=output,
        document=document,
        window=window,
        stride=_stride(request, canvas, window, cell_px),
        windows=_windows(request),
        guidance_every=_SPEEDS[request.speed].guidance_every,
        follow=Follow(near, far, max(window)),
        jumps=_plan_jumps(request, scheduler, steps, near),
        draft=_plan_draft(request, canvas, window, model, steps),
        anchor=_anchor(request, canvas, origin, cell_px),
        batch_size=model.batch_size,
    )


def plan_as_told(request: Request, told: Mapping[str, Any]) -> Plan:
    """The plan of this request as a report tells it, without the model that it was made for.

    Steps that are taken again are only counted there: `jumps` is empty.
    """
    plain = ("device", "dtype", "scheduler_class", "strength", "cell_px", "windows")
    kept: dict[str, Any] = {n: told[n] for n in (*plain, "guidance_every", "batch_size")}
    kept |= {n: Size(*told[n]) for n in ("canvas", "origin", "window", "stride", "anchor")}
    kept |= {n: Bounds(**told[n]) for n in ("output", "document")}
    if (draft := told["draft"]) is not None:
        draft = DraftPlan(**{**draft, "size": Size(*draft["size"])})
    regions, follow = _plan_regions(request), Follow(*told["follow"])
    return Plan(request=request, regions=regions, follow=follow, jumps=(), draft=draft, **kept)


def _plan_jumps(
    request: Request, scheduler: Any, steps: Sequence[SamplingStep], near: float
) -> tuple[Jump, ...]:
    """near: the share of the steps after which all new cells are free."""
    try:
        return plan_jumps(scheduler, steps, request.harmonise, first_index(scheduler, 1 - near))
    except CannotJumpError:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "The checkpoint's own scheduler, {kind}, cannot take steps back.",
                kind=type(scheduler).__name__,
            ),
            'Set "Harmonise" to 0, or choose a scheduler by its name, for instance "dpmpp_2m".',
        ) from None


def _check_step_cache(request: Request, model: Denoiser) -> None:
    if request.step_cache and not model.remembers_steps:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "The model {name} has no step cache: it is no transformer.", name=quoted(model.id)
            ),
            'Set "Step cache" to 0, or choose a model such as FLUX, Z-Image or Qwen-Image.',
        )


def _check_wrap(request: Request, cell_px: int) -> None:
    """A picture that wraps around is whole cells wide, and so is its left margin."""
    margins = request.margins
    width = margins.left + request.width + margins.right
    if request.wrap and (width % cell_px or margins.left % cell_px):
        whole = math.ceil(width / cell_px) * cell_px
        advice = (
            Sentence(
                "Extend it by multiples of {cell} pixels, to a width of {whole} pixels.",
                cell=cell_px,
                whole=whole,
            )
            if margins.left or margins.right
            else Sentence("Resize the canvas to {whole} pixels.", whole=whole)
        )
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "A picture that wraps around must be a multiple of {cell} pixels wide; this "
                "one is {width}.",
                cell=cell_px,
                width=width,
            ),
            advice,
        )


def _stride(request: Request, canvas: Size, window: Size, cell_px: int) -> Size:
    """What the speed says, or what was asked for, on whole cells; a window at most."""
    if not request.expert.stride_px:
        share = _SPEEDS[request.speed].stride
        if request.task == "upscale" and _windows(request) == "shift":
            share = max(share, _STRIDE_HELD)
        return Size(*(max(1, int(share * side)) for side in window))
    cells = max(1, round(request.expert.stride_px / cell_px))
    sides = [side for side, length in zip(window, canvas, strict=True) if length > side]
    most = min(sides, default=max(window))
    if cells > most:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "A stride of {stride} pixels leaves gaps between windows of {window} pixels.",
                stride=request.expert.stride_px,
                window=most * cell_px,
            ),
            Sentence("Choose a stride of {most} pixels, or less.", most=most * cell_px // 2),
        )
    return Size(*(min(cells, side) for side in window))


def _windows(request: Request) -> str:
    held = request.regions or request.expert.stride_px or request.step_cache
    moving = _SPEEDS[request.speed].moving and not held
    return "shift" if moving else request.expert.windows


def _lay_out(request: Request, model: Denoiser) -> tuple[Size, Size, Size, Bounds]:
    """The plan's canvas, window, origin and output: the document's own corner lies on a cell.

    What pads a canvas that is smaller than its window lies around it in equal parts: the middle is
    where models put their subject.
    """
    cell_px, margins = model.cell_px, request.margins
    above, beside = (math.ceil(margin / cell_px) for margin in (margins.top, margins.left))
    rows = above + math.ceil((request.height + margins.bottom) / cell_px)
    columns = beside + math.ceil((request.width + margins.right) / cell_px)
    window = native_window(Size(rows, columns), model.window, model.cell_step, model.longest)
    if request.wrap:
        window = Size(window.height, min(window.width, columns))
    canvas = Size(max(rows, window.height), max(columns, window.width))
    origin = Size(
        above + (canvas.height - rows) // 2,
        beside + (canvas.width - columns) // 2,
    )
    top, left = origin.height * cell_px, origin.width * cell_px
    output = Bounds(
        top - margins.top,
        left - margins.left,
        top + request.height + margins.bottom,
        left + request.width + margins.right,
    )
    return canvas, window, origin, output


def _plan_draft(
    request: Request, canvas: Size, window: Size, model: Denoiser, steps: Sequence[SamplingStep]
) -> DraftPlan | None:
    """Refining and filling leave the composition as it is; there is nothing to draft."""
    size = draft_size(canvas, window)
    if size is None or max(size) > model.longest:
        return None
    if not request.composition or request.task not in {"generate", "extend"}:
        return None
    start, until = (share_until(steps, most * request.composition) for most in DRAFT_SIGNALS)
    return DraftPlan(size, start, until)


def _anchor(request: Request, canvas: Size, origin: Size, cell_px: int) -> Size:
    if request.expert.anchor is None:
        return Size(canvas.height // 2, canvas.width // 2)
    row = origin.height + math.floor(request.expert.anchor.top / cell_px)
    column = origin.width + math.floor(request.expert.anchor.left / cell_px)
    return Size(min(max(row, 0), canvas.height - 1), min(max(column, 0), canvas.width - 1))


def _plan_regions(request: Request) -> tuple[RegionPlan, ...]:
    background = RegionPlan(
        prompt=styled(background_prompt(request), request.style),
        negative_prompt=request.negative_prompt,
        guidance_scale=request.guidance_scale,
        weight=1.0,
        seed=request.seed,
        fit="loose",
        strength=1.0,
        loras=_loras(request.loras),
        controls=_controls(request.controls),
    )
    return (*(_plan_region(region, request) for region in request.regions), background)


def _plan_region(region: Region, request: Request) -> RegionPlan:
    negative, scale, seed = region.negative_prompt, region.guidance_scale, region.seed
    return RegionPlan(
        prompt=styled(region.prompt, request.style),
        negative_prompt=request.negative_prompt if negative is None else negative,
        guidance_scale=request.guidance_scale if scale is None else scale,
        weight=region.weight,
        seed=request.seed if seed is None else seed,
        fit=region.fit,
        strength=region.strength,
        loras=_loras((*request.loras, *region.loras)),
        controls=_controls((*request.controls, *region.controls)),
    )


def _loras(loras: Sequence[Lora]) -> tuple[Lora, ...]:
    """If an adapter is named twice, the last weight wins; those of weight 0 are left out."""
    last = {lora.adapter: lora for lora in loras}
    return tuple(lora for lora in last.values() if lora.weight)


def _controls(controls: Sequence[Control]) -> tuple[Control, ...]:
    return tuple(control for control in controls if control.weight)


def styled(prompt: str, style: str) -> str:
    """A prompt with the style that all prompts share."""
    return ", ".join(part.strip() for part in (prompt, style) if part.strip())


def background_prompt(request: Request) -> str:
    """What is painted where no region is: without a prompt of its own, all regions' together.

    An empty prompt lets a model paint anything; the names of all regions keep the gaps between
    roughly painted areas in the picture's own world.
    """
    if request.melt:
        return ", ".join(melting_prompts(request))
    if request.prompt.strip() or request.task != "generate":
        return request.prompt
    return ", ".join(dict.fromkeys(r.prompt for r in request.regions if r.prompt.strip()))


def melting_prompts(request: Request) -> tuple[str, ...]:
    """What layers that melt together are all painted with: the background's words, and theirs."""
    prompts = (request.prompt, *(region.prompt for region in request.regions))
    return tuple(dict.fromkeys(prompt.strip() for prompt in prompts if prompt.strip()))
