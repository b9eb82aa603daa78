"""The command `tapestry upscale`: a picture, or a scene's picture, made larger."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds
from tapestry_protocol.request_checks import check_contents
from tapestry_protocol.sentences import quoted

from ..checkpoints.catalogue import Catalogue
from ..checkpoints.model_paths import models_folder
from ..checkpoints.upscaler_file import Upscaler, find_upscaler
from ..openraster.control_settings import read_control
from ..openraster.document import Document, as_array
from ..openraster.png import colours_of, encode_png, png_pieces, read_picture
from ..openraster.scene import read_scene, result_name, shows_result
from ..openraster.stack import Node
from ..outputs import check_not_source, keep_beside, write_outputs
from ..provenance.record import Record, source_type_of
from ..tasks.events import Finished, Progressed
from .picture_files import PICTURE_OR_SCENE, picture_data
from .provenance import Provenance, provenance_of
from .provenance_options import add_provenance
from .render import (
    ProgressLine,
    check_outputs,
    report_file,
)
from .render_options import (
    ADAPTER,
    add_controls,
    add_field,
    add_grounding,
    add_loras,
    add_quiet,
    add_region,
    add_report,
    add_steps,
    request_settings,
    take_lora_files,
    value_of,
)
from .scene_pictures import catalogue_of, open_document, region_settings
from .stopping import undisturbed

if TYPE_CHECKING:
    from ..models.model_cache import ModelCache

_BAND_ROWS = 256
"""Rows that are packed at once of a picture that is in memory as a whole."""


class _Source(NamedTuple):
    """What is enlarged.

    request    what it shows: prompts and regions, in its own size
    picture    uint8 [h, w, 4]; None: it has to be painted first
    colours    what a PNG file says of its colours
    notes      sentences about what was left out
    document, settings    of a scene, and what is to be written about its layers as regions
    """

    request: Request
    blobs: Mapping[str, bytes]
    picture: np.ndarray | None
    colours: bytes
    notes: tuple[str, ...]
    document: Document | None = None
    settings: Sequence[tuple[Node, str]] = ()


def add_upscale_options(parser: argparse.ArgumentParser) -> None:
    """All of them; names, defaults and limits are those of `render`."""
    parser.description = (
        "Enlarges a picture and paints over it in windows that move at every step, held to what it "
        "was. A scene with regions is painted first, unless it shows a result already; its regions "
        "count."
    )
    parser.add_argument("picture", metavar="PICTURE.png|SCENE.ora", type=Path)
    parser.add_argument(
        *("-o", "--output"),
        metavar="OUT.png|OUT.ora",
        type=Path,
        action="append",
        required=True,
        help="the result; of a scene also with all its layers, as large (may be repeated)",
    )
    parser.add_argument(
        "--factor",
        type=_factor,
        default=2.0,
        metavar="X",
        help="how many times as large, 1 to 8 (2)",
    )
    parser.add_argument(
        "--strength",
        type=value_of("strength"),
        default=0.3,
        metavar="X",
        help="how far it may go from what is there: 0 only enlarges (0.3)",
    )
    parser.add_argument(
        "--upscaler",
        dest="network",  # no setting of the request: a name in that is one that the catalogue found
        metavar="FILE",
        help="an ESRGAN network (.safetensors) that enlarges, or its name in the models' folder",
    )
    parser.add_argument(
        *("--prompt", "--background"),
        dest="background",
        metavar="PROMPT",
        help="what the picture shows, where no region says more",
    )
    add_report(parser.add_argument)
    add_quiet(parser.add_argument)
    prompts = parser.add_argument_group("prompts, regions and adapters")
    add_field(prompts, "--negative-prompt", "negative_prompt", "PROMPT", "what should not be there")
    add_field(prompts, "--style", "style", "TEXT", "added to every prompt")
    add_region(prompts)
    prompts.add_argument("--adapter", **ADAPTER)
    add_loras(prompts)
    add_controls(prompts)
    add_grounding(prompts)
    add_steps(parser.add_argument_group("how it is painted"))
    add_provenance(parser)


def _factor(text: str) -> float:
    """An argparse type: a number; whether a picture can be enlarged by it is decided elsewhere."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{quoted(text[:40])} is no number") from None


