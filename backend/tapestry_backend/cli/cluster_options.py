"""The options about a cluster of several computers, and what they start."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError

from ..workers.cluster_extra import check_ray
from ..workers.cluster_supervisor import REAL_LOADER, cluster_command

_CHECK_TIMEOUT_S = 60
"""Ray waits for minutes where the head of a cluster has died without a word."""


def add_cluster(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """The options that every command has which paints on a cluster; gives their group."""
    cluster = parser.add_argument_group("for several computers (docs/studio.md)")
    cluster.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="paint on the computers of this Ray cluster too: host:port of its head, or auto",
    )
    cluster.add_argument(
        "--cluster-cores",
        metavar="N",
        type=int,
        default=4,
        help="of a computer without a graphics card, have a worker for every N cores (4)",
    )
    cluster.add_argument(
        "--open-cluster",
        action="store_true",
        help="use it though it asks for no token, or can be reached from the internet",
    )
    return cluster


def checked_cluster_command(
    arguments: argparse.Namespace,
    models: Sequence[str],
    folders: Sequence[Path] = (),
    card: Sequence[str] = (),
    loader: str = REAL_LOADER,
    *,
    quiet: bool = False,
) -> list[str]:
    """As `cluster_command`, for the cluster that the options name.

    Raises TapestryError where it cannot be used, or is open. One that is not there yet is waited
    for later, and stderr says so, unless quiet.
    """
    check_ray()
    command = cluster_command(
        arguments.cluster,
        cores=max(1, arguments.cluster_cores),
        is_open=arguments.open_cluster,
        loader=loader,
        models=models,
        folders=folders,
        adapters=arguments.adapter,
        card=card,
    )
    stderr = subprocess.DEVNULL if quiet else None
    with suppress(subprocess.TimeoutExpired):  # it is tried again while local workers paint
        check = subprocess.run(
            [*command, "--check"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            check=False,
            timeout=_CHECK_TIMEOUT_S,
        )
        if check.stdout:
            raise TapestryError(ErrorCode.BAD_REQUEST, check.stdout.decode("utf-8", "replace"))
    return command
