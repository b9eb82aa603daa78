"""Puts a finished picture into a document, a band at a time, and takes it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.layer_names import OWN_PREFIX
from tapestry_protocol.pixels import NO_MARGINS, Bounds, Margins, Pixels

from ..common.task_queue import give_way, next_turn
from ..document.bands import bands
from ..document.byte_masks import masked
from ..document.canvas import Canvas, Host, Layer, LayerDraft, Merged
from ..document.order import all_layers
from ..document.reading import keep_own_layer, own_layers
from ..document.settling import drawn, settled
from ..i18n.translation import tr

InsertAs = Literal["layer", "regions", "active"]
"""One layer; a group with one layer for each region; into the layer the artist works on."""


@dataclass(frozen=True)
class Cut:
    """A region's part of a picture: its mask (1 channel) fills the bounds."""

    name: str
    bounds: Bounds
    mask: Pixels


@dataclass(frozen=True)
class OwnLayer:
    """A region's own picture, and how much of it shows (1 channel): both fill the bounds."""

    name: str
    bounds: Bounds
    pixels: Pixels
    mask: Pixels


@dataclass(frozen=True)
class LayerGroup:
    """Layers that look like the picture over each other: topmost first, and the base below."""

    base: Pixels
    layers: Sequence[OwnLayer]


@dataclass(frozen=True)
class FinishedPicture:
    """A finished picture.

    bounds           where it lies, in pixels of the document before extension
    document_size    height and width of that document
    sources          ids of the layers that it was made from
    group            its regions with their own pictures, where it came with them
    cuts             else its regions, topmost first
    old              the picture as it was before an extension, for a document that is gone
    enlarged_from    the part of the document that became this larger picture, if it is one
    """

    name: str
    pixels: Pixels
    bounds: Bounds
    document_size: tuple[int, int]
    margins: Margins = NO_MARGINS
    sources: tuple[str, ...] = ()
    group: LayerGroup | None = None
    cuts: Sequence[Cut] = ()
    old: Pixels | None = None
    enlarged_from: Bounds | None = None

    @property
    def extended(self) -> tuple[int, int]:
        """Height and width of the document after it has grown for the picture."""
        if self.enlarged_from is not None:
            return self.pixels.height, self.pixels.width
        m, (height, width) = self.margins, self.document_size
        return height + m.top + m.bottom, width + m.left + m.right

    def bounds_in(self, canvas: Canvas) -> Bounds:
        """Where it lies in a document that may have grown already."""
        if self.enlarged_from is not None and (canvas.height, canvas.width) != self.extended:
            return self.enlarged_from
        if (canvas.height, canvas.width) == self.extended:
            return self.bounds.moved(self.margins.top, self.margins.left)
        return self.bounds


@dataclass(frozen=True)
class Finding:
    """What the artist should know about where the picture went."""

    message: str
    advice: str = ""


@dataclass(frozen=True)
class Inserted:
    """What has become of a picture.

    layers     ids of what is new, the outermost first
    grown      how far the canvas has become larger
    take_back  undoes what taking the layers out does not
    """

    layers: tuple[str, ...]
    grown: Margins = NO_MARGINS
    finding: Finding | None = None
    take_back: Callable[[], None] | None = None


@dataclass(frozen=True)
class PreviewLayer:
    """A layer of the document that shows a picture already, in its place."""

    layer_id: str
    draft: LayerDraft


async def insertion(
    canvas: Canvas,
    picture: FinishedPicture,
    way: InsertAs = "layer",
    shown: PreviewLayer | None = None,
) -> Inserted:
    """Put a picture into a document; says what is unusual about it, if anything is.

    shown  is made the new layer, if there is one
    """
    grown, finding = NO_MARGINS, None
    size = (canvas.height, canvas.width)
    if size not in (picture.document_size, picture.extended):
        finding = Finding(
            tr("The document's size has changed since this picture was asked for."),
            tr("The new layer lies where it would have been: move it to where it belongs."),
        )
    elif size == picture.document_size and not picture.margins.is_zero:
        grown = picture.margins
        canvas.grow(grown)
    elif size == picture.document_size != picture.extended:
        height, width = picture.extended
        grown = Margins(bottom=height - size[0], right=width - size[1])
        await settled(canvas)
        canvas.scale(height, width)
        await settled(canvas)
    bounds = picture.bounds_in(canvas)
    if way == "active":
        merged = await _merge(canvas, picture, bounds)
        return Inserted((merged.layer_id,), grown, finding, merged.take_back)
    if way == "regions" and picture.group is not None:
        layers = await _insert_layers(canvas, picture, picture.group, bounds)
    elif way == "regions" and picture.cuts:
        layers = await _insert_cuts(canvas, picture, bounds)
        finding = finding or _is_cut()
    else:
        layers = (await _insert_layer(canvas, picture, bounds, shown),)
    for layer_id in layers:
        keep_own_layer(canvas, layer_id)
    await give_way()
    return Inserted(layers, grown, finding)


