"""Layer tree -> regions: which layers steer the picture, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tapestry_protocol.layer_names import (
    OWN_PREFIX,
    is_background_name,
    is_default_name,
    plain_name,
)
from tapestry_protocol.pixels import Bounds

from ..i18n.translation import tr
from .adapter_settings import DocumentAdapters, all_pictures
from .canvas import Layer
from .coverage import operator
from .region_settings import DEFAULTS, DocumentRegions, RegionSettings

BACKGROUND = "Background"
"""What Krita calls the first layer of a new document; it is no prompt."""

_LONGEST_NAME = 60


LayerState = Literal["painted", "hidden", "empty", "nameless"]
"""Whether a layer can be a region right now, and why not."""


@dataclass(frozen=True)
class RegionLayer:
    """A layer or group that may be a region: its name is the prompt, `bounds` holds its paint."""

    id: str
    prompt: str
    bounds: Bounds
    settings: RegionSettings = DEFAULTS
    state: LayerState = "painted"

    @property
    def counts(self) -> bool:
        """Whether it steers the picture."""
        return self.state == "painted" and self.settings.on


@dataclass(frozen=True)
class GroupChoice:
    """A group of the document, by which the artist may choose the layers that count."""

    id: str
    name: str


@dataclass(frozen=True)
class PictureLayer:
    """A layer of the document that an adapter could be shown."""

    id: str
    name: str


@dataclass(frozen=True)
class DocumentScene:
    """What a document asks for.

    rows               every layer that is or could be a region, topmost first
    background_prompt  the name of the layer that lies under everything; empty when it has none
    remarks            sentences about layers that were left out
    groups             all groups of the document, topmost first
    group              the id of the group whose layers count; empty: those of the whole document
    adapters           the adapters of the picture and of its regions
    pictures           all layers that could be shown to an adapter, topmost first
    places             ids of the layers that were made of a found place
    around             the layers among which the regions lie, topmost first
    """

    rows: tuple[RegionLayer, ...] = ()
    background_prompt: str = ""
    remarks: tuple[str, ...] = ()
    groups: tuple[GroupChoice, ...] = ()
    group: str = ""
    adapters: DocumentAdapters = field(default_factory=DocumentAdapters)
    pictures: tuple[PictureLayer, ...] = ()
    places: frozenset[str] = frozenset()
    around: tuple[Layer, ...] = field(default=(), repr=False, compare=False)

    @property
    def regions(self) -> tuple[RegionLayer, ...]:
        """The rows that are painted, whether they are switched on or not."""
        return tuple(row for row in self.rows if row.state == "painted")


def pictures_of(layers: Sequence[Layer]) -> tuple[PictureLayer, ...]:
    """All layers that could be shown to an adapter, topmost first."""
    return tuple(PictureLayer(layer.id, layer.name) for layer in all_pictures(layers))


def groups_of(layers: Sequence[Layer], own: frozenset[str]) -> Iterator[Layer]:
    """All groups that are not our own, at any depth, topmost first."""
    for layer in layers:
        if layer.is_group and not _is_own(layer, own):
            yield layer
            yield from groups_of(layer.children, own)


def shows_own(layers: Sequence[Layer], own: frozenset[str]) -> bool:
    """Whether a picture that Tapestry made can be seen, at any depth."""
    shown = (layer for layer in layers if layer.visible and layer.opacity > 0)
    return any(_is_own(layer, own) or shows_own(layer.children, own) for layer in shown)


def layers_that_count(
    layers: Sequence[Layer], own: frozenset[str], stored: DocumentRegions
) -> tuple[Sequence[Layer], str]:
    """The layers of the chosen group and its id; those of the document where there is none.

    A group in a hidden group is hidden, and so are all of its layers.
    """
    groups = list(groups_of(layers, own))
    chosen = next((group for group in groups if stored.group and group.id == stored.group), None)
    if chosen is None and stored.group_name:  # a copy of the document, or of the group
        chosen = next((group for group in groups if group.name == stored.group_name), None)
    if chosen is None:
        return layers, ""
    if _is_shown_within(layers, chosen):
        return chosen.children, chosen.id
    return [replace(layer, visible=False) for layer in chosen.children], chosen.id


def find_background(layers: Sequence[Layer], canvas: Bounds, own: frozenset[str]) -> Layer | None:
    """The layer that is the picture's ground if it is opaque, which only its pixels show.

    It is the lowest visible layer of the document, and its paint reaches all around the canvas.
    """
    for layer in reversed(layers):
        if _is_shown(layer) and not _is_own(layer, own) and operator(layer).adds_paint:
            covers = layer.bounds.intersection(canvas) == canvas
            is_prompt = not is_background_name(layer.name) and not is_default_name(layer.name)
            return layer if covers and is_prompt else None
    return None


def read_scene(
    layers: Sequence[Layer],
    own: frozenset[str],
    ground: Layer | None,
    stored: DocumentRegions | None = None,
    shown: frozenset[str] = frozenset(),
) -> DocumentScene:
    """The regions among these layers (topmost first).

    own     ids of layers that Tapestry made; they are no regions
    ground  the layer that was found to cover the whole canvas under everything else
    stored  the regions' settings, and which layers count
    shown   ids of layers that adapters are shown; they are no regions
    """
    stored = stored or DocumentRegions()
    counting, group = layers_that_count(layers, own, stored)
    rows: list[RegionLayer] = []
    remarks: list[str] = []
    for layer in counting:
        prompt = plain_name(layer.name)
        if layer.id in shown:
            continue
        if layer is ground or not layer.has_pixels or _is_own(layer, own):
            continue
        if is_background_name(prompt) or not operator(layer).adds_paint:
            remarks += _why_no_region(layer)
            continue
        if _is_shown(layer) and any(_is_own(inner, own) for inner in _shown_inside(layer)):
            sentence = tr(
                "The group \u201c{name}\u201d holds a picture that Tapestry made and is left out. "
                "Move that picture out of the group."
            )
            remarks.append(sentence.format(name=_shorten(prompt)))
            continue
        row = RegionLayer(
            layer.id, prompt, layer.bounds, stored.settings(layer.id, prompt), _state(layer)
        )
        rows.append(row)
        if row.state == "nameless":
            remarks.append(_nameless(prompt))
    background = plain_name(ground.name) if ground else ""
    groups = tuple(GroupChoice(found.id, found.name) for found in groups_of(layers, own))
    return DocumentScene(
        tuple(rows),
        background,
        tuple(dict.fromkeys(remarks)),
        groups,
        group,
        around=tuple(counting),
    )


def _why_no_region(layer: Layer) -> list[str]:
    """What is to be said of a layer that is none, if anything."""
    if not _is_shown(layer) or plain_name(layer.name) == BACKGROUND:
        return []
    sentence = tr("The layer \u201c{name}\u201d takes away from those below it and is no region.")
    if operator(layer).adds_paint:
        sentence = tr(
            "The layer \u201c{name}\u201d is the background by its name. Name it otherwise if it "
            "shall be a region."
        )
    return [sentence.format(name=_shorten(plain_name(layer.name)))]


def _nameless(name: str) -> str:
    if not name:
        return tr("A layer without a name is left out. Name it with what should be there.")
    sentence = tr(
        "The layer \u201c{name}\u201d has the name that a program gave it and is left out. Name it "
        "with what should be there."
    )
    return sentence.format(name=_shorten(name))


def _state(layer: Layer) -> LayerState:
    if not layer.visible or layer.opacity == 0:
        return "hidden"
    if layer.bounds.is_empty:
        return "empty"
    has_prompt = plain_name(layer.name) and not is_default_name(layer.name)
    return "painted" if has_prompt else "nameless"


def picture_name(prompts: Sequence[str], seed: int, what: str = "") -> str:
    """The name of a layer that Tapestry made, e.g. "Tapestry: sky, grass, extended (seed 42)"."""
    said = _shorten(", ".join(prompt.strip() for prompt in prompts if prompt.strip()))
    parts = [part for part in (said, what) if part]
    return f"{OWN_PREFIX}{', '.join(parts)} (seed {seed})"


def _is_shown(layer: Layer) -> bool:
    return layer.visible and layer.opacity > 0 and layer.has_pixels and not layer.bounds.is_empty


def _is_shown_within(layers: Sequence[Layer], wanted: Layer) -> bool:
    """Whether a layer and all groups around it are visible."""
    return any(
        layer is wanted or _is_shown_within(layer.children, wanted)
        for layer in layers
        if layer.visible and layer.opacity > 0
    )


def _is_own(layer: Layer, own: frozenset[str]) -> bool:
    return layer.id in own or layer.name.startswith(OWN_PREFIX)


def _shown_inside(group: Layer) -> Iterator[Layer]:
    for layer in group.children:
        if _is_shown(layer):
            yield layer
            yield from _shown_inside(layer)


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1].rstrip() + "\u2026"
