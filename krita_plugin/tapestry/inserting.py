"""Puts a finished picture into its document, a band at a time; no Qt, no connection."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from tapestry_protocol.pixels import Bounds, Pixels

from .canvas import Canvas, Host
from .job import Order
from .reading import bands, keep_own_layer


@dataclass(frozen=True)
class Finding:
    """What the artist should know about where the picture went."""

    message: str
    advice: str = ""


def insertion(
    host: Host, canvas: Canvas, order: Order, pixels: Pixels, bounds: Bounds
) -> Generator[None, None, Finding | None]:
    """Put RGBA pixels into the document; gives what is unusual about it, if anything is.

    bounds   where the picture lies, in coordinates of the document before extension
    """
    if not canvas.is_open:
        yield from _into_new_document(host, order, pixels, bounds)
        return Finding(
            "The document was closed while its picture was painted.",
            "The picture is in a new document.",
        )
    request = order.request
    finding = None
    whole = order.whole
    bounds = bounds.moved(-whole.top, -whole.left)
    if (canvas.height, canvas.width) != (whole.height, whole.width):
        finding = Finding(
            "The document's size has changed while its picture was painted.",
            "The new layer lies where it would have been: move it to where it belongs.",
        )
    elif not request.margins.is_zero:
        canvas.grow(request.margins)
        bounds = bounds.moved(request.margins.top, request.margins.left)
    yield from _insert(canvas, order.layer_name, pixels, bounds.top, bounds.left)
    return finding


def _into_new_document(
    host: Host, order: Order, pixels: Pixels, bounds: Bounds
) -> Generator[None, None, None]:
    canvas = host.create_canvas(pixels.height, pixels.width, order.layer_name)
    image = order.request.image
    if image is not None:
        old = Pixels(image.height, image.width, image.channels, order.blobs[image.sha256])
        yield from _insert(canvas, "Tapestry: the old picture", old, -bounds.top, -bounds.left)
    yield from _insert(canvas, order.layer_name, pixels, 0, 0)


def _insert(
    canvas: Canvas, name: str, pixels: Pixels, top: int, left: int
) -> Generator[None, None, None]:
    draft = canvas.draft(name)
    row_bytes = pixels.width * pixels.channels
    for band in bands(Bounds(0, 0, pixels.height, pixels.width)):
        data = pixels.data[band.top * row_bytes : band.bottom * row_bytes]
        draft.write(Pixels(band.height, pixels.width, 4, data), top + band.top, left)
        yield
    keep_own_layer(canvas, draft.insert())
    yield