async def insertion_into_new_document(
    host: Host, picture: FinishedPicture, *, is_wanted: bool = False
) -> Inserted:
    """A document of its own for a picture that wants one, or whose document is gone."""
    canvas = host.create_canvas(picture.pixels.height, picture.pixels.width, picture.name)
    await next_turn()
    new = replace(picture, sources=())
    if picture.old is not None:
        old = replace(new, name=OWN_PREFIX + tr("the old picture"), pixels=picture.old)
        place = Bounds(0, 0, picture.old.height, picture.old.width)
        place = place.moved(-picture.bounds.top, -picture.bounds.left)
        keep_own_layer(canvas, await _insert_layer(canvas, old, place))
    whole = Bounds(0, 0, canvas.height, canvas.width)
    layer = await _insert_layer(canvas, new, whole)
    keep_own_layer(canvas, layer)
    await give_way()
    finding = Finding(
        tr("The document that this picture was made for is not open."),
        tr("The picture is in a new document."),
    )
    return Inserted((layer,), NO_MARGINS, None if is_wanted else finding)


def take_back_size(
    canvas: Canvas, grown: Margins, size: tuple[int, int], *, is_scaled: bool = False
) -> bool:
    """Make the canvas as small as it was (`size`); False where it was resized since.

    is_scaled: all layers became larger with it, and become smaller again
    """
    if (canvas.height, canvas.width) == size:
        return True
    height, width = size[0] + grown.top + grown.bottom, size[1] + grown.left + grown.right
    if (canvas.height, canvas.width) == (height, width):
        if is_scaled:
            canvas.scale(*size)
        else:
            canvas.shrink(grown)
        return True
    return False


def place_above(canvas: Canvas, sources: Sequence[str]) -> str:
    """The layer above which a picture made from these belongs: them, and earlier pictures."""
    own, wanted = own_layers(canvas), set(sources)

    def is_below(layer: Layer) -> bool:
        ids = {inner.id for inner in all_layers((layer,))}
        return layer.name.startswith(OWN_PREFIX) or bool(ids & (own | wanted))

    return next((layer.id for layer in canvas.layers() if is_below(layer)), "") if sources else ""


async def insert_mask(
    canvas: Canvas, name: str, mask: Pixels, bounds: Bounds, color: tuple[int, int, int]
) -> str:
    """A layer on top with this mask (1 channel) in an RGB colour; gives its id."""
    shown = await _insert_empty(canvas, name, "")
    for band in bands(Bounds(0, 0, mask.height, mask.width)):
        data = bytearray(bytes((*color, 0)) * (band.height * band.width))
        data[3::4] = mask.data[band.top * mask.width : band.bottom * mask.width]
        part = Pixels(band.height, band.width, 4, bytes(data))
        shown.draft.write(part, bounds.top + band.top, bounds.left)
        await give_way()
    await drawn(canvas)
    return shown.layer_id


