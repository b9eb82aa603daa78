"""A document -> examples that a model is taught a word from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_EXAMPLES
from tapestry_protocol.messages import Request, Teach
from tapestry_protocol.pixels import Bounds, Pixels, PixelsRef
from tapestry_protocol.request_checks import check_request
from tapestry_protocol.sentences import Sentence

from ..settings.settings import Settings
from .bands import any_paint, read_in_bands
from .canvas import Canvas, Layer
from .order import Order
from .reading import scene_of
from .settling import settled

_SHOWN_PX = 256
"""The side of the picture that shows what the word means."""


def groups_of(canvas: Canvas) -> tuple[str, ...]:
    """Names of the document's groups, each of which may hold the examples."""
    return tuple(dict.fromkeys(layer.name for layer in _all(canvas.layers()) if layer.is_group))


async def order_to_teach(
    canvas: Canvas, settings: Settings, pictures: Sequence[Pixels] = (), *, keep: bool = False
) -> Order:
    """What is painted on each of the chosen layers, by itself, and on these pictures.

    pictures: of the history, where these are the examples. keep: what was learned so far becomes
    the file. Raises TapestryError where there is too little to learn from.
    """
    await settled(canvas)
    blobs: dict[str, bytes] = {}
    refs: list[PixelsRef] = []
    for picture in pictures:
        blobs[picture.sha256] = picture.data
        refs.append(PixelsRef.of(picture))
    if settings.teach_from != "history":
        refs += await _examples(canvas, settings, blobs)
    if len(refs) > MAX_EXAMPLES:
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            Sentence(
                "There are {count} examples; a model is taught from {most} at most.",
                count=len(refs),
                most=MAX_EXAMPLES,
            ),
            "Hide some layers: 3 to 5 are what the methods are made for.",
        )
    word = settings.teach_word.strip()
    teach = Teach(
        word,
        tuple(refs),
        like=settings.teach_like.strip(),
        method=settings.teach_method,
        minutes=0.0 if keep else settings.teach_minutes,
        flips=settings.teach_flips,
        turns=settings.teach_turns,
        light=settings.teach_light,
        licence=settings.teach_licence.strip(),
    )
    request = Request("teach", _SHOWN_PX, _SHOWN_PX, model=settings.model, teach=teach)
    check_request(request)
    return Order(request, blobs, word)


async def _examples(canvas: Canvas, settings: Settings, blobs: dict[str, bytes]) -> list[PixelsRef]:
    whole = Bounds(0, 0, canvas.height, canvas.width)
    selected = canvas.selection() if settings.teach_from == "selection" else whole
    if selected is None:
        raise TapestryError(
            ErrorCode.BAD_REQUEST, "Nothing is selected.", "Select what the examples show."
        )
    found = []
    for layer_id, place in await _chosen(canvas, settings):
        bounds = place.intersection(selected)
        if bounds.is_empty:
            continue
        read = partial(canvas.colors, layer_id)
        if settings.teach_from == "selection":
            read = partial(_selected_colors, canvas, layer_id)
        example = await read_in_bands(bounds, 4, read, blobs)
        if any_paint(blobs[example.sha256][3::4]):
            found.append(example)
        else:
            del blobs[example.sha256]
    return found


def _selected_colors(canvas: Canvas, layer_id: str, bounds: Bounds) -> bytes:
    """A layer's own pixels, as opaque as they are selected."""
    colors = bytearray(canvas.colors(layer_id, bounds))
    shares = canvas.selected(bounds)
    colors[3::4] = bytes(
        opacity * share // 255 for opacity, share in zip(colors[3::4], shares, strict=True)
    )
    return bytes(colors)


async def _chosen(canvas: Canvas, settings: Settings) -> list[tuple[str, Bounds]]:
    """Ids of the layers that are examples, and where they lie.

    Of the whole document those that count as regions: a background that is filled shows nothing of
    the thing.
    """
    if settings.teach_from != "group":
        scene = await scene_of(canvas)
        return [(region.id, region.bounds) for region in scene.regions if region.settings.on]
    groups = [layer for layer in _all(canvas.layers()) if layer.is_group]
    named = [group for group in groups if group.name == settings.teach_group]
    if not named:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "The group with the examples is not there any more.",
            "Choose another one.",
        )
    return [(layer.id, layer.bounds) for layer in named[0].children if layer.visible]


def _all(layers: Sequence[Layer]) -> Iterator[Layer]:
    for layer in layers:
        yield layer
        yield from _all(layer.children)
