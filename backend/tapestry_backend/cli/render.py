"""The command `tapestry render`: a scene file in, pictures and a report out."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import quoted

from ..outputs import check_apart, check_output, write_outputs
from ..tasks.events import Progressed
from .picture_files import check_mask_kept
from .provenance import provenance_of
from .scene_pictures import catalogue_of, check_together, output_files, painted, read_with

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
    check_mask_kept(options.refine or options.fill, options.output)
    check_together(options)
    progress = ProgressLine(quiet=options.quiet)
    catalogue = catalogue_of(options)
    provenance = provenance_of(options, catalogue)
    document, scene = read_with(options.scene, options, catalogue, progress.note)
    from ..models.model_cache import ModelCache  # noqa: PLC0415  torch, only once the input is sound

    finished = painted(scene, ModelCache(catalogue), progress.show)
    progress.done()
    for notice in finished.report["notices"]:
        progress.note(notice)
    files = output_files(document, scene, finished, options.output)
    if provenance is not None:
        files = provenance.written(files, provenance.record(scene.request, finished), document)
    write_outputs(chain(files, report_file(finished.report, options.report)))


class ProgressLine:
    """Tells on stderr what happens: one line that changes in a terminal, many lines in a log.

    prefix: stands before what is shown. is_shown: whether it is, for now. clock: seconds that only
    grow
    """

    def __init__(self, *, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.prefix = ""
        self.is_shown = True
        self._quiet = quiet
        self._clock = clock
        self._live = sys.stderr.isatty()
        self._last = ""
        self._stage, self._begun_s = "", 0.0

    def show(self, event: Progressed) -> None:
        if event.stage != self._stage:
            self._stage, self._begun_s = event.stage, self._clock()
        text = self.prefix + _STAGES.get(event.stage, event.stage)
        if event.steps:
            text += f": step {event.step}/{event.steps}"
            text += self._time_left(event.step, event.steps)
        if text != self._last and self.is_shown:
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
