"""A picture made larger: enlarged, then painted over in windows that move, true to what it was.

The second stage of Any-Size-Diffusion (Zheng et al. 2023); the first stage is the picture that
becomes larger. With an autoencoder without norms, whatever is as large as the result comes and goes
in bands, and in between there are latents alone; one with norms encodes and decodes all at once.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.adapters import Control
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds, Pixels
from tapestry_protocol.request_checks import check_contents, check_request, upscaled_size
from tapestry_protocol.sentences import Sentence, quoted

from ..checkpoints.adapter_catalogue import PICTURED
from ..checkpoints.upscaler_file import Upscaler
from ..engine.composition import STRUCTURED, PreserveComposition, structure
from ..engine.extension import pull_push
from ..engine.noise_schedule import SamplingStep
from ..engine.regions import PaintedMask, lift_thin, occlude, weigh
from ..engine.sampling import Preserved
from ..engine.windows import Size, Window
from ..models.denoiser import Denoiser
from ..models.esrgan import Enlarger
from ..models.model_cache import ModelCache
from .canvas import pixel_array, preview_rgba
from .canvas_source import CanvasSource
from .conditioning import Conditioning
from .decoding import decode_canvas, decode_part
from .denoising_pass import DenoisingPass, Texts
from .events import Finished, Progressed
from .failure_messages import telling_of_memory, unlike_few_steps, unused_clip_skip
from .finite import check_finite
from .model_loading import load_model
from .plan import Plan, make_plan
from .report import Stopwatch, make_report
from .resampling import resized

_BAND_PX = 2**21
"""Pixels that are enlarged or decoded at once."""

_ENCODED_PX = 2**19
"""Pixels that are encoded at once: an encoder's activations take half a KiB for each of them."""

_SEEN_CELLS = 8
"""Cells around a part that are encoded with it. An encoder without norms (AutoencoderTiny) sees up
to 19 cells far; what lies beyond eight changes a latent by less than a millionth."""

_BEGINS = 0.58
"""The share of the noise that a strength begins with is the strength to this power: half of it at
0.3. Nothing fine is to be seen in what was enlarged, and less noise would let little in; what is
large is held all the same."""

_FINE_NOISE = 0.21
"""And a model that is told the truth about its noise paints little into what is smooth: at strength
0.3 there is 0.15 more of what is finer than two cells. As much of all of it made specks in scenes,
and less detail. None is added to what starts from noise alone."""

_SHARPENED = 1.2
"""How much stronger what is finer than three cells of the guessed picture becomes, in all steps
together, at hardly any strength: a model that begins with a blur stays softer than from noise."""

_LEAST_STEPS = 6
"""Of fewer, no step does more: that of a model made for few steps would draw halos."""

_LOOKED_AT_PX = 1024
"""The longest side of a picture in which scenes are told from textures; of longer ones, every
second pixel and so on."""

_WHOLE = 0.99
"""The share of a cell from which on a region is alone there."""

_AROUND_PX = 4
"""Pixels of the first stage around a band that its correction depends on."""


@dataclass(frozen=True)
class Band:
    """The next rows of the result, from the top: uint8 [rows, width, 4]."""

    pixels: np.ndarray


@dataclass(frozen=True)
class Upscaled:
    """The end; the bands were all of the picture. report: as in `Finished`."""

    report: Mapping[str, Any]


def check_upscale(request: Request, factor: float, model_cache: ModelCache) -> Size:
    """The size of the result, of a picture as large as the request.

    Raises TapestryError for what can be known before the picture is there, and anything loaded.
    """
    size = Size(*upscaled_size(request.height, request.width, factor))
    check_contents(request)
    model_cache.check(request)
    if model_cache.variant_of(request.model) == "inpaint":
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "A checkpoint for inpainting enlarges no pictures.",
            "Choose a checkpoint that paints from a prompt.",
        )
    return size


