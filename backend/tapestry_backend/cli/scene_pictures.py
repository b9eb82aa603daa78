"""What the options of a command make of a scene: a request, its picture, and files of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.layer_names import OWN_PREFIX, plain_name
from tapestry_protocol.messages import Request
from tapestry_protocol.sentences import quoted

from ..checkpoints.catalogue import Catalogue
from ..checkpoints.discovery import adapter_folders, entries_for
from ..openraster.control_settings import read_control
from ..openraster.controls import quoted_list
from ..openraster.document import Document, ResultLayer, as_array
from ..openraster.png import encode_png
from ..openraster.scene import PaintOver, Scene, read_scene, result_name
from ..openraster.selection import has_layer, select_layer, select_mask
from ..tasks.events import Finished, Progressed, last_of
from .picture_files import picture_data, unreadable
from .render_options import request_settings, take_lora_files

if TYPE_CHECKING:
    from ..models.model_cache import ModelCache


class ReadScene(NamedTuple):
    """A scene's document, and what it asks for."""

    document: Document
    scene: Scene


def catalogue_of(options: argparse.Namespace) -> Catalogue:
    """The models and adapters that the options name, and those that are found here."""
    take_lora_files(options)
    return Catalogue(
        [options.model],
        found=entries_for([options.model]),
        adapters=options.adapter,
        adapter_folders=adapter_folders(),
    )


def read_with(
    path: Path,
    options: argparse.Namespace,
    catalogue: Catalogue,
    note: Callable[[str], None],
) -> ReadScene:
    """What the options of `render` make of a scene; all that can be known before painting.

    note: takes sentences about what was left out. Raises TapestryError.
    """
    document = open_document(path)
    scene = read_scene(
        document,
        background=options.background,
        margins=options.extend,
        paint_over=_paint_over(document, options),
        about=region_settings(options.region),
        controls=[read_control(*control) for control in options.control],
        **request_settings(options),
    ).without_missing_loras(catalogue.adapters.find)
    for text in scene.notes:
        note(text)
    catalogue.check(scene.request)
    _ = document.flattened  # what cannot be decoded is found out now, not after painting
    for text in document.damage:
        if text not in scene.notes:
            note(text)
    return ReadScene(document, scene)


def painted(scene: Scene, model_cache: ModelCache, show: Callable[[Progressed], None]) -> Finished:
    """The picture of a scene; show: takes what happens meanwhile."""
    from ..tasks.run import run  # noqa: PLC0415  torch, only once the input is sound

    return last_of(run(scene.request, scene.blobs, model_cache), show)


def open_document(path: Path) -> Document:
    """Read a scene; raises TapestryError."""
    try:
        return Document.open(path)
    except OSError as error:
        raise unreadable(
            path, error, "Give the path of a picture that was saved as OpenRaster (.ora)."
        ) from error


def check_together(options: argparse.Namespace) -> None:
    """Refuse settings of a task that was not asked for: they would do nothing, silently."""
    settings = request_settings(options)
    if "strength" in settings and options.refine is None:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "--strength says how far --refine may go.",
            'Name what to refine, or give a region a strength: --region "LAYER" strength=X.',
        )
    if "continue_regions" in settings and options.extend.is_zero:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "--no-continue says that regions of --extend end at the old edge.",
            "Name the sides that grow, for instance --extend left=256.",
        )
    if "under_px" in settings and options.extend.is_zero:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "--under says how far the new part of --extend goes on.",
            "Name the sides that grow, for instance --extend left=256.",
        )


def _paint_over(document: Document, options: argparse.Namespace) -> PaintOver | None:
    """What --refine or --fill name: a layer of the document, or else a file."""
    task: Literal["refine", "fill"] = "fill" if options.refine is None else "refine"
    where = options.fill if options.refine is None else options.refine
    if where is None:
        return None
    name = plain_name(where)
    if has_layer(document, name):
        return PaintOver(task, select_layer(document, name), name)
    path = Path(where)
    if path.suffix.lower() != ".png":
        names = list(dict.fromkeys(node.name for node in document.all_layers if node.name))
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"No layer is called {quoted(name[:40])}.",
            f"The layers are {quoted_list(names)}; or give a mask as a .png file.",
        )
    data = picture_data(path, "Give the name of a layer, or the path of a mask.")
    return PaintOver(task, select_mask(document, data, path.name))


def region_settings(regions: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A region's name -> all that --region says of it."""
    about: dict[str, str] = {}
    for name, text in regions:
        known = about.get(plain_name(name))
        about[plain_name(name)] = text if known is None else f"{known},{text}"
    return about


def output_files(
    document: Document, scene: Scene, finished: Finished, outputs: Iterable[Path]
) -> Iterator[tuple[Path, bytes]]:
    """What is to be written, one after the other: pictures are large."""
    request = scene.request
    lowest = request.under_px > 0
    flattened = document.with_result(finished.pixels, request.margins, lowest=lowest)
    for path in outputs:
        if path.suffix.lower() == ".png":
            yield path, encode_png(flattened, document.colours_meant)
        else:
            saved = document.saved_with_result(
                finished.pixels,
                request.margins,
                result_name(request),
                flattened,
                lowest=lowest,
                settings=scene.settings,
                layers=_layers(request, finished),
            )
            yield path, saved


def _layers(request: Request, finished: Finished) -> list[ResultLayer]:
    """The result's layers, topmost first, where they were asked for.

    OpenRaster has no masks. So each region's mask is its layer's alpha, and what lies behind its
    outline are the colours of transparent pixels: a program that makes a mask of the alpha has it.
    """
    if finished.layered is None:
        return []
    flat, layers = as_array(finished.pixels), []
    for layer in finished.layered.layers:
        place = layer.bounds.moved(-finished.bounds.top, -finished.bounds.left)
        own, mask = as_array(layer.pixels), as_array(layer.mask)
        beyond = flat[place.top : place.bottom, place.left : place.right]
        pixels = np.where(own[..., 3:] > 0, own, beyond)
        pixels[..., 3:] = np.where(own[..., 3:] > 0, mask, 0)
        name = OWN_PREFIX + request.regions[layer.region].prompt
        layers.append(ResultLayer(name, pixels, place.top, place.left))
    base = as_array(finished.layered.base)
    return [*layers, ResultLayer(f"{OWN_PREFIX}everything else", base)]