def upscale(options: argparse.Namespace) -> None:
    """Carry out the command; raises TapestryError with a sentence for whatever is wrong."""
    take_lora_files(options)
    check_outputs(options.picture, options.output, (".png", ".ora"), options.report)
    check_not_source(options.picture, options.output, "is what is enlarged")
    if any(map(_is_scene, options.output)) and not _is_scene(options.picture):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "Only a scene has layers that become larger.",
            "Let the result's name end in .png, or give the scene (.ora).",
        )
    progress = ProgressLine(quiet=options.quiet)
    catalogue = catalogue_of(options)
    provenance = provenance_of(options, catalogue)
    upscaler = find_upscaler(options.network, [models_folder()]) if options.network else None
    source = _read(options, catalogue)
    for note in source.notes:
        progress.note(note)
    model_cache = _models(source.request, options.factor, catalogue)
    if source.picture is not None:
        _enlarge(source, source.picture, model_cache, progress, options, upscaler, provenance)
        return
    first = _paint(source, model_cache, progress)
    picture = as_array(first.pixels)
    with _kept(picture, source.colours, options.output[0]):
        _enlarge(
            source, picture, model_cache, progress, options, upscaler, provenance, first.report
        )


def _is_scene(path: Path) -> bool:
    return path.suffix.lower() == ".ora"


def _read(options: argparse.Namespace, catalogue: Catalogue) -> _Source:
    """The picture of a file, or what a scene asks for."""
    path: Path = options.picture
    if path.suffix.lower() not in {".png", ".ora"}:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"{quoted(path.name or str(path))} is no kind of picture that is read here.",
            "Give a picture (.png) or a scene (.ora); save another kind of picture as PNG first.",
        )
    if path.suffix.lower() == ".png":
        return _read_picture(options)
    return _read_scene(options, catalogue)


def _read_scene(options: argparse.Namespace, catalogue: Catalogue) -> _Source:
    """A scene is painted first where it has regions, and shows no result of them."""
    document = open_document(options.picture)
    scene = read_scene(
        document,
        background=options.background,
        about=region_settings(options.region),
        controls=[read_control(*control) for control in options.control],
        check=check_contents,
        **request_settings(options),
    ).without_missing_loras(catalogue.adapters.find)
    notes = list(scene.notes)
    picture = None
    if shows_result(document) or not scene.request.regions:
        picture = document.flattened
        notes += [note for note in document.damage if note not in notes]
        if not scene.request.regions:
            notes.append("The scene has no region: what it shows is enlarged.")
        else:
            notes.append(
                "The scene shows a result of Tapestry's already: that is enlarged. Hide it to have "
                "the regions painted first."
            )
    return _Source(
        scene.request,
        scene.blobs,
        picture,
        document.colours_meant,
        tuple(notes),
        document,
        scene.settings,
    )


def _read_picture(options: argparse.Namespace) -> _Source:
    path: Path = options.picture
    for name in ("region", "control"):
        if getattr(options, name):
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                f"--{name} speaks of a scene's layers, and a .png file has none.",
                f"Give the scene (.ora), or leave --{name} out.",
            )
    data = picture_data(path, PICTURE_OR_SCENE)
    picture, notes = read_picture(data, quoted(path.name))
    height, width = picture.shape[:2]
    prompt = options.background or ""
    request = Request("refine", height, width, prompt=prompt, **request_settings(options))
    return _Source(request, {}, picture, colours_of(data), notes)


def _models(request: Request, factor: float, catalogue: Catalogue) -> ModelCache:
    """The models; raises TapestryError for what can be known before any of them is loaded."""
    catalogue.check(request)
    from ..models.model_cache import ModelCache  # noqa: PLC0415  torch, only once the input is sound
    from ..tasks.upscaling import check_upscale  # noqa: PLC0415  likewise

    model_cache = ModelCache(catalogue)
    check_upscale(request, factor, model_cache)
    return model_cache


