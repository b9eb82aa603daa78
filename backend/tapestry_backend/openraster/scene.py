"""A layered picture as a request: which layers are regions, what is selected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.layer_names import (
    OWN_PREFIX,
    is_background_name,
    is_default_name,
    plain_name,
)
from tapestry_protocol.limits import MAX_REGIONS
from tapestry_protocol.messages import PixelsRef, Region, Request, Selection
from tapestry_protocol.pixels import COVERED_ALPHA, NO_MARGINS, Bounds, Margins
from tapestry_protocol.request_checks import check_canvas, check_region_count, check_request
from tapestry_protocol.sentences import quoted

from .control_settings import ControlWish
from .controls import quoted_list, read_controls
from .coverage import Siblings
from .document import Document, as_pixels, trimmed
from .region_settings import read_saved_settings, read_settings, write_settings
from .selection import Selected
from .stack import Node

_BACKGROUND = "Background"

_LONGEST_NAME = 60
_DONE = {
    "extend": "extended",
    "refine": "refined",
    "fill": "filled",
    "upscale": "upscaled",
    "edit": "edited",
}


@dataclass(frozen=True)
class Scene:
    """A request, the pixels it refers to by SHA-256, and what an artist should know about it.

    settings: what is to be written about layers as regions, so that it travels with the scene
    saved_loras: the regions, by their places, whose LoRAs are those that the document names
    """

    request: Request
    blobs: Mapping[str, bytes]
    notes: tuple[str, ...]
    settings: tuple[tuple[Node, str], ...]
    saved_loras: frozenset[int]

    def without_missing_loras(self, find: Callable[[str, Literal["lora"]], object]) -> Scene:
        """Without those that the document names and `find` raises TapestryError for; it is noted.

        A scene comes from another computer; what is named on this one should be there.
        """
        regions, notes = list(self.request.regions), list(self.notes)
        for place in sorted(self.saved_loras):
            kept = []
            for lora in regions[place].loras:
                try:
                    find(lora.adapter, "lora")
                except TapestryError as error:
                    notes.append(
                        f"{error.message} The region {quoted(regions[place].prompt[:40])}, for "
                        "which the file names it, is painted without; --adapter PATH says where it "
                        "is."
                    )
                else:
                    kept.append(lora)
            regions[place] = replace(regions[place], loras=tuple(kept))
        request = replace(self.request, regions=tuple(regions))
        return replace(self, request=request, notes=tuple(notes))


class PaintOver(NamedTuple):
    """A part of the picture is painted anew: the task, what is selected, and by which layer."""

    task: Literal["refine", "fill"]
    selected: Selected
    layer: str = ""


@dataclass(frozen=True)
class _Shown:
    """A layer or group with some paint; `covers` when it leaves nothing of the canvas open."""

    node: Node
    name: str
    bounds: Bounds
    mask: np.ndarray
    covers: bool

    @property
    def is_region(self) -> bool:
        is_prompt = not is_background_name(self.name) and not is_default_name(self.name)
        return bool(self.name) and is_prompt


def read_scene(
    document: Document,
    *,
    background: str | None = None,
    margins: Margins = NO_MARGINS,
    paint_over: PaintOver | None = None,
    about: Mapping[str, str] | None = None,
    controls: Sequence[ControlWish] = (),
    check: Callable[[Request], None] = check_request,
    **settings: Any,
) -> Scene:
    """What a document asks for.

    Every visible layer or group with a name and some pixels is a region, the topmost first. A layer
    named "Background", or the bottom one if it covers the whole canvas, is none: its name is the
    background's prompt (unless it is just "Background"), and `background` overrides it. With
    margins the flattened picture is extended; with `paint_over` a part of it is painted anew.
    Raises TapestryError when no picture can be made of it, which `check` decides.

    about       a region's name -> settings that override those written in the document
    controls    what control networks are shown; the layers that they name are no regions
    settings    the request's other fields
    """
    height = document.height + margins.top + margins.bottom
    width = document.width + margins.left + margins.right
    check_canvas(height, width)
    area = Bounds(-margins.top, -margins.left, height - margins.top, width - margins.left)
    shown, prompt, notes = _regions(document, area, {wish.layer for wish in controls} - {""})
    about = {plain_name(name): text for name, text in (about or {}).items()}
    region_settings = _settings(shown, about, notes)
    task = paint_over.task if paint_over else "generate" if margins.is_zero else "extend"
    blobs: dict[str, bytes] = {}
    regions = [
        _region(document, found, own, blobs, keeps_paint=task == "generate")
        for found, own in zip(shown, region_settings, strict=True)
    ]
    pictures = read_controls(document, area, controls, [region.prompt for region in regions])
    blobs.update(pictures.blobs)
    request = Request(
        task=task,
        height=document.height,
        width=document.width,
        prompt=prompt if background is None else background,
        regions=tuple(
            replace(region, controls=pictures.of_regions.get(region.prompt, ()))
            for region in regions
        ),
        margins=margins,
        controls=pictures.of_picture,
        **settings,
    )
    if task != "generate":
        request = replace(request, image=_kept(document.flattened, blobs))
        notes += _notes_on_strength(shown, region_settings)
    if paint_over:
        bounds, mask = paint_over.selected
        request = replace(request, selection=Selection(bounds, _kept(mask, blobs)))
        notes += _notes_on_selection(shown, paint_over)
    notes += document.damage
    _check(request, check, notes)
    saved = frozenset(
        place
        for place, found in enumerate(shown)
        if "loras" not in read_settings(about.get(found.name, ""), found.name)
    )
    return Scene(
        request, blobs, tuple(notes), tuple(_changed(shown, region_settings, about)), saved
    )


def _check(request: Request, check: Callable[[Request], None], notes: Sequence[str]) -> None:
    """Raises TapestryError with what was left out of the scene: it may be what is missing."""
    try:
        check(request)
    except TapestryError as error:
        raise TapestryError(error.code, error.message, " ".join([*notes, error.advice])) from error


def shows_result(document: Document) -> bool:
    """Whether an earlier result is to be seen, in a group or by itself."""
    return _show_result(document.layers)


def _show_result(nodes: Sequence[Node]) -> bool:
    shown = (node for node in nodes if node.is_shown)
    return any(_is_result(node) or _show_result(node.children) for node in shown)


def result_name(request: Request) -> str:
    """The name of the layer that holds the result: what it shows and how to make it again."""
    prompts = [request.prompt, *(region.prompt for region in request.regions)]
    shown = ", ".join(prompt.strip() for prompt in prompts if prompt.strip())
    if len(shown) > _LONGEST_NAME:
        shown = shown[: _LONGEST_NAME - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
    what = _DONE.get(request.task, "")
    parts = ", ".join(part for part in (shown, what) if part)
    return f"{OWN_PREFIX}{parts} (seed {request.seed})"


def _regions(
    document: Document, area: Bounds, aside: set[str]
) -> tuple[list[_Shown], str, list[str]]:
    """The regions, topmost first, the background's prompt, and notes; without layers `aside`."""
    notes = list(document.notes)
    shown: list[_Shown] = []
    siblings = document.siblings(area)
    for node in document.layers:
        if node.name in aside:
            continue
        found = _look(document, siblings, node, area, notes)
        if found is None:
            continue
        if len(shown) > MAX_REGIONS + 1:  # too many anyway: only their number still matters
            found = replace(found, mask=found.mask[:0])
        shown.append(found)
    if not shown:
        document.check_sound(document.layers)
    notes += _notes_on_names(shown)
    prompt = ""
    if shown and shown[-1].covers and shown[-1].is_region:
        prompt = shown.pop().name
    regions = [found for found in shown if found.is_region]
    check_region_count(len(regions))
    return regions, prompt, notes