async def scaled_down(host: Host, pixels: Pixels, longest: int) -> Pixels:
    """A small copy, made a band at a time."""
    share = min(1.0, longest / max(pixels.height, pixels.width))
    rows, columns = max(1, int(pixels.height * share)), max(1, int(pixels.width * share))
    per_band = max(1, rows * 2**19 // (pixels.height * pixels.width))
    data, row_bytes = bytearray(), pixels.width * 4
    for first in range(0, rows, per_band):
        last = min(rows, first + per_band)
        top, bottom = first * pixels.height // rows, last * pixels.height // rows
        band = pixels.data[top * row_bytes : bottom * row_bytes]
        part = Pixels(bottom - top, pixels.width, 4, band)
        data += host.scaled(part, last - first, columns).data
        await give_way()
    return Pixels(rows, columns, 4, bytes(data))


async def _insert_layer(
    canvas: Canvas, picture: FinishedPicture, bounds: Bounds, shown: PreviewLayer | None = None
) -> str:
    if shown is None:
        above = place_above(canvas, picture.sources)
        shown = await _insert_empty(canvas, picture.name, above)
    await _write(shown.draft, picture.pixels, bounds.top, bounds.left)
    shown.draft.rename(picture.name)
    await drawn(canvas)
    return shown.layer_id


async def _insert_empty(canvas: Canvas, name: str, above: str) -> PreviewLayer:
    """What is written later costs Krita no time at once, and is no step of undo."""
    draft = canvas.draft(name)
    await _ready(canvas)
    layer_id = await draft.insert(above)
    await next_turn()
    return PreviewLayer(layer_id, draft)


async def _insert_layers(
    canvas: Canvas, picture: FinishedPicture, group: LayerGroup, bounds: Bounds
) -> tuple[str, ...]:
    """Each region's own picture under a mask, and under them the base."""
    names = [layer.name for layer in group.layers]
    drafts, base, ids = await _insert_group(canvas, picture, names, masked=True)
    down, right = bounds.top - picture.bounds.top, bounds.left - picture.bounds.left
    await _write(base, group.base, bounds.top, bounds.left)
    for draft, layer in zip(drafts, group.layers, strict=True):
        place = layer.bounds.moved(down, right)
        await _write(draft, layer.pixels, place.top, place.left)
        await _write(draft, layer.mask, place.top, place.left)
    await drawn(canvas)
    return ids


async def _insert_cuts(canvas: Canvas, picture: FinishedPicture, bounds: Bounds) -> tuple[str, ...]:
    """Each region's part in a layer, and under them the whole, so that no seam shows through."""
    names = [cut.name for cut in picture.cuts]
    drafts, whole, ids = await _insert_group(canvas, picture, names)
    shift = (bounds.top - picture.bounds.top, bounds.left - picture.bounds.left)
    await _write(whole, picture.pixels, bounds.top, bounds.left)
    for draft, cut in zip(drafts, picture.cuts, strict=True):
        await _write_cut(draft, picture, cut, shift)
    await drawn(canvas)
    return ids


async def _insert_group(
    canvas: Canvas, picture: FinishedPicture, names: Sequence[str], *, masked: bool = False
) -> tuple[list[LayerDraft], LayerDraft, tuple[str, ...]]:
    """Empty layers with these names over one for everything else, in a group; and all ids."""
    drafts = [canvas.draft(f"{OWN_PREFIX}{name}", masked=masked) for name in names]
    rest = canvas.draft(OWN_PREFIX + tr("everything else"))
    above = place_above(canvas, picture.sources)
    await _ready(canvas)
    group = await canvas.insert_group(picture.name, [*drafts, rest], above)
    await next_turn()
    return drafts, rest, (group.id, *group.layers)


def _is_cut() -> Finding:
    return Finding(
        tr("The layers of this group are cut from the finished picture."),
        tr(
            "For outlines that can be painted anew, have the next picture made as a group of "
            "regions: the switch is on the page of the backend."
        ),
    )


async def _merge(canvas: Canvas, picture: FinishedPicture, bounds: Bounds) -> Merged:
    """Right above the active layer at first, then into it."""
    active = canvas.active_layer()
    if not canvas.takes_paint(active):
        raise _takes_no_picture()
    shown = await _insert_empty(canvas, picture.name, active)
    await _write(shown.draft, picture.pixels, bounds.top, bounds.left)
    await drawn(canvas)
    await next_turn()
    merged = await shown.draft.merge_into(active)
    if merged is None:  # it was moved, locked or removed meanwhile
        canvas.remove(shown.layer_id)
        raise _takes_no_picture()
    await give_way()
    return merged


def _takes_no_picture() -> TapestryError:
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        tr("The active layer takes no picture."),
        tr("Choose a paint layer that is not locked, then apply the picture again."),
    )


async def _ready(canvas: Canvas) -> None:
    """Until a layer can be added: else Krita waits for the drawing first, and then for it."""
    await give_way()
    await settled(canvas)
    await next_turn()


async def _write_cut(
    draft: LayerDraft, picture: FinishedPicture, cut: Cut, shift: tuple[int, int]
) -> None:
    area = cut.bounds.intersection(picture.bounds)
    for band in bands(area):
        data = bytearray()
        for y in range(band.top, band.bottom):
            start = (y - picture.bounds.top) * picture.pixels.width
            start += band.left - picture.bounds.left
            row = bytearray(picture.pixels.data[4 * start : 4 * (start + band.width)])
            at = (y - cut.bounds.top) * cut.mask.width + band.left - cut.bounds.left
            row[3::4] = _masked_alpha(bytes(row[3::4]), cut.mask.data[at : at + band.width])
            data += row
            await give_way()
        pixels = Pixels(band.height, band.width, 4, bytes(data))
        draft.write(pixels, band.top + shift[0], band.left + shift[1])
        await give_way()


def _masked_alpha(picture: bytes, mask: bytes) -> bytes:
    """What is left of a picture's alpha within a mask."""
    if picture.count(255) + picture.count(0) == len(picture):  # nearly always, and far quicker
        return masked(mask, picture)
    return bytes(a * b // 255 for a, b in zip(picture, mask, strict=True))


async def _write(draft: LayerDraft, pixels: Pixels, top: int, left: int) -> None:
    row_bytes = pixels.width * pixels.channels
    for band in bands(Bounds(0, 0, pixels.height, pixels.width)):
        data = pixels.data[band.top * row_bytes : band.bottom * row_bytes]
        part = Pixels(band.height, pixels.width, pixels.channels, data)
        write = draft.write_mask if pixels.channels == 1 else draft.write
        write(part, top + band.top, left)
        await give_way()
