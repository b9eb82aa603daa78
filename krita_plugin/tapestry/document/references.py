"""Other pictures that a model is shown while it follows an instruction: a layer, or favourites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_REFERENCES
from tapestry_protocol.messages import Edit
from tapestry_protocol.pixels import Pixels, PixelsRef
from tapestry_protocol.sentences import Sentence, quoted

from ..settings.settings import Settings
from .adapter_settings import all_pictures
from .bands import read_in_bands
from .canvas import Canvas


async def with_references(
    edit: Edit,
    canvas: Canvas,
    settings: Settings,
    favourites: Sequence[Pixels],
    blobs: dict[str, bytes],
) -> Edit:
    """An edit with the references that the artist chose, with their pixels in `blobs`.

    favourites: of the history, where these were chosen. Other methods than instructions have none.
    Raises TapestryError where what was chosen is not there.
    """
    if edit.method != "instruct":
        return edit
    return replace(edit, references=await _references(canvas, settings, favourites, blobs))


async def _references(
    canvas: Canvas, settings: Settings, favourites: Sequence[Pixels], blobs: dict[str, bytes]
) -> tuple[PixelsRef, ...]:
    if settings.edit_reference_from == "none":
        return ()
    if settings.edit_reference_from == "layer":
        return (await _layer(canvas, settings.edit_reference, blobs),)
    if not favourites:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "The history has no favourites that could be a reference.",
            "Mark a picture of the history with its star, or choose a layer.",
        )
    if len(favourites) > MAX_REFERENCES:
        raise TapestryError(
            ErrorCode.TOO_LARGE,
            Sentence(
                "{count} favourites are too many references; a model is shown {most} at most.",
                count=len(favourites),
                most=MAX_REFERENCES,
            ),
            "Take the star off some pictures of the history.",
        )
    blobs.update((picture.sha256, picture.data) for picture in favourites)
    return tuple(PixelsRef.of(picture) for picture in favourites)


async def _layer(canvas: Canvas, name: str, blobs: dict[str, bytes]) -> PixelsRef:
    """All of the first layer of this name, wherever it lies."""
    layer = next((one for one in all_pictures(canvas.layers()) if one.name == name), None)
    if layer is None or layer.bounds.is_empty:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence("The layer {layer}, the reference, is not here any more.", layer=quoted(name))
            if layer is None
            else Sentence("The layer {layer}, the reference, is empty.", layer=quoted(name)),
            "Choose another layer as the reference, or none.",
        )
    return await read_in_bands(layer.bounds, 4, partial(canvas.colors, layer.id), blobs)
