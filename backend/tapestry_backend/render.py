"""The command `tapestry render`: a scene file in, pictures and a report out; paints nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError

from .models.catalogue import Catalogue
from .openraster.document import Document
from .openraster.png import encode_png
from .openraster.scene import Scene, read_scene, result_name
from .tasks.events import Finished, Progressed

_STAGES = {
    "loading": "loading the model",
    "encoding": "reading the prompts",
    "denoising": "painting",
    "decoding": "finishing",
}
_FORMATS = (".ora", ".png")


def render(options: argparse.Namespace) -> None:
    """Carry out the command; raises TapestryError with a sentence for whatever is wrong."""
    for path in (*options.output, *filter(None, [options.report])):
        _check_output(path, (".json",) if path is options.report else _FORMATS)
    document = _open(options.scene)
    scene = read_scene(
        document,
        background=options.background,
        margins=options.extend,
        negative_prompt=options.negative_prompt,
        overlap=options.overlap,
        wrap=options.wrap,
        seed=options.seed,
        num_inference_steps=options.steps,
        guidance_scale=options.guidance_scale,
        model=options.model,
    )
    progress = _Progress(quiet=options.quiet)
    for note in scene.notes:
        progress.note(note)
    catalogue = Catalogue([options.model])
    _ = document.flattened  # what cannot be decoded is found out now, not after painting
    finished = _run(scene, catalogue, progress)
    _save(document, scene, finished, options.output)
    if options.report:
        report = json.dumps(dict(finished.report), indent=2, ensure_ascii=False)
        _write(options.report, report.encode() + b"\n")


class _Progress:
    """Tells on stderr what happens: one line that changes in a terminal, many lines in a log."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()

    def show(self, event: Progressed) -> None:
        text = _STAGES.get(event.stage, event.stage)
        if event.steps:
            text += f": step {event.step}/{event.steps}"
        self._write(f"\r{text:<60}" if self._live else f"{text}\n")

    def note(self, text: str) -> None:
        self._write(f"{text}\n")

    def done(self) -> None:
        if self._live:
            self._write("\n")

    def _write(self, text: str) -> None:
        if not self._quiet:
            sys.stderr.write(text)
            sys.stderr.flush()


def _open(path: Path) -> Document:
    try:
        return Document.open(path)
    except OSError as error:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"{str(path)!r} cannot be read ({error.strerror}).",
            "Give the path of a picture that was saved as OpenRaster (.ora).",
        ) from error


def _run(scene: Scene, catalogue: Catalogue, progress: _Progress) -> Finished:
    from .models.store import ModelStore  # noqa: PLC0415  torch, only once the input is sound
    from .tasks.run import run  # noqa: PLC0415  likewise

    for event in run(scene.request, scene.blobs, ModelStore(catalogue)):
        if isinstance(event, Finished):
            progress.done()
            return event
        progress.show(event)
    raise TapestryError(ErrorCode.INTERNAL, "The picture was not finished.")


def _save(document: Document, scene: Scene, finished: Finished, outputs: Iterable[Path]) -> None:
    margins = scene.request.margins
    flattened = document.with_result(finished.pixels, margins)
    name = result_name(scene.request)
    for path in outputs:
        if path.suffix.lower() == ".png":
            _write(path, encode_png(flattened))
        else:
            _write(path, document.saved_with_result(finished.pixels, margins, name, flattened))


def _check_output(path: Path, formats: tuple[str, ...]) -> None:
    """Refuse what cannot be written before hours are spent on painting it."""
    if path.suffix.lower() not in formats:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"{path.name!r} is no kind of file that is written here.",
            f"Let its name end in {' or '.join(formats)}.",
        )
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"{str(path)!r} cannot be written.",
            "Choose a file in a folder that exists and belongs to you.",
        )


def _write(path: Path, data: bytes) -> None:
    """Write the file at once, so that nobody finds half of one."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".tapestry-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(aside).chmod(0o666 & ~_umask())
        Path(aside).replace(path)
    except OSError as error:
        Path(aside).unlink(missing_ok=True)
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            f"{str(path)!r} cannot be written ({error.strerror}).",
            "Check that there is space on the disk and that the folder may be written.",
        ) from error


def _umask() -> int:
    """What new files of this user are not allowed; mkstemp is stricter than that."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
