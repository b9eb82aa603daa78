"""The command `tapestry bench speed`: options in, table and JSON out."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..outputs import check_output, write_outputs


def add_speed_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tapestry bench speed`."""
    parser.description = (
        "Times Tapestry, diffusers' panorama pipeline and the MultiDiffusion paper's loop in turns "
        "- same weights, steps and machine - and says how near the time of the model alone is."
    )
    add = parser.add_argument
    add("--peer", choices=("diffusers", "paper", "all"), default="all", help="whom to compare with")
    add("--model", metavar="PATH_OR_ID", default="sample", help="a checkpoint, as for `render`")
    add("--device", metavar="NAME", help="for instance cpu or cuda; the fastest otherwise")
    add("--quick", action="store_true", help="a representative part, with fewer steps")
    add(
        "--only",
        metavar="CASE,...",
        type=lambda text: text.split(","),
        default=[],
        help="these cases alone, by the names that the table gives them",
    )
    add(
        "--shapes",
        choices=("sd15", "sdxl"),
        help="absolute times of a model of this shape with random weights, without a comparison",
    )
    add("--json", metavar="FILE", type=Path, help="write all figures")
    parser.set_defaults(run=speed_command)


def speed_command(options: argparse.Namespace) -> int:
    """Measure, then print the table; raises TapestryError with a sentence for what is wrong."""
    if options.json:
        check_output(options.json)
    table, found = _measure_shapes(options) if options.shapes else _measure(options)
    sys.stdout.write(table + "\n")
    if options.json:
        write_outputs([(options.json, (json.dumps(found, indent=2) + "\n").encode())])
    return 0


def _measure(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The table and the JSON. Imports torch: only once the options are sound; so below."""
    from ..bench.common.painter import PainterSettings  # noqa: PLC0415
    from ..bench.speed.cases import FULL, PEERS, QUICK  # noqa: PLC0415
    from ..bench.speed.report import speed_table  # noqa: PLC0415
    from ..bench.speed.run import measure_speed  # noqa: PLC0415

    effort = QUICK if options.quick else FULL
    peers = PEERS if options.peer == "all" else (options.peer,)
    settings = PainterSettings(options.model, effort.steps)
    speed = measure_speed(settings, effort, peers, options.device, options.only)
    return speed_table(speed), speed.to_json()


def _measure_shapes(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    from ..bench.common.painter import PainterSettings  # noqa: PLC0415
    from ..bench.speed.known_shapes import STEPS, measure_shapes  # noqa: PLC0415
    from ..bench.speed.random_models import SHAPES, ShapedModelCache  # noqa: PLC0415
    from ..bench.speed.report import shapes_table  # noqa: PLC0415
    from ..bench.speed.run import open_model_cache  # noqa: PLC0415

    shape, device = SHAPES[options.shapes], options.device
    model_cache = open_model_cache(lambda: ShapedModelCache(shape, device), device)
    found = measure_shapes(model_cache, PainterSettings(options.shapes, STEPS))
    return shapes_table(found), found.to_json()
