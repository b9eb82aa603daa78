"""Reads a document into an order, a band of rows at a time; no Qt, no connection.

Every function here is a generator that yields after each piece of work (some 10 ms) and returns
what it read, so that it can be run in turns of the event loop.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Sequence
from itertools import pairwise

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tapestry_protocol.request_checks import (
    check_canvas,
    check_prompt,
    check_region_count,
    check_request,
)

from .canvas import Canvas
from .job import Order
from .layers import RegionLayer, Scene, find_ground, picture_name, read_scene
from .settings import Settings

BAND_PX = 2**19
"""Pixels that are read at once: about 10 ms of work."""

OWN_LAYERS_NOTE = "tapestry_layers"
"""Under this key a document keeps the ids of the layers that Tapestry made in it."""

THUMBNAIL_ROWS, THUMBNAIL_COLUMNS = 32, 48
_MOST_SAMPLES_PER_ROW = 4
_SAMPLED_PX = 2**18
"""Pixels that are read for a thumbnail: some 10 ms of work in all, whatever the canvas."""


def own_layers(canvas: Canvas) -> frozenset[str]:
    """Ids of the layers that Tapestry made in this document."""
    try:
        ids = json.loads(canvas.note(OWN_LAYERS_NOTE) or "[]")
    except ValueError:
        return frozenset()
    return frozenset(map(str, ids)) if isinstance(ids, list) else frozenset()


def keep_own_layer(canvas: Canvas, layer_id: str) -> None:
    """Remember that Tapestry made this layer."""
    ids = sorted(own_layers(canvas) | {layer_id})
    canvas.keep_note(OWN_LAYERS_NOTE, json.dumps(ids))


def scene_of(canvas: Canvas) -> Generator[None, None, Scene]:
    """The regions and the background that the document has right now."""
    layers, own = canvas.layers(), own_layers(canvas)
    whole = Bounds(0, 0, canvas.height, canvas.width)
    ground = find_ground(layers, whole, own)
    if ground is not None and not (yield from _is_opaque(canvas, ground.id, whole)):
        ground = None
    return read_scene(layers, own, ground)


def order_from(
    canvas: Canvas, settings: Settings, off: Collection[str], margins: Margins | None
) -> Generator[None, None, Order]:
    """What the artist asks for; raises TapestryError when it cannot become a picture.

    off      ids of layers that are no regions this time
    margins  how far the canvas grows; None when the whole canvas is to be painted
    """
    grown = margins or Margins()
    height, width = canvas.height, canvas.width
    check_canvas(height + grown.top + grown.bottom, width + grown.left + grown.right)
    check_color_model(canvas)
    canvas.settle()
    scene = yield from scene_of(canvas)
    chosen = [region for region in scene.regions if region.id not in off]
    check_region_count(len(chosen))
    reach = Bounds(-grown.top, -grown.left, height + grown.bottom, width + grown.right)
    blobs: dict[str, bytes] = {}
    regions = yield from _regions(canvas, chosen, reach, blobs)
    image = None
    if margins is not None:
        image = yield from _picture(canvas, blobs)
    prompt = settings.prompt.strip() or scene.background_prompt
    request = Request(
        task="generate" if margins is None else "extend",
        height=height,
        width=width,
        prompt=prompt,
        negative_prompt=settings.negative_prompt.strip(),
        regions=regions,
        margins=grown,
        image=image,
        seed=settings.seed,
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=settings.guidance_scale,
        model=settings.model,
    )
    check_request(request)
    what = f"extended {settings.extend_side}" if margins else ""
    prompts = [*(region.prompt for region in regions), prompt]
    return Order(request, blobs, picture_name(prompts, settings.seed, what))


def check_color_model(canvas: Canvas) -> None:
    """Raises TapestryError for a document whose colours Tapestry cannot read."""
    if canvas.color_model != "RGBA":
        known = {"GRAYA": "grayscale", "A": "alpha only", "LABA": "L*a*b*"}
        model = known.get(canvas.color_model, canvas.color_model.removesuffix("A"))
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"This document is in {model}; Tapestry paints in RGB.",
            "Convert it with Image > Convert Image Color Space (model RGB/Alpha, any depth).",
        )


def thumbnail(canvas: Canvas, layer_id: str) -> Generator[None, None, Pixels]:
    """The layer's mask, small: 1 channel; a thin stroke stays visible."""
    height, width = canvas.height, canvas.width
    rows = min(THUMBNAIL_ROWS, height)
    columns = max(1, min(THUMBNAIL_COLUMNS, rows * width // height, width))
    edges = [width * column // columns for column in range(columns + 1)]
    spans = list(pairwise(edges))
    samples_per_row = max(1, min(_MOST_SAMPLES_PER_ROW, _SAMPLED_PX // (rows * width)))
    data = bytearray()
    for row in range(rows):
        top, bottom = height * row // rows, height * (row + 1) // rows
        stride = max(1, (bottom - top) // samples_per_row)
        samples = [
            canvas.alpha(layer_id, Bounds(y, 0, y + 1, width)) for y in range(top, bottom, stride)
        ]
        data += bytes(max(max(line[left:right]) for line in samples) for left, right in spans)
        yield
    return Pixels(rows, columns, 1, bytes(data))


def bands(bounds: Bounds) -> list[Bounds]:
    """The rectangle cut into bands of at most `BAND_PX` pixels (or one row), top to bottom."""
    rows = max(1, BAND_PX // max(1, bounds.width))
    return [
        Bounds(top, bounds.left, min(top + rows, bounds.bottom), bounds.right)
        for top in range(bounds.top, bounds.bottom, rows)
    ]


def _is_opaque(canvas: Canvas, layer_id: str, bounds: Bounds) -> Generator[None, None, bool]:
    for band in bands(bounds):
        alpha = canvas.alpha(layer_id, band)
        if alpha.count(255) < len(alpha):
            return False
        yield
    return True


def _regions(
    canvas: Canvas, chosen: Sequence[RegionLayer], reach: Bounds, blobs: dict[str, bytes]
) -> Generator[None, None, tuple[Region, ...]]:
    """Those of the chosen layers that can be seen within `reach`, with their masks in `blobs`."""
    for layer in chosen:  # all of them before the first mask is read
        check_prompt(layer.prompt, f"the layer {layer.prompt[:20]!r}")
    regions = []
    for layer in chosen:
        region = yield from _region(canvas, layer, reach, blobs)
        regions += [region] if region else []
    return tuple(regions)


def _region(
    canvas: Canvas, layer: RegionLayer, reach: Bounds, blobs: dict[str, bytes]
) -> Generator[None, None, Region | None]:
    """The region with its mask in `blobs`; None when nothing of it can be seen."""
    bounds = layer.bounds.intersection(reach)
    data = bytearray()
    for band in bands(bounds):
        data += canvas.alpha(layer.id, band)
        yield
    if not any(data):
        return None
    mask = Pixels(bounds.height, bounds.width, 1, bytes(data))
    reference = PixelsRef.of(mask)
    blobs[reference.sha256] = mask.data
    yield
    return Region(layer.prompt, bounds, reference)


def _picture(canvas: Canvas, blobs: dict[str, bytes]) -> Generator[None, None, PixelsRef]:
    """The flattened picture, with its bytes in `blobs`."""
    data = bytearray()
    for band in bands(Bounds(0, 0, canvas.height, canvas.width)):
        data += canvas.flattened(band)
        yield
    picture = Pixels(canvas.height, canvas.width, 4, bytes(data))
    reference = PixelsRef.of(picture)
    blobs[reference.sha256] = picture.data
    yield
    return reference
