"""Layers that control networks are shown, out of a layered picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tapestry_protocol.adapters import Control
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.pixels import Bounds, PixelsRef
from tapestry_protocol.sentences import quoted

from .control_settings import ControlWish
from .document import Document, as_pixels

_MOST_NAMES = 40


class Controls(NamedTuple):
    """Those of the whole picture, those of regions by their names, and the pixels by SHA-256."""

    of_picture: tuple[Control, ...]
    of_regions: Mapping[str, tuple[Control, ...]]
    blobs: Mapping[str, bytes]


def read_controls(
    document: Document, area: Bounds, wishes: Sequence[ControlWish], regions: Sequence[str]
) -> Controls:
    """The control pictures that are wished for, as far as they lie inside `area`.

    Raises TapestryError for a layer or region that is not there, or a layer without paint.
    """
    of_picture: list[Control] = []
    of_regions: dict[str, tuple[Control, ...]] = {}
    blobs: dict[str, bytes] = {}
    for wish in wishes:
        control = _find(document, area, wish, blobs)
        if not wish.region:
            of_picture.append(control)
            continue
        if wish.region not in regions:
            raise _refused(f"No region is called {quoted(wish.region[:40])}", "regions", regions)
        of_regions[wish.region] = (*of_regions.get(wish.region, ()), control)
    return Controls(tuple(of_picture), of_regions, blobs)


def _find(document: Document, area: Bounds, wish: ControlWish, blobs: dict[str, bytes]) -> Control:
    if not wish.layer:
        return Control(wish.adapter, **wish.fields)
    nodes = [node for node in document.all_layers if node.name == wish.layer]
    if not nodes:
        names = list(dict.fromkeys(node.name for node in document.all_layers if node.name))
        raise _refused(f"No layer is called {quoted(wish.layer[:40])}", "layers", names)
    found = document.alpha(nodes[0], area)
    if found is None:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"The layer {quoted(wish.layer[:40])} has no paint to be shown to "
            f"{quoted(wish.adapter[:40])}.",
            "Draw on it, or name another layer.",
        )
    bounds, _ = found
    pixels = as_pixels(document.colours(nodes[0], bounds))
    reference = PixelsRef.of(pixels)
    blobs[reference.sha256] = pixels.data
    return Control(wish.adapter, bounds=bounds, image=reference, **wish.fields)


def quoted_list(names: Sequence[str]) -> str:
    """Names of layers in a sentence, the first of them if there are many."""
    shown = [quoted(name[:40]) for name in names[:_MOST_NAMES]]
    return ", ".join(shown) + (" and others" if len(names) > _MOST_NAMES else "")


def _refused(problem: str, what: str, names: Sequence[str]) -> TapestryError:
    known = f"The {what} are {quoted_list(names)}." if names else f"The scene has no {what}."
    return TapestryError(ErrorCode.BAD_REQUEST, f"{problem}.", known)
