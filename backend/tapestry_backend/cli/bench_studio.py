"""The command `tapestry bench studio`: options in, table out; no torch."""

from __future__ import annotations

import argparse
import os
import sys

from ..workers.cluster_extra import check_ray


def add_studio_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tapestry bench studio`."""
    parser.description = (
        "Starts a small Ray cluster on this computer and paints with the bundled model: on two "
        "workers against one, one picture on two, and a small job by the cluster against the pipe; "
        "then reckons what more cards would bring. A thread each, everything in pairs; it wants "
        "two cores that nothing else uses."
    )
    parser.add_argument("--quick", action="store_true", help="fewer of each")
    parser.set_defaults(run=studio_command)


def studio_command(options: argparse.Namespace) -> int:
    """Measure, then print the table; raises TapestryError without Ray."""
    check_ray()
    from ..bench.studio.report import table  # noqa: PLC0415  only once it can be measured
    from ..bench.studio.run import Scope, measure_studio  # noqa: PLC0415

    scope = Scope(blocks=2, pictures=6, panoramas=4, jobs=12) if options.quick else Scope()
    before = os.getloadavg()[0]
    figures = measure_studio(scope)
    sys.stdout.write(f"{table(figures)}\n")
    sys.stdout.write(f"Load of this computer before: {before:.1f} on {os.cpu_count()} cores.\n")
    return 0