def upscale(
    first: np.ndarray,
    request: Request,
    factor: float,
    blobs: Mapping[str, bytes],
    model_cache: ModelCache,
    *,
    moving: bool = True,
    upscaler: Upscaler | None = None,
) -> Iterator[Progressed | Band | Upscaled]:
    """Make a picture uint8 [h, w, 4] larger; the last event is `Upscaled`.

    request: prompts and regions that hold for the picture as it is, and how it is painted over;
    its `strength` says how far that may go: 0 is the enlarged picture. factor: from 1 to
    MAX_FACTOR. moving: windows lie side by side and move at every step; otherwise they overlap,
    at twice the cost. upscaler: the network that enlarges; None: Lanczos' filter. Raises
    TapestryError as `run` does.
    """
    size = check_upscale(request, factor, model_cache)
    if not first[..., 3].any():
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "There is nothing to enlarge: the picture is transparent.",
            "Choose a picture, or paint one first.",
        )
    larger = replace(
        request,
        task="upscale",
        height=size.height,
        width=size.width,
        regions=tuple(_as_a_prompt(region) for region in request.regions),
        image=None,
        wrap=False,
        composition=0.0,
        coherence=0.0,
        step_cache=0.0,
        layered=False,
        expert=replace(request.expert, windows="shift" if moving else "overlap", bootstrapping=0.0),
    )
    larger, notices = model_cache.catalogue.adapters.read(larger)
    events = _events(first, request, larger, blobs, model_cache, notices, upscaler)
    yield from telling_of_memory(events, larger, model_cache.device)


def run_upscale(
    request: Request, blobs: Mapping[str, bytes], model_cache: ModelCache
) -> Iterator[Progressed | Finished]:
    """The same for a request with this task, of its own image and factor; as `run`."""
    check_request(request)
    if request.image is None:
        raise TypeError("the request was checked for that")
    first = pixel_array(request.image, blobs)
    upscaler = model_cache.catalogue.upscaler_of(request)
    joined = BytesIO()  # hands out what it holds without a copy
    for event in upscale(first, request, request.factor, blobs, model_cache, upscaler=upscaler):
        if isinstance(event, Progressed):
            yield event
        elif isinstance(event, Band):
            joined.write(event.pixels.data)
            yield Progressed("decoding")
        else:
            size = Size(*upscaled_size(request.height, request.width, request.factor))
            pixels = Pixels(size.height, size.width, 4, joined.getvalue())
            yield Finished(pixels, Bounds(0, 0, size.height, size.width), event.report)


