"""The command `tapestry upscale`: a picture, or a scene's picture, made larger."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.files import write_whole
from tapestry_protocol.messages import Request

from ..checkpoints.catalogue import Catalogue
from ..checkpoints.discovery import adapter_folders, entries_for
from ..openraster.document import as_array
from ..openraster.limits import MAX_FILE_BYTES
from ..openraster.png import colours_of, decode_png, encode_png, png_pieces
from ..openraster.scene import RESULT_PREFIX, read_scene
from ..outputs import unwritable, write_outputs
from ..tasks.events import Finished, Progressed
from .render import ProgressLine, check_format, open_document, region_settings, unreadable
from .render_options import request_settings


class _First(NamedTuple):
    """What is enlarged.

    request    what it shows: prompts and regions, in its own size
    pixels     uint8 [h, w, 4]; None: it has to be painted first
    colours    what a PNG file says of its colours
    notes      sentences about what was left out
    """

    request: Request
    blobs: Mapping[str, bytes]
    pixels: np.ndarray | None
    colours: bytes
    notes: tuple[str, ...]


def upscale(options: argparse.Namespace) -> None:
    """Carry out the command; raises TapestryError with a sentence for whatever is wrong."""
    check_format(options.output, (".png",))
    if options.report is not None:
        check_format(options.report, (".json",))
    progress = ProgressLine(quiet=options.quiet)
    first = _read(options)
    for note in first.notes:
        progress.note(note)
    catalogue = Catalogue(
        [options.model],
        found=entries_for([options.model]),
        adapters=options.adapter,
        adapter_folders=adapter_folders(),
    )
    catalogue.check(first.request)
    report = _paint(first, catalogue, progress, options)
    for notice in report["notices"]:
        progress.note(notice)
    if options.report is not None:
        text = json.dumps(dict(report), indent=2, ensure_ascii=False)
        data = text.encode("utf-8", "backslashreplace") + b"\n"
        write_outputs([(options.report, data)])


def _read(options: argparse.Namespace) -> _First:
    """The picture of a file, or what a scene asks for."""
    settings = request_settings(options)
    path: Path = options.picture
    if path.suffix.lower() not in {".png", ".ora"}:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"{path.name!r} is no kind of picture that is read here.",
            "Give a picture (.png) or a scene (.ora).",
        )
    if path.suffix.lower() == ".ora":
        document = open_document(path)
        about = region_settings(options.region)
        scene = read_scene(document, background=options.background, about=about, **settings)
        shown = [node for node in document.layers if node.is_shown]
        has_result = any(node.name.startswith(RESULT_PREFIX) for node in shown)
        pixels = document.flattened if has_result else None
        return _First(scene.request, scene.blobs, pixels, document.colours_meant, scene.notes)
    if options.region:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "--region speaks of a scene's layers, and a .png file has none.",
            "Give the scene (.ora), or leave --region out.",
        )
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        advice = "Give the path of a picture (.png) or of a scene (.ora)."
        raise unreadable(path, error, advice) from error
    pixels = decode_png(data, path.name)
    prompt = options.background or ""
    height, width = pixels.shape[:2]
    request = Request("refine", height, width, prompt=prompt, **settings)
    return _First(request, {}, pixels, colours_of(data), ())


def _paint(
    first: _First, catalogue: Catalogue, progress: ProgressLine, options: argparse.Namespace
) -> Mapping[str, Any]:
    """Paint the first stage where there is none, then the second, into the file; the report."""
    from ..models.model_cache import ModelCache  # noqa: PLC0415  torch, only once the input is sound
    from ..tasks.run import run  # noqa: PLC0415  likewise
    from ..tasks.upscaling import Upscaled, upscale, upscaled_size  # noqa: PLC0415  likewise

    store = ModelCache(catalogue)
    pixels = first.pixels
    if pixels is None:
        *_, finished = _shown(run(first.request, first.blobs, store), progress)
        pixels = as_array(finished.pixels)
    height, width = upscaled_size(pixels, options.factor)
    events = upscale(pixels, first.request, options.factor, first.blobs, store)
    report: dict[str, Any] = {}

    def bands() -> Iterator[np.ndarray]:
        for event in _shown(events, progress):
            if isinstance(event, Upscaled):
                report.update(event.report)
            else:
                yield event.pixels

    has_alpha = bool((pixels[..., 3] < 255).any())
    try:
        write_whole(
            options.output, png_pieces(bands(), height, width, first.colours, alpha=has_alpha)
        )
    except OSError as error:
        raise unwritable(options.output, error) from error
    except BaseException:
        if first.pixels is None:
            _keep(pixels, first.colours, options.output)
        raise
    return report


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


def _keep(pixels: np.ndarray, colours: bytes, output: Path) -> None:
    """The first stage is finished, whatever became of the second."""
    path = output.with_name(f"{output.stem}-first.png")
    with suppress(OSError):
        write_whole(path, [encode_png(pixels, colours)])
        sys.stderr.write(f"\nThe picture before it was enlarged is in {str(path)!r}.\n")
