"""A layered picture as a request: which layers are regions, what the background is; no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tapestry_protocol.limits import MAX_REGIONS
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds, Margins
from tapestry_protocol.request_checks import check_canvas, check_region_count, check_request

from .document import Document, as_pixels
from .stack import Node

RESULT_PREFIX = "Tapestry: "
"""How layers that Tapestry made are called; they are no regions."""

_BACKGROUND = "Background"
"""What Krita calls the first layer of a new document; it is no prompt."""

_LONGEST_NAME = 60
_COVERED = 128
"""From this alpha on a pixel counts as covered: a soft brush seldom reaches 255 everywhere."""


@dataclass(frozen=True)
class Scene:
    """A request, the pixels it refers to by SHA-256, and what an artist should know about it."""

    request: Request
    blobs: Mapping[str, bytes]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Shown:
    """A layer or group with some paint; `covers` when it leaves nothing of the canvas open."""

    name: str
    bounds: Bounds
    mask: np.ndarray
    covers: bool

    @property
    def is_region(self) -> bool:
        return bool(self.name) and self.name != _BACKGROUND


def read_scene(
    document: Document, *, background: str | None, margins: Margins, **settings: Any
) -> Scene:
    """What a document asks for.

    Every visible layer or group with a name and some pixels is a region, the topmost first. A layer
    named "Background", or the bottom one if it covers the whole canvas, is none: its name is the
    background's prompt (unless it is just "Background"), and `background` overrides it. With
    margins the flattened picture is extended. `settings` are the request's other fields.
    Raises TapestryError when no picture can be made of it.
    """
    height = document.height + margins.top + margins.bottom
    width = document.width + margins.left + margins.right
    check_canvas(height, width)
    area = Bounds(-margins.top, -margins.left, height - margins.top, width - margins.left)
    regions, prompt, notes = _regions(document, area)
    blobs: dict[str, bytes] = {}
    request = Request(
        task="generate" if margins.is_zero else "extend",
        height=document.height,
        width=document.width,
        prompt=prompt if background is None else background,
        regions=tuple(_region(found, blobs) for found in regions),
        margins=margins,
        **settings,
    )
    if not margins.is_zero:
        request = replace(request, image=_kept(document.flattened, blobs))
    check_request(request)
    return Scene(request, blobs, tuple(notes))


def result_name(request: Request) -> str:
    """The name of the layer that holds the result: what it shows and how to make it again."""
    prompts = [request.prompt, *(region.prompt for region in request.regions)]
    shown = ", ".join(prompt.strip() for prompt in prompts if prompt.strip())
    if len(shown) > _LONGEST_NAME:
        shown = shown[: _LONGEST_NAME - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    what = "extended" if request.task == "extend" else ""
    parts = ", ".join(part for part in (shown, what) if part)
    return f"{RESULT_PREFIX}{parts} (seed {request.seed})"


def _regions(document: Document, area: Bounds) -> tuple[list[_Shown], str, list[str]]:
    """The regions, topmost first, the background's prompt, and notes."""
    notes = [f"An element <{kind}> was left out: it is no layer." for kind in document.unknown]
    shown: list[_Shown] = []
    for node in document.layers:
        found = _look(document, node, area, notes)
        if found is None:
            continue
        if len(shown) > MAX_REGIONS + 1:  # too many anyway: only their number still matters
            found = replace(found, mask=found.mask[:0])
        shown.append(found)
    if any(not found.name for found in shown):
        notes.append("A layer without a name was left out: name it with what should be there.")
    prompt = ""
    if shown and shown[-1].covers and shown[-1].is_region:
        prompt = shown.pop().name
    regions = [found for found in shown if found.is_region]
    check_region_count(len(regions))
    return regions, prompt, notes


def _look(document: Document, node: Node, area: Bounds, notes: list[str]) -> _Shown | None:
    """A layer or group as the artist sees it, or None when it is hidden, empty or a result."""
    if not node.visible or not node.opacity or _is_result(node):
        return None
    inside = [part for part in node.walk() if part is not node and part.visible]
    if any(_is_result(part) for part in inside):
        notes.append(f"The group {node.name[:40]!r} was left out: it holds an earlier result.")
        return None
    notes.extend(
        f"The layer {part.name[:40]!r} was left out: it is stored without pixels."
        for part in (node, *inside)
        if part.kind == "layer" and not document.has_pixels(part)
    )
    alpha = document.alpha(node, area)
    if alpha is None:
        return None
    bounds, mask = alpha
    covers = bounds.intersection(document.bounds) == document.bounds
    if covers:
        canvas = document.bounds.moved(-bounds.top, -bounds.left)
        on_canvas = mask[canvas.top : canvas.bottom, canvas.left : canvas.right]
        covers = bool((on_canvas >= _COVERED).all())
    return _Shown(node.name, bounds, mask, covers)


def _is_result(node: Node) -> bool:
    return node.name.startswith(RESULT_PREFIX)


def _region(found: _Shown, blobs: dict[str, bytes]) -> Region:
    return Region(found.name, found.bounds, _kept(found.mask, blobs))


def _kept(array: np.ndarray, blobs: dict[str, bytes]) -> PixelsRef:
    """A reference to the pixels, which are put among the blobs."""
    pixels = as_pixels(array)
    reference = PixelsRef.of(pixels)
    blobs[reference.sha256] = pixels.data
    return reference