def _paint(source: _Source, model_cache: ModelCache, progress: ProgressLine) -> Finished:
    """The first stage, of a scene."""
    from ..tasks.run import run  # noqa: PLC0415  torch, only once the input is sound

    finished: Finished
    *_, finished = _shown(run(source.request, source.blobs, model_cache), progress)
    for notice in finished.report["notices"]:
        progress.note(notice)
    return finished


def _enlarge(
    source: _Source,
    picture: np.ndarray,
    model_cache: ModelCache,
    progress: ProgressLine,
    options: argparse.Namespace,
    upscaler: Upscaler | None,
    provenance: Provenance | None,
    first_report: Mapping[str, Any] | None = None,
) -> None:
    """The second stage, into the files; what cannot be written where it should be is kept.

    first_report: of a first stage that was painted
    """
    from ..tasks.upscaling import Upscaled, check_upscale, upscale  # noqa: PLC0415  imports torch

    report: dict[str, Any] = {}

    def made() -> Iterator[np.ndarray]:
        events = upscale(
            picture, source.request, options.factor, source.blobs, model_cache, upscaler=upscaler
        )
        for event in _shown(events, progress):
            if isinstance(event, Upscaled):
                report.update(event.report)
            else:
                yield event.pixels

    size = check_upscale(source.request, options.factor, model_cache)
    has_alpha = bool((picture[..., 3] < 255).any())
    # All of it comes before the file is begun: an error of painting is none of writing.
    notes: list[str] = []
    files: dict[str, bytes] = {}  # by the end of their names
    bands, kinds = made(), {path.suffix.lower() for path in options.output}
    if source.document is not None and ".ora" in kinds:
        name = result_name(replace(source.request, task="upscale"))
        larger, done = np.empty((*size, 4), np.uint8), 0
        for band in bands:
            larger[done : done + len(band)] = band
            done += len(band)
        files[".ora"], notes = source.document.saved_larger(larger, name, source.settings)
        bands = (larger[top : top + _BAND_ROWS] for top in range(0, len(larger), _BAND_ROWS))
    if ".png" in kinds:
        file = BytesIO()  # hands out what it holds without a copy
        file.writelines(png_pieces(bands, *size, source.colours, alpha=has_alpha))
        files[".png"] = file.getvalue()
    for notice in (*report["notices"], *notes):
        progress.note(notice)
    if first_report is not None:
        report["first_stage"] = dict(first_report)
    written = iter([(path, files[path.suffix.lower()]) for path in options.output])
    if provenance is not None:
        record = _record(source, size, options.factor, provenance)
        written = provenance.written(written, record, source.document)
    write_outputs([*written, *report_file(report, options.report)])


def _record(
    source: _Source, size: tuple[int, int], factor: float, provenance: Provenance
) -> Record:
    """What made the larger picture."""
    request = source.request
    source_type = source_type_of(request, has_own=source.picture is not None)
    whole = Bounds(0, 0, *size)
    return Record(request, provenance.model(request), source_type, whole, factor=factor)


def _shown(events: Iterator[Any], progress: ProgressLine) -> Iterator[Any]:
    """The events that are results; the others are shown."""
    for event in events:
        if isinstance(event, Progressed):
            progress.show(event)
            continue
        if isinstance(event, Finished):
            progress.done()
        yield event
    progress.done()


@contextmanager
def _kept(picture: np.ndarray, colours: bytes, output: Path) -> Iterator[None]:
    """The first stage is finished, whatever becomes of the second: it is kept, and told where."""
    try:
        yield
    except BaseException:
        with undisturbed():
            beside = output.with_suffix(".png")
            where = keep_beside(beside, "-first", encode_png(picture, colours))
            where_it_is = f"is in {quoted(where)}" if where else "could not be written anywhere"
            sys.stderr.write(f"\nThe picture before it was enlarged {where_it_is}.\n")
        raise
