"""Layer tree -> regions: which layers steer the picture, in which order; pure, reads no pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tapestry_protocol.pixels import Bounds

from .canvas import Layer

OWN_PREFIX = "Tapestry: "
"""Layers that Tapestry made begin with this, so that a copy of one is recognised as well."""

BACKGROUND = "Background"
"""What Krita calls the first layer of a new document; it is no prompt."""

_LONGEST_NAME = 60


@dataclass(frozen=True)
class RegionLayer:
    """A layer or group that is a region: its name is the prompt, `bounds` holds all its paint."""

    id: str
    prompt: str
    bounds: Bounds


@dataclass(frozen=True)
class Scene:
    """What a document asks for.

    regions            topmost first
    background_prompt  the name of the layer that lies under everything; empty when it has none
    remarks            sentences about layers that were left out
    """

    regions: tuple[RegionLayer, ...] = ()
    background_prompt: str = ""
    remarks: tuple[str, ...] = ()


def find_ground(layers: Sequence[Layer], canvas: Bounds, own: frozenset[str]) -> Layer | None:
    """The layer that may be the picture's ground, if it is opaque: nobody but its pixels can tell.

    It is the lowest visible layer of the document, and its paint reaches all around the canvas.
    """
    for layer in reversed(layers):
        if _is_shown(layer) and not _is_own(layer, own):
            covers = layer.bounds.intersection(canvas) == canvas
            return layer if covers and layer.name.strip() != BACKGROUND else None
    return None


def read_scene(layers: Sequence[Layer], own: frozenset[str], ground: Layer | None) -> Scene:
    """The regions among these layers (topmost first).

    own     ids of layers that Tapestry made; they are no regions
    ground  the layer that was found to cover the whole canvas under everything else
    """
    regions: list[RegionLayer] = []
    remarks: list[str] = []
    for layer in layers:
        prompt = layer.name.strip()
        if not _is_shown(layer) or _is_own(layer, own) or layer is ground or prompt == BACKGROUND:
            continue
        if layer.is_group and any(_is_own(inner, own) for inner in _shown_inside(layer)):
            remarks.append(
                f"The group \u201c{_shorten(prompt)}\u201d holds a picture that Tapestry made and "
                "is left out. Move that picture out of the group."
            )
        elif not prompt:
            remarks.append("A layer without a name is left out. Name it with what should be there.")
        else:
            regions.append(RegionLayer(layer.id, prompt, layer.bounds))
    background = ground.name.strip() if ground else ""
    return Scene(tuple(regions), background, tuple(dict.fromkeys(remarks)))


def picture_name(prompts: Sequence[str], seed: int, what: str = "") -> str:
    """The name of a layer that Tapestry made, e.g. "Tapestry: sky, grass, extended (seed 42)"."""
    said = _shorten(", ".join(prompt.strip() for prompt in prompts if prompt.strip()))
    parts = [part for part in (said, what) if part]
    return f"{OWN_PREFIX}{', '.join(parts)} (seed {seed})"


def _is_shown(layer: Layer) -> bool:
    return layer.visible and layer.opacity > 0 and layer.has_pixels and not layer.bounds.is_empty


def _is_own(layer: Layer, own: frozenset[str]) -> bool:
    return layer.id in own or layer.name.startswith(OWN_PREFIX)


def _shown_inside(group: Layer) -> Iterator[Layer]:
    for layer in group.children:
        if _is_shown(layer):
            yield layer
            yield from _shown_inside(layer)


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1].rstrip() + "\u2026"