def _notes_on_names(shown: Sequence[_Shown]) -> list[str]:
    """Names that are no prompts; "Background" itself is known to be none."""
    notes = []
    if any(not found.name for found in shown):
        notes.append("A layer without a name was left out: name it with what should be there.")
    for name in dict.fromkeys(found.name for found in shown):
        if is_default_name(name):
            notes.append(
                f"The layer {quoted(name[:40])} was left out: it has the name that a program "
                "gave it. Name it with what should be there."
            )
        elif is_background_name(name) and name != _BACKGROUND:
            notes.append(
                f"The layer {quoted(name[:40])} is the background and no region: its name means "
                f'"{_BACKGROUND}". Name it otherwise if it shall be one.'
            )
    return notes


def _look(
    document: Document, siblings: Siblings, node: Node, area: Bounds, notes: list[str]
) -> _Shown | None:
    """A layer or group as the artist sees it, or None when it is hidden, empty or a result."""
    if not node.is_shown or _is_result(node):
        return None
    if not node.operator.adds_paint:
        notes.append(
            f"The layer {quoted(node.name[:40])} is no region: it only takes away from those below "
            "it."
        )
        return None
    inside = [part for part in node.walk() if part is not node and part.visible]
    if any(_is_result(part) for part in inside):
        notes.append(
            f"The group {quoted(node.name[:40])} was left out: it holds an earlier result."
        )
        return None
    notes.extend(
        f"The layer {quoted(part.name[:40])} was left out: it is stored without pixels."
        for part in (node, *inside)
        if part.kind == "layer" and not document.has_pixels(part)
    )
    alpha = siblings.of(node)
    found = None if alpha is None else trimmed(alpha, area)
    if found is None:
        if siblings.takes_all_of(node):
            notes.append(
                f"The layer {quoted(node.name[:40])} was left out: nothing of it is to be seen."
            )
        elif node.name and document.lies_outside(node, area):
            notes.append(
                f"The layer {quoted(node.name[:40])} was left out: it lies outside of the canvas. "
                "Move it if it shall be a region."
            )
        return None
    bounds, mask = found
    covers = bounds.intersection(document.bounds) == document.bounds
    if covers:
        canvas = document.bounds.moved(-bounds.top, -bounds.left)
        on_canvas = mask[canvas.top : canvas.bottom, canvas.left : canvas.right]
        covers = bool((on_canvas >= COVERED_ALPHA).all())
    return _Shown(node, node.name, bounds, mask, covers)