def _less_guided(request: Request, picture: np.ndarray, weights: Tensor) -> Request:
    """The less of a scene is painted anew, the less words press there: guidance comes down to 1.

    Every window is told the whole prompt. With full guidance, one that saw nothing but sky painted
    small mountains into it. Of a texture each window shows what all of it does: there words press
    as they were asked to, and paint detail.

    picture [3, h, w] in 0..1; weights [N + 1, h', w']: each region's share, the background's last.
    """
    every = -(-max(picture.shape) // _LOOKED_AT_PX)
    pixels = torch.from_numpy(picture[:, ::every, ::every])[None]
    shares = functional.interpolate(weights[None], pixels.shape[-2:])[0]
    # Its outline is no part of what a region shows: cells count that are wholly its own.
    is_scene = [structure(pixels, (own > _WHOLE).float()) >= STRUCTURED for own in shares]

    def lowered(scale: float) -> float:
        return min(scale, 1 + (scale - 1) * request.strength**2)

    regions = []
    for region, lowers in zip(request.regions, is_scene, strict=False):
        own = region.guidance_scale
        scale = request.guidance_scale if own is None else own
        regions.append(replace(region, guidance_scale=lowered(scale) if lowers else scale))
    scale = lowered(request.guidance_scale) if is_scene[-1] else request.guidance_scale
    return replace(request, guidance_scale=scale, regions=tuple(regions))


def _as_a_prompt(region: Region) -> Region:
    """A region whose outline and paint are in the picture already."""
    return replace(region, fit="loose", strength=1.0, paint=None)


def _events(
    first: np.ndarray,
    request: Request,
    larger: Request,
    blobs: Mapping[str, bytes],
    model_cache: ModelCache,
    notices: tuple[str, ...],
    upscaler: Upscaler | None,
) -> Iterator[Progressed | Band | Upscaled]:
    """From beginning to end; `larger` is the request for the result."""
    watch = Stopwatch()
    model = yield from load_model(larger, model_cache, watch)
    with watch.stage("encode"):
        plan = make_plan(larger, model)
        picture = enlarged = _opaque(first)
        weights = _weights(request, blobs, plan)
        larger = _less_guided(larger, picture, _of_the_output(weights, plan))
        plan = make_plan(larger, model)
        if upscaler is not None:
            enlarged = yield from _by_network(picture, upscaler, model)
        args = first, request, larger, blobs, plan, model, model_cache
        plan, conditioning, tile = _conditioned(*args)
        texts = Texts.encode(plan, model, conditioning)
        check_finite(texts.conditions, "reading the prompts")
    all_notices = [*notices, *tile, *texts.notices, *conditioning.notices]
    evaluations = 0
    if larger.strength:
        steps = max(1, round(larger.num_inference_steps * larger.strength))
        variant = model_cache.variant_of(larger.model)
        all_notices += unlike_few_steps(variant, steps, request.guidance_scale)
        all_notices += unused_clip_skip(larger.clip_skip, is_known=model.knows_clip_skip)
        with watch.stage("encode"):
            start = _encoded(enlarged, plan, model)
        large = _preserve_composition(start, picture, plan)
        painting = _denoising_pass(start, weights, plan, model, texts, conditioning)
        del start, enlarged  # a large picture has no room for what nobody reads any more
        latents = yield from _painted(painting, large, model, plan, watch)
        evaluations = painting.denoise.evaluations
        del painting, large
        bands = _decoded(latents, picture, plan, model)
    else:
        bands = _enlarged(enlarged, plan)
    yield Progressed("decoding")
    while True:
        with watch.stage("decode"):
            band = next(bands, None)
            if band is None:
                break
            top, pixels = band
            rows = _with_alpha(pixels, first[..., 3], top, plan)
        yield Band(rows)
    report = make_report(plan, evaluations, all_notices, watch)
    report["upscaler"] = upscaler.path.name if upscaler else "lanczos"
    report["requested_guidance_scale"] = request.guidance_scale
    yield Upscaled(report)


def _painted(
    painting: DenoisingPass,
    large: PreserveComposition,
    model: Denoiser,
    plan: Plan,
    watch: Stopwatch,
) -> Generator[Progressed, None, Tensor]:
    """The finished latents [1, C, h, w]; tells of every step."""
    yield Progressed("denoising")

    def sharpen(clean: Tensor, step: SamplingStep) -> Tensor:
        taken = max(1, round(step.num_steps * plan.strength**_BEGINS))
        return _sharpened(clean, taken, plan.strength)

    steps = painting.steps([large, sharpen])
    while True:
        with watch.stage("denoise"):
            step = next(steps, None)
            if step is None:
                break
            check_finite(step.latents, f"denoising (step {step.number})")
            latents = step.latents
        preview = partial(_preview, model, plan, step.denoised)
        yield Progressed("denoising", step.number, step.num_steps, preview)
    return latents


def _sharpened(clean: Tensor, num_steps: int, strength: float) -> Tensor:
    """A guessed picture [1, C, h, w], at one of so many steps, with more of what is fine."""
    around = functional.avg_pool2d(clean, 3, 1, padding=1, count_include_pad=False)
    share = _SHARPENED / max(num_steps, _LEAST_STEPS)
    return torch.lerp(around, clean, 1 + share * (1 - strength))


def _by_network(
    picture: np.ndarray, upscaler: Upscaler, model: Denoiser
) -> Generator[Progressed, None, np.ndarray]:
    """The picture as a network enlarges it, however large that is."""
    larger = picture
    for larger in Enlarger(upscaler, model.device).enlarged(picture):  # noqa: B007  the last counts
        yield Progressed("encoding")
    if not np.isfinite(larger).all():
        raise TapestryError(
            ErrorCode.NOT_FINITE,
            Sentence(
                "The upscaler {name} gave numbers that are not finite.",
                name=quoted(upscaler.path.name),
            ),
            "Choose another one, or leave it out.",
        )
    return larger


def _conditioned(
    first: np.ndarray,
    request: Request,
    larger: Request,
    blobs: Mapping[str, bytes],
    plan: Plan,
    model: Denoiser,
    model_cache: ModelCache,
) -> tuple[Plan, Conditioning, tuple[str, ...]]:
    """With a ControlNet that keeps the picture what it is, where there is one; what is told of it.

    One that nobody asked for by name, and that cannot be used, is done without.
    """
    adapters = model_cache.catalogue.adapters

    def conditioning(held: Request, plan: Plan, blobs: Mapping[str, bytes]) -> Conditioning:
        small = replace(held, task=request.task, height=request.height, width=request.width)
        return Conditioning(held, blobs, plan, model, adapters, make_plan(small, model))

    shown_already = {adapters.find(c.adapter, *PICTURED).id for c in larger.all_controls}
    for tile in adapters.tile_networks if larger.strength else ():
        if tile.id in shown_already:
            break  # the artist's own picture is what it is to keep
        control = Control(tile.id, control_type="tile" if "tile" in tile.types else "")
        held = replace(larger, controls=(*larger.controls, control))
        try:
            model_cache.check(held)
        except TapestryError:
            continue  # it was made for another model
        shown = Pixels(request.height, request.width, 4, _shown(first).tobytes())
        bounds = Bounds(0, 0, request.height, request.width)
        control = replace(control, bounds=bounds, image=PixelsRef.of(shown))
        held = replace(larger, controls=(*larger.controls, control))
        try:
            held_plan = make_plan(held, model)
            with_tile = conditioning(held, held_plan, {**blobs, shown.sha256: shown.data})
        except TapestryError as error:
            without = Sentence(
                "The ControlNet {name} was left out: {why}", name=quoted(tile.id), why=error.message
            )
            return plan, conditioning(larger, plan, blobs), (without,)
        used = Sentence(
            "The ControlNet {name} keeps the picture what it was.", name=quoted(tile.id)
        )
        return held_plan, with_tile, (used,)
    return plan, conditioning(larger, plan, blobs), ()


def _shown(first: np.ndarray) -> np.ndarray:
    """What a tile network is shown, uint8 [h, w, 4]: all of it opaque."""
    colours = (_opaque(first) * 255).round().astype(np.uint8).transpose(1, 2, 0)
    return np.concatenate([colours, np.full_like(colours[..., :1], 255)], axis=2)


def _denoising_pass(
    start: Tensor,
    weights: Tensor,
    plan: Plan,
    model: Denoiser,
    texts: Texts,
    conditioning: Conditioning,
) -> DenoisingPass:
    """From the noise that the strength begins with, in the strength's share of the steps."""
    begins = plan.strength**_BEGINS
    steps = max(1, round(plan.request.num_inference_steps * plan.strength / begins))
    plan = replace(plan, request=replace(plan.request, num_inference_steps=steps))
    until = torch.full(plan.canvas, 1 - begins)
    source = CanvasSource(weights, None, until, None, cell_px=1)  # both are given in cells already
    preserved = Preserved(start, until.to(model.device))
    fine_noise = _FINE_NOISE * (1 - plan.strength)
    args = plan, model, texts, conditioning, source, plan.layout, preserved
    return DenoisingPass(*args, fine_noise=fine_noise)


def _preserve_composition(start: Tensor, picture: np.ndarray, plan: Plan) -> PreserveComposition:
    """To the end, what is as large as a cell of the first stage stays as it is there."""
    cells = Size(*(max(1, round(side / plan.cell_px)) for side in picture.shape[1:]))
    return PreserveComposition(start, cells, 0.0, math.inf, torch.ones(plan.canvas).to(start))


def _weights(request: Request, blobs: Mapping[str, bytes], plan: Plan) -> Tensor:
    """Each region's share of each cell, the background's as the last: [N + 1, h, w]."""
    output, cell_px = plan.output, plan.cell_px
    cells = tuple(-(-side // cell_px) for side in (output.height, output.width))
    masks = []
    for region in request.regions:
        mask = torch.from_numpy(pixel_array(region.mask, blobs))[..., 0].float() / 255
        bounds = region.bounds
        beside = (bounds.left, request.width - bounds.right)
        whole = functional.pad(mask, (*beside, bounds.top, request.height - bounds.bottom))
        shares = functional.interpolate(whole[None, None], cells, mode="area")[0, 0]
        masks.append(PaintedMask(plan.origin.height, plan.origin.width, shares))
    covered = occlude(masks, plan.canvas, 1)
    return lift_thin(weigh(covered, [region.weight for region in request.regions]))


def _of_the_output(weights: Tensor, plan: Plan) -> Tensor:
    """Those of the cells that show the picture: not of what pads a canvas."""
    cells = (plan.output.height, plan.output.width)
    rows, columns = (-(-side // plan.cell_px) for side in cells)
    top, left = plan.origin
    return weights[:, top : top + rows, left : left + columns]


def _encoded(picture: np.ndarray, plan: Plan, model: Denoiser) -> Tensor:
    """The enlarged picture as latents [1, C, h, w]; in parts where the autoencoder has no norms."""
    cell, canvas = plan.cell_px, plan.canvas
    latents = torch.empty(1, model.channels, *canvas, device=model.device)
    most = (_BAND_PX, _ENCODED_PX) if model.decodes_locally else (math.inf, math.inf)
    for top, bottom in _spans(canvas.height, canvas.width * cell**2, most[0]):
        above, below = _around(top, bottom, canvas.height)
        pixels = _canvas_rows(picture, above * cell, below * cell, plan)
        for left, right in _spans(canvas.width, (below - above) * cell**2, most[1]):
            before, after = _around(left, right, canvas.width)
            part = pixels[..., before * cell : after * cell].to(model.device) * 2 - 1
            found = model.encode(part).float()
            inside = found[..., top - above : bottom - above, left - before : right - before]
            latents[..., top:bottom, left:right] = inside
    check_finite(latents, "encoding what is there")
    return latents


def _around(first: int, last: int, length: int) -> tuple[int, int]:
    """The same cells of an axis of this length, and those that are encoded with them."""
    return max(0, first - _SEEN_CELLS), min(length, last + _SEEN_CELLS)


def _decoded(
    latents: Tensor, picture: np.ndarray, plan: Plan, model: Denoiser
) -> Iterator[tuple[int, Tensor]]:
    """The result in bands, from the top: the first row, and pixels [1, 3, rows, width] in 0..1.

    What they become when shrunk again is drawn towards the first stage, the more the less the
    strength (back-projection, Irani and Peleg 1991): outlines stay sharp, and where they were.
    """
    cell, output = plan.cell_px, plan.output
    scale = output.height / picture.shape[1]
    whole = None if model.decodes_locally else decode_canvas(model, latents, wrap=False)
    for start, stop in _spans(output.height, output.width, _BAND_PX):
        above = max(0, math.floor(start / scale) - _AROUND_PX)
        below = min(picture.shape[1], math.ceil(stop / scale) + _AROUND_PX)
        seen = slice(math.floor(above * scale), min(output.height, math.ceil(below * scale)))
        top, bottom = (output.top + seen.start) // cell, -(-(output.top + seen.stop) // cell)
        if whole is None:
            part = Window(top, 0, bottom, plan.canvas.width)
            pixels = decode_part(model, latents, part, wrap=False).float()
            pixels = pixels.div_(2).add_(0.5)
            check_finite(pixels, "decoding")
        else:
            pixels = whole[..., top * cell : bottom * cell, :]
        row = output.top + seen.start - top * cell
        rows = pixels[0, :, row : row + seen.stop - seen.start, output.left : output.right]
        painted = rows.clamp(0, 1).cpu().numpy()
        shrunk = resized(
            painted,
            Size(below - above, picture.shape[2]),
            (above * scale - seen.start, below * scale - seen.start),
            "box",
        )
        change = resized(
            picture[:, above:below] - shrunk,
            Size(stop - start, output.width),
            (start / scale - above, stop / scale - above),
            "bicubic",
        )
        change *= 1 - plan.strength
        change += painted[:, start - seen.start : stop - seen.start]
        yield start, torch.from_numpy(change)[None].clamp_(0, 1)


def _enlarged(picture: np.ndarray, plan: Plan) -> Iterator[tuple[int, Tensor]]:
    """The same, of the picture as it is."""
    output = plan.output
    for start, stop in _spans(output.height, output.width, _BAND_PX):
        rows = _canvas_rows(picture, output.top + start, output.top + stop, plan)
        yield start, rows[..., output.left : output.right]


def _spans(length: int, width: int, most: float) -> Iterator[tuple[int, int]]:
    """Bands of `length` rows, from and to; width: the pixels of one of them, most: of a band."""
    rows = max(1, int(min(length, most / width)))
    for top in range(0, length, rows):
        yield top, min(top + rows, length)


def _canvas_rows(picture: np.ndarray, top: int, bottom: int, plan: Plan) -> Tensor:
    """Rows of the canvas: the picture enlarged, its edges continued; [1, 3, rows, width] in 0..1.

    picture: [3, h, w] in 0..1.
    """
    canvas, output, cell_px = plan.canvas, plan.output, plan.cell_px
    start = min(max(top - output.top, 0), output.height - 1)
    stop = max(min(bottom - output.top, output.height), start + 1)
    scale = picture.shape[1] / output.height
    rows, size = (start * scale, stop * scale), Size(stop - start, output.width)
    pixels = torch.from_numpy(resized(picture, size, rows, "lanczos"))
    around = (
        output.left,
        canvas.width * cell_px - output.right,
        output.top + start - top,
        bottom - output.top - stop,
    )
    return functional.pad(pixels[None].clamp_(0, 1), around, "replicate")


def _opaque(picture: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 4] -> colours float32 [3, h, w] in 0..1, continued where it is transparent."""
    known = torch.from_numpy(picture[..., 3] > 0)
    colours = torch.from_numpy(picture[..., :3].copy()).permute(2, 0, 1)[None].float() / 255
    return (colours if bool(known.all()) else pull_push(colours, known))[0].contiguous().numpy()


def _with_alpha(pixels: Tensor, alpha: np.ndarray, top: int, plan: Plan) -> np.ndarray:
    """A band [1, 3, rows, width] in 0..1, from row `top`, as uint8 [rows, width, 4].

    alpha uint8 [h, w]: of the first stage.
    """
    height, width = pixels.shape[-2:]
    rgba = np.full((height, width, 4), 255, dtype=np.uint8)
    rgba[..., :3] = (pixels[0] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    if (alpha < 255).any():
        scale = len(alpha) / plan.output.height
        rows = top * scale, (top + height) * scale
        values = alpha[None].astype(np.float32)
        own = resized(values, Size(height, width), rows, "bilinear")
        rgba[..., 3] = own[0].round().clip(0, 255)
    return rgba


def _preview(model: Denoiser, plan: Plan, denoised: Tensor) -> Pixels:
    return preview_rgba(model.preview(denoised), plan)
