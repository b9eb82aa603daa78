"""How much of the canvas a layer covers among those around it.

Krita composes what lies inside of a group. What lies around a layer is composed here: an eraser
takes from all below it, a layer that inherits alpha is seen only on what lies beneath it, and the
layers of a group that passes through lie among those around the group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tapestry_protocol.blending import ATOP, OVER, KeptPart, Operator, operator_of
from tapestry_protocol.pixels import Bounds

from .byte_masks import masked
from .canvas import Canvas, Layer

_OPAQUE = 255
_PIECE_BYTES = 4096
"""Where two masks are soft, they are multiplied byte by byte: only in pieces where both are."""

_INVERSE = bytes(range(255, -1, -1))


@dataclass(frozen=True)
class _Part:
    """What Krita composes as one, and its opacity by the groups that let it pass through."""

    layer: Layer
    opacity: int


def operator(layer: Layer) -> Operator:
    """How a layer and what lies below it become one."""
    own = operator_of(layer.blending)
    return ATOP if layer.inherits_alpha and own.adds_paint else own


def is_shown(layer: Layer) -> bool:
    """Whether it is part of the picture, as far as it decides that itself."""
    return layer.visible and layer.opacity > 0 and layer.has_pixels


def seen_alpha(canvas: Canvas, around: Sequence[Layer], layer_id: str, bounds: Bounds) -> bytes:
    """How much of each pixel a layer covers: height x width bytes, 255 = fully.

    around: the layers of its group, topmost first, itself among them. Its own opacity does not
    count, as in `Canvas.alpha`: it is a way of looking at the layer.
    """
    place = next((n for n, layer in enumerate(around) if layer.id == layer_id), None)
    if place is None:
        return canvas.alpha(layer_id, bounds)
    mine = list(_parts(around[place]))
    seen = _composed(canvas, mine, _backdrop(canvas, around[place + 1 :], mine, bounds), bounds)
    for layer in reversed(around[:place]):
        for part in _parts(layer) if is_shown(layer) else ():
            kept = operator(part.layer).kept
            if kept != "all":
                seen = _shared(seen, _alpha(canvas, part, layer, bounds), kept)
    return seen


def reads_of(around: Sequence[Layer], layer_id: str) -> int:
    """Number of masks that `seen_alpha` reads for one layer: callers read fewer pixels at once."""
    place = next((n for n, layer in enumerate(around) if layer.id == layer_id), None)
    if place is None:
        return 1
    mine = list(_parts(around[place]))
    lower = around[place + 1 :] if any(operator(part.layer).needs_backdrop for part in mine) else ()
    upper = [part for layer in around[:place] if is_shown(layer) for part in _parts(layer)]
    takers = [part for part in upper if operator(part.layer).kept != "all"]
    return len(mine) + sum(len(list(_parts(layer))) for layer in lower) + len(takers)


def _parts(layer: Layer, opacity: int = _OPAQUE) -> Iterator[_Part]:
    """What a layer is composed of, lowest first; its own opacity does not count."""
    if not layer.passes_through:
        yield _Part(layer, opacity)
        return
    for child in reversed(layer.children):
        if is_shown(child):
            yield from _parts(child, opacity * child.opacity // _OPAQUE)


def _backdrop(
    canvas: Canvas, below: Sequence[Layer], mine: Sequence[_Part], bounds: Bounds
) -> bytes:
    """What lies beneath, where that decides how much is seen of any of these parts."""
    total = bytes(bounds.height * bounds.width)
    if not any(operator(part.layer).needs_backdrop for part in mine):
        return total
    for layer in reversed(below):
        for part in _parts(layer) if is_shown(layer) else ():
            alpha = _alpha(canvas, part, layer, bounds)
            total = _covered(total, alpha, operator(part.layer), total)
    return total


def _composed(canvas: Canvas, parts: Sequence[_Part], beneath: bytes, bounds: Bounds) -> bytes:
    """What parts cover together, lowest first, on a backdrop that is none of them."""
    if len(parts) == 1 and not operator(parts[0].layer).needs_backdrop:
        return _thinned(canvas.alpha(parts[0].layer.id, bounds), parts[0].opacity)
    total = bytes(bounds.height * bounds.width)
    for part in parts:
        alpha = _thinned(canvas.alpha(part.layer.id, bounds), part.opacity)
        how = operator(part.layer)
        total = _covered(total, alpha, how, beneath)
        beneath = _covered(beneath, alpha, how, beneath)
    return total


def _alpha(canvas: Canvas, part: _Part, layer: Layer, bounds: Bounds) -> bytes:
    """A part of another layer.

    What an artist looks through covers as if it were opaque, but half erased is half.
    """
    adds_paint = operator(part.layer).adds_paint
    opacity = part.opacity if adds_paint else part.opacity * layer.opacity // _OPAQUE
    return _thinned(canvas.alpha(part.layer.id, bounds), opacity)


# --- bytes ----------------------------------------------------------------------------------------


def _covered(below: bytes, above: bytes, how: Operator, backdrop: bytes) -> bytes:
    """What is covered after a layer was laid on; `backdrop` decides how much of it is seen."""
    if how is OVER:
        still_open = _product(below.translate(_INVERSE), above.translate(_INVERSE))
        return still_open.translate(_INVERSE)
    if how is ATOP and below is backdrop:
        return below
    return _sum(_shared(above, backdrop, how.above), _shared(below, above, how.below))


def _shared(alpha: bytes, other: bytes, kind: KeptPart) -> bytes:
    """The share of a mask by another one."""
    if kind == "all":
        return alpha
    if kind == "none":
        return bytes(len(alpha))
    return _product(alpha, other if kind == "in" else other.translate(_INVERSE))


def _thinned(alpha: bytes, opacity: int) -> bytes:
    if opacity == _OPAQUE:
        return alpha
    return alpha.translate(bytes((value * opacity + 127) // 255 for value in range(256)))


def _is_hard(mask: bytes) -> bool:
    """Whether each pixel is covered or not: then a product is what both have in common."""
    return mask.count(0) + mask.count(_OPAQUE) == len(mask)


def _product(first: bytes, second: bytes) -> bytes:
    """Each pixel's first value by its second, 255 being one."""
    if _is_hard(first) or _is_hard(second):
        return masked(first, second)
    if len(first) <= _PIECE_BYTES:
        return bytes((a * b + 127) // 255 for a, b in zip(first, second, strict=True))
    return b"".join(_product(*pieces) for pieces in _in_pieces(first, second))


def _sum(first: bytes, second: bytes) -> bytes:
    """Each pixel's two values together, 255 at most."""
    if not any(first):
        return second
    if not any(second):
        return first
    if len(first) <= _PIECE_BYTES:
        return bytes(min(255, a + b) for a, b in zip(first, second, strict=True))
    return b"".join(_sum(*pieces) for pieces in _in_pieces(first, second))


def _in_pieces(first: bytes, second: bytes) -> Iterator[tuple[bytes, bytes]]:
    for start in range(0, len(first), _PIECE_BYTES):
        piece = slice(start, start + _PIECE_BYTES)
        yield first[piece], second[piece]
