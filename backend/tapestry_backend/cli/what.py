"""The command `tapestry what`: which of some names fits what a picture shows."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.request_checks import names_to_compare
from tapestry_protocol.sentences import quoted

from ..checkpoints.catalogue import SAMPLE, Catalogue
from ..checkpoints.discovery import entries_for
from ..openraster.document import Document
from ..openraster.png import read_picture
from ..outputs import write_outputs
from .picture_files import PICTURE_OR_SCENE, kept, layer_or_mask, picture_data, selection_of
from .render import ProgressLine, check_outputs
from .render_options import MODEL, add_quiet
from .scene_pictures import open_document

if TYPE_CHECKING:
    from ..tasks.recognition import Recognised


def add_what_options(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    parser.description = (
        "Compares names for what a picture shows, and prints them, the best first. The model is "
        "the judge: the name with which it tells best what of the noised picture is noise."
    )
    parser.add_argument("picture", metavar="PICTURE.png|SCENE.ora", type=Path)
    parser.add_argument(
        "--among",
        metavar="NAMES",
        help='the names, divided by semicolons, for instance "red bricks;stone wall" (the '
        "materials that the model lists in its vocabulary.json)",
    )
    parser.add_argument(
        "--select",
        metavar="MASK.png|LAYER",
        help="look at nothing but what is white in this picture, or painted on this layer",
    )
    parser.add_argument("--model", **MODEL, default=SAMPLE)
    parser.add_argument("--json", metavar="FILE.json", type=Path, help="write all figures")
    add_quiet(parser.add_argument)


def what(options: argparse.Namespace) -> None:
    """Carry out the command; raises TapestryError with a sentence for whatever is wrong."""
    check_outputs(options.picture, [], (), options.json)
    progress = ProgressLine(quiet=options.quiet)
    blobs: dict[str, bytes] = {}
    request = _request(options, blobs, progress)
    catalogue = Catalogue([options.model], found=entries_for([options.model]))
    names = _names(options, catalogue)
    found = _recognised(request, names, blobs, catalogue, progress)
    sys.stdout.write("".join(f"{name}\n" for name in found.names))
    if options.json is not None:
        figures: list[dict[str, Any]] = [
            {"name": name, "excess": standing.excess, "samples": standing.samples}
            for name, standing in zip(found.names, found.standings, strict=True)
        ]
        text = json.dumps(figures, indent=2, ensure_ascii=False) + "\n"
        write_outputs([(options.json, text.encode())])


def _recognised(
    request: Request,
    names: Sequence[str],
    blobs: dict[str, bytes],
    catalogue: Catalogue,
    progress: ProgressLine,
) -> Recognised:
    from ..models.model_cache import ModelCache  # noqa: PLC0415  torch, only once the input is sound
    from ..tasks.recognition import Recognised, recognise  # noqa: PLC0415  likewise

    for event in recognise(request, names, blobs, ModelCache(catalogue)):
        if isinstance(event, Recognised):
            progress.done()
            return event
        progress.show(event)
    raise TapestryError(ErrorCode.INTERNAL, "The names were not compared.")


def _request(
    options: argparse.Namespace, blobs: dict[str, bytes], progress: ProgressLine
) -> Request:
    """The picture to look at, and the part of it."""
    path: Path = options.picture
    document: Document | None = None
    if path.suffix.lower() == ".ora":
        document = open_document(path)
        picture, notes = document.flattened, tuple(document.damage)
    else:
        picture, notes = read_picture(picture_data(path, PICTURE_OR_SCENE), quoted(path.name))
    for note in notes:
        progress.note(note)
    height, width = picture.shape[:2]
    request = Request("edit", height, width, image=kept(picture, blobs), model=options.model)
    if options.select:
        selected = layer_or_mask(options.select, document, request)
        request = replace(request, selection=selection_of(selected, blobs))
    return request


def _names(options: argparse.Namespace, catalogue: Catalogue) -> Sequence[str]:
    """Those that were given, or the materials that the model's folder lists."""
    if options.among is not None:
        return names_to_compare(options.among.split(";"))
    materials = catalogue.find(options.model).materials
    if not materials:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "The model does not list what it was taught.",
            'Say which names to compare, for instance --among "red bricks;stone wall".',
        )
    return materials
