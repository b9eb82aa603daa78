"""The command `tapestry bench card`: options in, one page out; no torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..outputs import check_output, write_outputs

FAMILIES = ("sd1", "sdxl", "sd3", "flux", "z_image", "flux2", "chroma", "qwen_image")
_FAILED = 1


def add_card_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tapestry bench card`."""
    parser.description = (
        "Paints small pictures with random weights on the graphics card - every precision, family, "
        "step of offloading, kind of adapter and size of canvas - and says on one page what works, "
        "beside the processor's numbers. Nothing is downloaded; it takes some minutes."
    )
    add = parser.add_argument
    add("--family", choices=FAMILIES, help="this family of models alone")
    add("--device", metavar="NAME", help="for instance cpu or cuda:0; the fastest otherwise")
    add("-o", "--output", metavar="PAGE.md", type=Path, help="write the page to a file as well")
    parser.set_defaults(run=card_command)


def card_command(options: argparse.Namespace) -> int:
    """Try everything and print the page; the exit status is 1 when something does not work."""
    if options.output:
        check_output(options.output)
    # They import torch: only once the options are sound.
    from ..bench.card.page import page_of  # noqa: PLC0415
    from ..bench.card.run import CardBench, about  # noqa: PLC0415
    from ..models.model_cache import best_device, device_named  # noqa: PLC0415

    device = device_named(options.device) if options.device else best_device()
    rows = []
    for row in CardBench(device, [options.family] if options.family else FAMILIES).rows():
        rows.append(row)
        sys.stderr.write(f"{row.part} {row.name}: {row.problem or 'works'}\n")
    page = page_of(rows, about(device))
    sys.stdout.write(page)
    if options.output:
        write_outputs([(options.output, page.encode())])
    return _FAILED if any(row.problem for row in rows) else 0