def _is_result(node: Node) -> bool:
    return node.name.startswith(OWN_PREFIX)


def _settings(
    shown: list[_Shown], about: Mapping[str, str], notes: list[str]
) -> list[dict[str, Any]]:
    """For each region what the document and `about` say of it; raises TapestryError for others.

    Settings that make no sense are left out and noted in `notes`.
    """
    names = list(dict.fromkeys(found.name for found in shown))
    for name in about:
        if name not in names:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                f"No region is called {quoted(name[:40])}.",
                f"The regions are {quoted_list(names)}."
                if names
                else "The scene has no region: paint on a layer, and name it.",
            )
    region_settings = []
    for found in shown:
        saved, problems = read_saved_settings(found.node.settings, found.name)
        notes.extend(problems)
        region_settings.append(saved | read_settings(about.get(found.name, ""), found.name))
    return region_settings


def _changed(
    shown: list[_Shown], region_settings: list[dict[str, Any]], about: Mapping[str, str]
) -> Iterator[tuple[Node, str]]:
    """What is to be written about layers; what was only read stays as it was written."""
    for found, own in zip(shown, region_settings, strict=True):
        if found.name in about:
            yield found.node, write_settings(own)


def _region(
    document: Document,
    found: _Shown,
    settings: dict[str, Any],
    blobs: dict[str, bytes],
    *,
    keeps_paint: bool,
) -> Region:
    """The region of a layer; with its own colours where it keeps to them."""
    region = Region(found.name, found.bounds, _kept(found.mask, blobs), **settings)
    if region.strength == 1 or not keeps_paint:
        return replace(region, strength=1.0)
    return replace(region, paint=_kept(document.colours(found.node, found.bounds), blobs))


def _notes_on_strength(shown: list[_Shown], region_settings: list[dict[str, Any]]) -> list[str]:
    """A strength means the layer's own colours; a picture that is there already has its own."""
    return [
        f"The strength of {quoted(found.name[:40])} counts only where the whole canvas is painted."
        for found, own in zip(shown, region_settings, strict=True)
        if own.get("strength", 1) < 1
    ]


def _notes_on_selection(shown: list[_Shown], paint_over: PaintOver) -> list[str]:
    """A strength of 0 is noted: such a layer is easily left visible by mistake."""
    if not paint_over.selected.mask.any():
        return ["Nothing is selected, and the picture stays as it is: paint what shall be painted."]
    layer = paint_over.layer
    if not any(found.name == layer for found in shown):
        return []
    return [f"The layer {quoted(layer[:40])} is a region too: hide it if it shall only select."]


def _kept(array: np.ndarray, blobs: dict[str, bytes]) -> PixelsRef:
    """A reference to the pixels, which are put among the blobs."""
    pixels = as_pixels(array)
    reference = PixelsRef.of(pixels)
    blobs[reference.sha256] = pixels.data
    return reference
