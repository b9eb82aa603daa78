"""Starts `tapestry serve` as a program that can be looked into, and whose parts can be exchanged.

--scripted        its worker is the one without torch
--cluster-loader  loads what runs tasks on the computers of a cluster
--failing-disk N  its disk is full after N writes
--lag-file PATH   how long its event loop was held is written here in the end
"""

import argparse
import asyncio
import json
import sys
import time
from functools import partial
from pathlib import Path

from tapestry_backend.cli.serve import add_serve_arguments, serve_command
from tapestry_backend.server.app import App
from tapestry_backend.server.persistence import journal_writer
from tapestry_backend.workers.cluster_supervisor import REAL_LOADER

SCRIPTED_WORKER = Path(__file__).parent.parent / "workers" / "scripted_worker.py"
TICK_S = 0.005


async def watch_lag(lags: list[float], held: list[float]) -> None:
    """How much later than asked the loop comes back to us, and how much of that it worked itself.

    On a machine that does other things as well, only the second figure is about us.
    """
    while True:
        began, worked = time.monotonic(), time.thread_time()
        await asyncio.sleep(TICK_S)
        lags.append(time.monotonic() - began - TICK_S)
        held.append(time.thread_time() - worked)


def p99_ms(seconds: list[float]) -> float:
    """Ninety-nine of a hundred are shorter."""
    return 1000 * sorted(seconds)[len(seconds) * 99 // 100]


def measure_lag(path: Path) -> None:
    """Have every server of this process write how long its event loop was held."""
    live = App._live

    async def measured(self: App) -> None:
        lags: list[float] = []
        held: list[float] = []
        watching = asyncio.create_task(watch_lag(lags, held))
        try:
            await live(self)
        finally:
            watching.cancel()
            figures = {"p99_ms": p99_ms(lags), "held_p99_ms": p99_ms(held)}
            path.write_text(json.dumps(figures))  # noqa: ASYNC240  there is nothing left to hold

    App._live = measured


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_serve_arguments(parser)
    parser.add_argument("--scripted", nargs="*")
    parser.add_argument("--cluster-loader", default=REAL_LOADER)
    parser.add_argument("--failing-disk", type=int)
    parser.add_argument("--lag-file", type=Path)
    arguments = parser.parse_args()
    if arguments.lag_file is not None:
        measure_lag(arguments.lag_file)
    if arguments.failing_disk is not None:
        from tests.server.failing_disk import FailingDisk

        journal_writer.Disk = partial(FailingDisk, arguments.failing_disk)
    scripted = arguments.scripted
    worker = None if scripted is None else [sys.executable, str(SCRIPTED_WORKER), *scripted]
    sys.exit(serve_command(arguments, worker, arguments.cluster_loader))
