"""The command `tapestry render`: a scene file in, pictures and a report out."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

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
from ..outputs import check_apart, check_output, write_outputs
from ..tasks.events import Finished, Progressed
from .picture_files import picture_data, unreadable
from .render_options import request_settings

_STAGES = {
    "loading": "loading the model",
    "encoding": "reading the prompts",
    "learning": "learning the picture",
    "inverting": "taking the picture back to noise",
    "comparing": "looking for the place",
    "drafting": "drafting the whole",
    "denoising": "painting",
    "decoding": "finishing",
}
_FORMATS = (".ora", ".png")
_SOON_S = 5.0
"""What is over by then needs no forecast."""


def render(options: argparse.Namespace) -> None:
    """Carry out the command; raises TapestryError with a sentence for whatever is wrong."""
    check_outputs(options.scene, options.output, _FORMATS, options.report)
    _check_together(options)
    document = open_document(options.scene)
    scene = read_scene(
        document,
        background=options.background,
        margins=options.extend,
        paint_over=_paint_over(document, options),
        about=region_settings(options.region),
        controls=[read_control(*control) for control in options.control],
        **request_settings(options),
    )
    found = entries_for([options.model])
    catalogue = Catalogue(
        [options.model], found=found, adapters=options.adapter, adapter_folders=adapter_folders()
    )
    scene = scene.without_missing_loras(catalogue.adapters.find)
    progress = ProgressLine(quiet=options.quiet)
    for note in scene.notes:
        progress.note(note)
    catalogue.check(scene.request)
    _ = document.flattened  # what cannot be decoded is found out now, not after painting
    for note in document.damage:
        if note not in scene.notes:
            progress.note(note)
    finished = _run(scene, catalogue, progress)
    for notice in finished.report["notices"]:
        progress.note(notice)
    files = _files(document, scene, finished, options.output)
    write_outputs(chain(files, report_file(finished.report, options.report)))


class ProgressLine:
    """Tells on stderr what happens: one line that changes in a terminal, many lines in a log.

    clock: seconds that only grow
    """

    def __init__(self, *, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet = quiet
        self._clock = clock
        self._live = sys.stderr.isatty()
        self._last = ""
        self._stage, self._begun_s = "", 0.0

    def show(self, event: Progressed) -> None:
        if event.stage != self._stage:
            self._stage, self._begun_s = event.stage, self._clock()
        text = _STAGES.get(event.stage, event.stage)
        if event.steps:
            text += f": step {event.step}/{event.steps}"
            text += self._time_left(event.step, event.steps)
        if text != self._last:
            self._last = text
            self._write(f"\r{text:<60}" if self._live else f"{text}\n")

    def _time_left(self, step: int, steps: int) -> str:
        """As long for each step that is left as for those that are done; "" where that is soon."""
        left_s = (self._clock() - self._begun_s) / max(step, 1) * (steps - step)
        if left_s < _SOON_S:
            return ""
        return f", {left_s / 60:.0f} min left" if left_s >= 90 else f", {left_s:.0f} s left"

    def note(self, text: str) -> None:
        self._write(f"{text}\n")

    def done(self) -> None:
        if self._live:
            self._write("\n")

    def _write(self, text: str) -> None:
        if not self._quiet:
            sys.stderr.write(text)
            sys.stderr.flush()


def open_document(path: Path) -> Document:
    """Read a scene; raises TapestryError."""
    try:
        return Document.open(path)
    except OSError as error:
        raise unreadable(
            path, error, "Give the path of a picture that was saved as OpenRaster (.ora)."
        ) from error


def _check_together(options: argparse.Namespace) -> None:
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


def _run(scene: Scene, catalogue: Catalogue, progress: ProgressLine) -> Finished:
    from ..models.model_cache import ModelCache  # noqa: PLC0415  torch, only once the input is sound
    from ..tasks.run import run  # noqa: PLC0415  likewise

    for event in run(scene.request, scene.blobs, ModelCache(catalogue)):
        if isinstance(event, Finished):
            progress.done()
            return event
        progress.show(event)
    raise TapestryError(ErrorCode.INTERNAL, "The picture was not finished.")


def _files(
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


def report_file(report: Mapping[str, Any], path: Path | None) -> Iterator[tuple[Path, bytes]]:
    """The report as it is to be written, if it is."""
    if path is not None:
        text = json.dumps(dict(report), indent=2, ensure_ascii=False)
        yield path, text.encode("utf-8", "backslashreplace") + b"\n"


def check_outputs(
    source: Path, outputs: Sequence[Path], formats: tuple[str, ...], report: Path | None
) -> None:
    """Refuse what cannot be written before hours are spent on painting it."""
    wanted = [(path, formats) for path in outputs]
    if report is not None:
        wanted.append((report, (".json",)))
    for path, known in wanted:
        if path.suffix.lower() not in known:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                f"{quoted(path.name or str(path))} is no kind of file that is written here.",
                f"Let its name end in {' or '.join(known)}.",
            )
        check_output(path)
    check_apart([source, *(path for path, _ in wanted)])
