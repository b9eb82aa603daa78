"""Runs a request from beginning to end and tells of every step; knows no socket, file or widget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds
from tapestry_protocol.request_checks import check_request

from ..engine.multidiffusion import Guidance, MultiDiffusion, plan_views
from ..engine.noise import canvas_noise, job_generator
from ..engine.sampling import sample
from ..engine.windows import window_weights
from ..models.denoiser import Denoiser
from ..models.store import ModelStore
from .canvas import cut_output, preview_rgba, region_weights, to_rgba
from .events import Finished, Progressed
from .extend import ExistingPicture
from .plan import Plan, make_plan
from .report import Stopwatch, make_report

_HALO_CELLS = 8
"""Cells decoded beyond the edges, as far as an autoencoder's convolutions reach noticeably."""


def run(
    request: Request, blobs: Mapping[str, bytes], store: ModelStore
) -> Iterator[Progressed | Finished]:
    """Make the picture of a request; the last event is `Finished`.

    blobs maps SHA-256 to bytes and holds everything in `request.blobs`. Whoever iterates shows
    progress, and cancels by iterating no longer. Raises TapestryError for whatever an artist can
    meet: a request that cannot become a picture, a damaged model, numbers that are not finite.
    """
    check_request(request)
    watch = Stopwatch()
    yield Progressed("loading")
    with watch.stage("load"):
        model = store.load(request.model)
    yield Progressed("encoding")
    with watch.stage("encode"):
        plan = make_plan(request, model)
        picture = None
        if request.image is not None:
            picture = ExistingPicture.read(request.image, blobs, plan, model)
        denoise = _make_denoiser(request, blobs, plan, model, picture)
    latents = yield from _denoise(plan, model, denoise, picture, watch)
    yield Progressed("decoding")
    with watch.stage("decode"):
        pixels, alpha = decode_canvas(model, latents, wrap=plan.wrap), None
        _check_finite(pixels, "decoding")
        if picture is not None:
            pixels, new = picture.finish(pixels)
            alpha = cut_output(new, plan)
        rgba = to_rgba(cut_output(pixels, plan)[0], alpha)
    yield Finished(rgba, _output_bounds(request), make_report(plan, denoise, watch))


def decode_canvas(model: Denoiser, latents: Tensor, *, wrap: bool) -> Tensor:
    """Latents [1, C, h, w] -> pixels [1, 3, H, W] in 0..1, float32; seamless where it wraps.

    A canvas of one window is decoded as it is: the very picture of the model's own pipeline. A
    larger one is continued beyond its edges first, because an autoencoder's convolutions see zeros
    there and paint a frame: change at the outermost pixels was 6 times the mean of the picture, and
    would stand as a line in every extension of it.
    """
    if tuple(latents.shape[-2:]) == (model.window, model.window) and not wrap:
        return _to_unit(model.decode(latents))
    above = _HALO_CELLS
    beside = min(_HALO_CELLS, latents.shape[-1])  # a canvas continues itself around once at most
    sides = "circular" if wrap else "replicate"
    padded = functional.pad(latents, (beside, beside, 0, 0), mode=sides)
    padded = functional.pad(padded, (0, 0, above, above), mode="replicate")
    rows, columns = above * model.cell_px, beside * model.cell_px
    return _to_unit(model.decode(padded)[..., rows:-rows, columns:-columns])


def _to_unit(pixels: Tensor) -> Tensor:
    return (pixels.float() / 2 + 0.5).clamp(0, 1)


def _make_denoiser(
    request: Request,
    blobs: Mapping[str, bytes],
    plan: Plan,
    model: Denoiser,
    picture: ExistingPicture | None,
) -> MultiDiffusion:
    """The plan's windows and regions as one denoiser of the canvas."""
    weights = region_weights(request, blobs, plan)
    if picture is not None:
        # Nobody reads a prediction where the picture is known: views without weight are dropped.
        weights = weights * picture.new_cells
    ramps = window_weights(plan.windows, plan.canvas, wrap=plan.wrap)
    views = plan_views(plan.windows, ramps, weights)
    views = [view._replace(weight=view.weight.to(model.device)) for view in views]
    encoded = model.encode_prompts((*plan.prompts, plan.negative_prompt))
    guided = plan.guidance_scale > 1
    guidance = Guidance(plan.guidance_scale, encoded[-1]) if guided else None
    return MultiDiffusion(model.predict, views, encoded[:-1], guidance, plan.batch_size)


def _denoise(
    plan: Plan,
    model: Denoiser,
    denoise: MultiDiffusion,
    picture: ExistingPicture | None,
    watch: Stopwatch,
) -> Iterator[Progressed]:
    """Tells of every step; returns the latents of the finished picture."""
    noise = canvas_noise(plan.seed, model.channels, plan.canvas, plan.origin)
    noise = noise.to(model.device)  # float32 on every device: only the model works in its own type
    scheduler = model.make_scheduler()
    steps = sample(
        denoise,
        scheduler,
        noise,
        plan.num_inference_steps,
        job_generator(plan.seed),
        picture.anchor if picture else None,
    )
    latents, count = noise, 0
    yield Progressed("denoising", 0, plan.num_inference_steps)
    while True:
        with watch.stage("denoise"):
            step = next(steps, None)
            if step is None:
                return latents
            latents, count = step.latents, count + 1
            _check_finite(latents, f"denoising (step {count})")
            preview = preview_rgba(model.preview(step.denoised), plan)
        yield Progressed("denoising", count, len(scheduler.timesteps), preview)


def _check_finite(values: Tensor, stage: str) -> None:
    """Raises TapestryError when a number is NaN or infinite: a black layer helps nobody."""
    if not bool(torch.isfinite(values).all()):
        raise TapestryError(
            ErrorCode.NOT_FINITE,
            f"The model gave numbers that are not finite while {stage}.",
            "Try a lower guidance scale, or another checkpoint.",
        )


def _output_bounds(request: Request) -> Bounds:
    margins = request.margins
    return Bounds(
        -margins.top,
        -margins.left,
        request.height + margins.bottom,
        request.width + margins.right,
    )
