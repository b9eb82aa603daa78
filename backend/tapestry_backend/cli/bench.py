"""The commands `tapestry bench`: options in, table, JSON and contact sheet out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tapestry_protocol.limits import MAX_SEED, MAX_STEPS
from tapestry_protocol.messages import Teach
from tapestry_protocol.sentences import quoted

from ..bench.quality.report import table
from ..bench.quality.taught_patterns import PATTERNS
from ..outputs import check_output, write_outputs
from ..values import words_of
from .bench_card import add_card_arguments
from .bench_speed import add_speed_arguments
from .bench_studio import add_studio_arguments
from .render_options import value_of

MEASURES = (
    *("adherence", "seams", "coherence", "sharpness", "composition", "exactness"),
    *("outlines", "opacity", "strokes", "foreign", "small_canvas", "extension", "detail"),
    "upscaling",
    "live",
    "editing",
    "harmonising",
    "melting",
    "teaching",
)
OF_QUALITY = MEASURES[:-1]
"""What is measured where nothing is named: teaching takes many minutes."""

_EDITS = ("editing", "harmonising")
"""What `bench edit` measures where nothing else is said."""


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    """The benchmarks and their options."""
    kinds = parser.add_subparsers(required=True, metavar="quality|edit|teach|speed|card|studio")
    _add_quality_arguments(kinds.add_parser("quality", help="what pictures are worth"))
    _add_quality_arguments(kinds.add_parser("edit", help="what edits are worth"), _EDITS)
    _add_teach_arguments(kinds.add_parser("teach", help="what is learned of new patterns"))
    add_speed_arguments(kinds.add_parser("speed", help="how long they take"))
    add_studio_arguments(kinds.add_parser("studio", help="what several workers are worth"))
    add_card_arguments(kinds.add_parser("card", help="what works on this graphics card"))


def _add_quality_arguments(
    parser: argparse.ArgumentParser, measures: tuple[str, ...] = OF_QUALITY
) -> None:
    parser.description = (
        "Paints the same things with Tapestry, with the MultiDiffusion paper's own loops and with "
        "diffusers' panorama pipeline - same weights, seeds and steps - and measures them."
    )
    add = parser.add_argument
    add("--model", metavar="PATH_OR_ID", default="sample", help="a checkpoint, as for `render`")
    add("--quick", action="store_true", help="a representative part, within minutes")
    add("--json", metavar="FILE", type=Path, help="write all figures")
    add("--sheet", metavar="FILE.png", type=Path, help="write a contact sheet of the pictures")
    add("--seed", metavar="N", type=_whole(0, MAX_SEED >> 16), default=0, help="other pictures")
    add("--steps", metavar="N", type=_whole(1, MAX_STEPS), default=20, help="of all but few-step")
    add("--only", metavar="A,B", type=_measures, default=measures, help=", ".join(MEASURES))
    add("--alone", action="store_true", help="Tapestry alone, with nothing to compare it to")
    parser.set_defaults(run=quality_command)


def _add_teach_arguments(parser: argparse.ArgumentParser) -> None:
    _add_quality_arguments(parser, ("teaching",))
    parser.add_argument(
        "--minutes",
        type=value_of("minutes", Teach),
        default=10.0,
        metavar="N",
        help="each, of processor time, so that what else runs makes no difference; on a card of "
        "the clock (10)",
    )
    methods = words_of(Teach, "method")
    parser.add_argument(
        "--method", choices=methods, action="append", help="this one alone (may be repeated)"
    )
    parser.add_argument(
        "--pattern",
        choices=tuple(PATTERNS),
        action="append",
        help="this one alone (may be repeated)",
    )


def quality_command(options: argparse.Namespace) -> int:
    """Measure, then print the table; raises TapestryError with a sentence for what is wrong."""
    for path in filter(None, (options.json, options.sheet)):
        check_output(path)
    # They import torch: only once the options are sound.
    from ..bench.common.painter import PainterSettings  # noqa: PLC0415
    from ..bench.quality.run import measure_quality  # noqa: PLC0415
    from ..bench.quality.workbench import Scope  # noqa: PLC0415

    quality = measure_quality(
        PainterSettings(options.model, options.steps, seed=options.seed),
        Scope(options.quick, options.alone, **_of_teaching(options)),
        options.only,
    )
    sys.stdout.write(table(quality.figures, quality.errors) + "\n")
    if options.json:
        text = json.dumps(quality.to_json(), indent=2) + "\n"
        write_outputs([(options.json, text.encode())])
    if options.sheet:
        quality.save_sheet(options.sheet)
    return 0


def _of_teaching(options: argparse.Namespace) -> dict[str, Any]:
    """What `bench teach` says besides."""
    named: dict[str, Any] = {}
    if hasattr(options, "minutes"):
        named["minutes"] = options.minutes
        if options.method:
            named["methods"] = tuple(options.method)
        if options.pattern:
            named["patterns"] = tuple(options.pattern)
    return named


def _whole(low: int, high: int) -> Callable[[str], int]:
    """An argparse type: a whole number within limits, both included."""

    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text[:10]) <= high):
            raise argparse.ArgumentTypeError(
                f"{quoted(text[:40])} is no whole number between {low} and {high}"
            )
        return int(text)

    return convert


def _measures(text: str) -> tuple[str, ...]:
    """An argparse type: "adherence,seams"."""
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    unknown = [name for name in chosen if name not in MEASURES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{quoted(unknown[0])} is none of {', '.join(MEASURES)}")
    return chosen
