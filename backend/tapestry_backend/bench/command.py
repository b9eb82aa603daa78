"""The command `tapestry bench quality`: options in, table, JSON and contact sheet out; no torch."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_SEED

from .report import table

MEASURES = ("adherence", "seams", "coherence", "sharpness", "composition", "exactness")


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tapestry bench`."""
    parser.description = (
        "Paints the same things with Tapestry, with the MultiDiffusion paper's own loops and with "
        "diffusers' panorama pipeline - same weights, seeds and steps - and measures them."
    )
    add = parser.add_argument
    add("what", choices=("quality",), help="what is compared")
    add("--model", metavar="PATH_OR_ID", default="sample", help="a checkpoint, as for `render`")
    add("--quick", action="store_true", help="a representative part, within minutes")
    add("--json", metavar="FILE", type=Path, help="write all figures")
    add("--sheet", metavar="FILE.png", type=Path, help="write a contact sheet of the pictures")
    add("--seed", metavar="N", type=int, default=0, help="another set of pictures")
    add("--only", metavar="A,B", type=_measures, default=MEASURES, help=", ".join(MEASURES))
    add("--alone", action="store_true", help="Tapestry alone, with nothing to compare it to")


def bench_command(options: argparse.Namespace) -> int:
    """Measure, then print the table; raises TapestryError with a sentence for what is wrong."""
    if not 0 <= options.seed <= MAX_SEED // 2:
        raise TapestryError(ErrorCode.BAD_REQUEST, f"{options.seed} is no seed.", "Take 0.")
    for path in filter(None, (options.json, options.sheet)):
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                f"{str(path)!r} cannot be written.",
                "Choose a file in a folder that exists.",
            )
    from .quality import measure_quality  # noqa: PLC0415  torch, only once the options are sound

    quality = measure_quality(
        options.model,
        seed=options.seed,
        quick=options.quick,
        alone=options.alone,
        measures=options.only,
    )
    sys.stdout.write(table(quality.figures, quality.errors) + "\n")
    if options.json:
        options.json.write_text(json.dumps(quality.to_json(), indent=2) + "\n", encoding="utf-8")
    if options.sheet:
        quality.save_sheet(options.sheet)
    return 0


def _measures(text: str) -> tuple[str, ...]:
    """An argparse type: "adherence,seams"."""
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [name for name in chosen if name not in MEASURES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(MEASURES)}")
    return chosen
