"""Reads a document into an order, a band of rows at a time, in turns of Krita's event loop."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, cast

from tapestry_protocol.adapters import Control
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import PixelsRef, Region, Request, Selection
from tapestry_protocol.pixels import NO_MARGINS, Bounds, Margins, Pixels
from tapestry_protocol.request_checks import (
    check_canvas,
    check_prompt,
    check_region_count,
    check_request,
    upscaled_size,
)
from tapestry_protocol.sentences import Sentence, quoted

from ..common.stored_json import read_kept
from ..common.task_queue import give_way, pause
from ..settings.settings import SIDES, Mode, Settings
from .adapter_reading import controls_of, document_adapters, loras_of, moved
from .adapter_settings import PICTURE, DocumentAdapters
from .bands import any_paint, bands, read_in_bands
from .canvas import Canvas, Layer
from .coverage import reads_of, seen_alpha
from .editing import (
    earlier_results,
    edit_of,
    hide_layers,
    instruction_layers,
    layers_of_an_edit,
    place_layers,
    places_in,
    with_words,
    words_that_change,
)
from .layers import (
    DocumentScene,
    RegionLayer,
    find_background,
    layers_that_count,
    picture_name,
    pictures_of,
    read_scene,
    shows_own,
)
from .order import Order
from .references import with_references
from .region_settings import REGIONS_NOTE, DocumentRegions

Placed = TypeVar("Placed", Region, Selection)

_PATIENCE_S = 10.0

OWN_LAYERS_NOTE = "tapestry_layers"
"""Under this key a document keeps the ids of the layers that Tapestry made in it."""


def own_layers(canvas: Canvas) -> frozenset[str]:
    """Ids of the layers that Tapestry made in this document."""
    ids = read_kept(canvas.note(OWN_LAYERS_NOTE))
    return frozenset(map(str, ids)) if isinstance(ids, list) else frozenset()


def keep_own_layer(canvas: Canvas, layer_id: str) -> None:
    """Remember that Tapestry made this layer."""
    ids = sorted(own_layers(canvas) | {layer_id})
    canvas.keep_note(OWN_LAYERS_NOTE, json.dumps(ids))


def needs_painting(canvas: Canvas, scene: DocumentScene) -> bool:
    """Whether there are regions, and no picture of them can be seen."""
    return bool(scene.regions) and not shows_own(canvas.layers(), own_layers(canvas))


def document_regions(canvas: Canvas) -> DocumentRegions:
    """What the artist has set for the regions of this document."""
    return DocumentRegions.from_text(canvas.note(REGIONS_NOTE))


async def scene_of(canvas: Canvas) -> DocumentScene:
    """The regions and the background that the document has right now."""
    layers, own, stored = canvas.layers(), own_layers(canvas), document_regions(canvas)
    laid = document_adapters(canvas)
    shown = laid.shown(layers)
    whole = Bounds(0, 0, canvas.height, canvas.width)
    counting, _ = layers_that_count(layers, own, stored)
    steering = [layer for layer in counting if layer.id not in shown]
    ground = find_background(steering, whole, own)
    if ground is not None and not await _is_opaque(canvas, counting, ground.id, whole):
        ground = None
    scene = read_scene(layers, own, ground, stored, shown)
    pictures, places = pictures_of(layers), place_layers(canvas)
    return replace(scene, adapters=laid, pictures=pictures, places=places)


@dataclass(frozen=True)
class Target:
    """What is to be painted.

    part      of the document, which the request is about
    selected  what surrounds the selection; None: it does not count
    """

    task: Mode
    part: Bounds
    margins: Margins = NO_MARGINS
    selected: Bounds | None = None

    @property
    def reach(self) -> Bounds:
        """Where regions count: the part with its margins."""
        part, margins = self.part, self.margins
        return Bounds(
            part.top - margins.top,
            part.left - margins.left,
            part.bottom + margins.bottom,
            part.right + margins.right,
        )


def target_of(canvas: Canvas, settings: Settings, mode: Mode) -> Target:
    """Where to paint; raises TapestryError where that cannot be."""
    whole = Bounds(0, 0, canvas.height, canvas.width)
    target = Target(mode, whole)
    if mode == "extend":
        target = Target("extend", whole, settings.margins)
    elif mode == "upscale":
        of_selection = settings.upscale_into == "selection"
        target = Target(mode, _selected_bounds(canvas, mode) if of_selection else whole)
        upscaled_size(target.part.height, target.part.width, settings.upscale_factor)
    elif _keeps_to_selection(canvas, settings, mode):
        selected = _selected_bounds(canvas, mode)
        # What is generated anew has nothing that it should fit to.
        context_px = 0 if mode == "generate" else settings.context_px
        part = _grown(selected, context_px + settings.feather_px).intersection(whole)
        target = Target("fill" if mode == "generate" else mode, part, selected=selected)
    check_canvas(target.reach.height, target.reach.width)
    return target


def _keeps_to_selection(canvas: Canvas, settings: Settings, mode: Mode) -> bool:
    if mode == "generate":
        return settings.only_selection
    return mode != "edit" or canvas.selection() is not None


def order_to_enlarge(order: Order, picture: Pixels, settings: Settings) -> Order:
    """To make a picture larger that came for an order; its prompts and regions go along.

    So do control pictures, as long as they are there: a history keeps none.
    """
    image = PixelsRef.of(picture)

    def kept(controls: Sequence[Control]) -> tuple[Control, ...]:
        return tuple(c for c in controls if c.image is None or c.image.sha256 in order.blobs)

    request = replace(
        order.request,
        task="upscale",
        image=image,
        selection=None,
        live="",
        strength=settings.upscale_strength,
        factor=settings.upscale_factor,
        upscaler=settings.upscaler,
        wrap=False,
        melt=0.0,
        layered=False,
        controls=kept(order.request.controls),
        regions=tuple(
            replace(region, strength=1.0, paint=None, controls=kept(region.controls))
            for region in order.request.regions
        ),
    )
    check_request(request)
    stem = order.layer_name.removesuffix(f" (seed {request.seed})")
    what = what_was_done("upscale", request.margins)
    return replace(
        order,
        request=request,
        blobs={**order.blobs, image.sha256: picture.data},
        layer_name=f"{stem}, {what} (seed {request.seed})",
        new_document=settings.upscale_into == "new",
    )


def order_to_enlarge_anew(picture: Pixels, prompts: Sequence[str], settings: Settings) -> Order:
    """To make a picture larger of whose regions nothing is known but their prompts."""
    image = PixelsRef.of(picture)
    target = Target("upscale", Bounds(0, 0, picture.height, picture.width))
    prompt = ", ".join(dict.fromkeys(prompts))
    request = _request(settings, target, prompt=prompt, image=image)
    check_request(request)
    name = picture_name(prompts, settings.seed, what_was_done("upscale", request.margins))
    return Order(request, {image.sha256: picture.data}, name, new_document=True)


async def order_from(
    canvas: Canvas,
    settings: Settings,
    mode: Mode,
    *,
    most_strength: float = 1.0,
    finds: bool = False,
    favourites: Sequence[Pixels] = (),
) -> Order:
    """What the artist asks for; raises TapestryError when it cannot become a picture.

    most_strength: each region starts from its own paint at least this far; at 1 as it says itself
    finds: "edit": only where the place is, by the words alone
    favourites: "edit": pictures of the history, where these are the references
    """
    target = target_of(canvas, settings, mode)
    part = target.part
    document = Bounds(0, 0, canvas.height, canvas.width).moved(-part.top, -part.left)
    await _settle(canvas)
    scene = await scene_of(canvas)
    own_prompt = settings.selection_prompt.strip() if mode in {"refine", "fill"} else ""
    if own_prompt:
        scene = DocumentScene(background_prompt=own_prompt, adapters=scene.adapters)
        settings = replace(settings, prompt="")
    chosen = _chosen(scene, settings, mode, most_strength, finds=finds)
    check_region_count(len(chosen))
    blobs: dict[str, bytes] = {}
    used = scene.adapters.only({region.id: region.prompt for region in chosen})
    laid = used
    if mode in {"edit", "upscale"}:
        # Paint is in the picture already.
        chosen = [
            replace(region, settings=replace(region.settings, strength=1.0)) for region in chosen
        ]
    if mode == "edit":
        laid = used.without_controls()  # what they say is in the picture, and may have to go
    regions = await _regions(canvas, scene.around, chosen, laid, target.reach, blobs)
    controls = await controls_of(canvas, laid.of(PICTURE), target.reach, blobs)
    selection = image = None
    if target.selected is not None:
        mask = await read_in_bands(target.selected, 1, canvas.selected, blobs)
        if mode == "edit" and not any_paint(blobs[mask.sha256]):
            raise TapestryError(
                ErrorCode.BAD_REQUEST, "Nothing is selected.", "Select what shall change."
            )
        selection = _moved(Selection(target.selected, mask), part)
    if target.task != "generate":
        if mode == "edit":
            results = earlier_results(canvas, settings, finds=finds)
            beside = instruction_layers(canvas, settings, chosen) | results
            await hide_layers(canvas, scene.places | beside)
        image = await read_in_bands(part, 4, canvas.flattened, blobs)
    edit = None
    prompt = _background(settings, scene, regions, mode)
    if mode == "edit":
        regions, source, prompt = with_words(regions, settings, prompt, scene)
        is_placed = not finds and bool(places_in(scene, settings))
        is_bounded = is_placed or selection is not None
        edit = await with_references(
            edit_of(settings, source, finds=finds, is_bounded=is_bounded),
            *(canvas, settings, favourites, blobs),
        )
    request = _request(
        settings,
        target,
        prompt=prompt,
        edit=edit,
        regions=tuple(_moved(region, part) for region in regions),
        image=image,
        selection=selection,
        loras=loras_of(used.of(PICTURE)),
        controls=tuple(moved(control, part) for control in controls),
    )
    check_request(request)
    prompts = [*(region.prompt for region in regions), settings.prompt or scene.background_prompt]
    what = "looked for" if finds else what_was_done(mode, target.margins)
    if mode == "edit":
        prompts = [settings.edit_from] if finds else words_that_change(settings)
    name = picture_name(prompts, settings.seed, what)
    new_document = mode == "upscale" and settings.upscale_into != "document"
    return Order(request, blobs, name, document, used.to_text(), new_document)


def _chosen(
    scene: DocumentScene, settings: Settings, mode: Mode, most_strength: float, *, finds: bool
) -> list[RegionLayer]:
    """The layers that count: regions that are on, or those that say where something changes."""
    if mode == "edit":
        return [] if finds else layers_of_an_edit(scene, settings)
    return [_held_to_paint(region, most_strength) for region in scene.regions if region.settings.on]


def _held_to_paint(region: RegionLayer, most_strength: float) -> RegionLayer:
    strength = min(region.settings.strength, most_strength)
    return replace(region, settings=replace(region.settings, strength=strength))


async def _settle(canvas: Canvas) -> None:
    """Wait in turns until what was painted is in the pixels, though not for ever."""
    end = time.monotonic() + _PATIENCE_S
    while not canvas.is_settled and time.monotonic() < end:
        await pause()


def _grown(bounds: Bounds, by_px: int) -> Bounds:
    return Bounds(
        bounds.top - by_px, bounds.left - by_px, bounds.bottom + by_px, bounds.right + by_px
    )


def what_was_done(mode: Mode, margins: Margins) -> str:
    """For the name of the layer: "" for a picture that was painted anew."""
    if mode == "extend":
        sides = [side for side in ("left", "right", "top", "bottom") if getattr(margins, side)]
        return f"extended {'all sides' if len(sides) == len(SIDES) else ' and '.join(sides)}"
    done = {"refine": "refined", "fill": "filled", "edit": "edited", "upscale": "upscaled"}
    return done.get(mode, "")


def _background(
    settings: Settings, scene: DocumentScene, regions: Sequence[Region], mode: Mode
) -> str:
    """The prompt for everything that no region covers.

    A part that is generated anew shows what the whole would show there.
    """
    prompt = settings.prompt.strip() or scene.background_prompt
    if not prompt and mode == "generate" and settings.only_selection:
        return ", ".join(dict.fromkeys(region.prompt for region in regions))
    return prompt


def _request(settings: Settings, target: Target, **scene: Any) -> Request:
    on_selection = target.selected is not None
    strengths = {"edit": settings.edit_strength, "upscale": settings.upscale_strength}
    return Request(
        task=target.task,
        height=target.part.height,
        width=target.part.width,
        margins=target.margins,
        negative_prompt=settings.negative_prompt.strip(),
        style=settings.style.strip(),
        feather_px=settings.feather_px if on_selection else settings.outline_px,
        strength=strengths.get(target.task, settings.strength),
        factor=settings.upscale_factor if target.task == "upscale" else Request.factor,
        upscaler=settings.upscaler if target.task == "upscale" else "",
        continue_regions=settings.continue_regions or target.task != "extend",
        under_px=settings.under_px if target.task == "extend" else 0,
        harmonise=settings.harmonise if target.task in {"extend", "fill"} else 0,
        wrap=settings.wrap and not on_selection and target.task != "upscale",
        composition=settings.composition,
        coherence=settings.coherence,
        melt=settings.melt if target.task == "generate" else 0.0,
        speed=cast("Any", settings.speed),
        step_cache=settings.step_cache if _remembers(settings, target) else 0.0,
        seed=settings.seed,
        scheduler=cast("Any", settings.scheduler),
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        model=settings.model,
        layered=settings.in_regions and target.task not in {"edit", "upscale"},
        **scene,
    )


def _remembers(settings: Settings, target: Target) -> bool:
    """Whether a step cache holds for what is asked."""
    if target.task == "edit":
        return settings.edit_method == "instruct"
    return target.task in {"generate", "extend", "refine", "fill"}


def _selected_bounds(canvas: Canvas, mode: Mode) -> Bounds:
    selected = canvas.selection()
    if selected is None and mode == "upscale":
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "Nothing is selected.",
            "Select what shall become larger, or choose the whole document.",
        )
    if selected is None:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "Nothing is selected.",
            "Select what shall be painted anew, with any of Krita's selection tools.",
        )
    return selected


def _moved(placed: Placed, part: Bounds) -> Placed:
    """A region or a selection in coordinates of this part."""
    bounds = placed.bounds.moved(-part.top, -part.left)
    if isinstance(placed, Region):
        controls = tuple(moved(control, part) for control in placed.controls)
        return replace(cast("Any", placed), bounds=bounds, controls=controls)
    return replace(placed, bounds=bounds)


async def _is_opaque(
    canvas: Canvas, around: Sequence[Layer], layer_id: str, bounds: Bounds
) -> bool:
    for band in bands(bounds, reads_of(around, layer_id)):
        alpha = seen_alpha(canvas, around, layer_id, band)
        if alpha.count(255) < len(alpha):
            return False
        await give_way()
    return True


async def _regions(
    canvas: Canvas,
    around: Sequence[Layer],
    chosen: Sequence[RegionLayer],
    laid: DocumentAdapters,
    reach: Bounds,
    blobs: dict[str, bytes],
) -> tuple[Region, ...]:
    """Those of the chosen layers that can be seen within `reach`, with their masks in `blobs`."""
    for layer in chosen:  # all of them before the first mask is read
        check_prompt(layer.prompt, Sentence("the layer {name}", name=quoted(layer.prompt[:20])))
    regions = []
    for layer in chosen:
        region = await region_of(canvas, around, layer, reach, blobs)
        if region is None:
            continue
        own = laid.of(layer.id)
        controls = await controls_of(canvas, own, reach, blobs)
        regions.append(replace(region, loras=loras_of(own), controls=controls))
    return tuple(regions)


async def region_of(
    canvas: Canvas,
    around: Sequence[Layer],
    layer: RegionLayer,
    reach: Bounds,
    blobs: dict[str, bytes],
) -> Region | None:
    """The region with its mask in `blobs`; None when nothing of it can be seen."""
    bounds = layer.bounds.intersection(reach)
    read = partial(seen_alpha, canvas, around, layer.id)
    mask = await read_in_bands(bounds, 1, read, blobs, reads_of(around, layer.id))
    if not any_paint(blobs[mask.sha256]):
        del blobs[mask.sha256]
        return None
    wanted = layer.settings
    paint = None
    if wanted.strength < 1:
        paint = await read_in_bands(bounds, 4, partial(canvas.colors, layer.id), blobs)
    return Region(
        layer.prompt,
        bounds,
        mask,
        negative_prompt=wanted.negative_prompt.strip() or None,
        guidance_scale=wanted.guidance_scale if wanted.own_guidance else None,
        weight=wanted.weight,
        seed=wanted.seed if wanted.own_seed else None,
        fit=wanted.fit,
        strength=wanted.strength,
        paint=paint,
    )
