"""Runs jobs: one definition for every worker, whatever carries its orders and its answers.

A carrier brings jobs, sends on what a `JobRunner` says about them, and knows which are cancelled:
the pipe of a process (`worker.py`), or an actor of a cluster (`cluster/actor.py`).
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.fields import WorkerState
from tapestry_protocol.messages import (
    Backend,
    Cancelled,
    Message,
    PixelsRef,
    Preview,
    Progress,
    Request,
    Run,
    SiblingDevices,
)
from tapestry_protocol.runtime import data_folder

from ..tasks.events import Finished, Progressed
from .channel import Delivery
from .device_loss import DEVICE_LOST, is_device_lost
from .failures import failure_of, private_traceback
from .results import result_of, with_pixels

PREVIEW_INTERVAL_S = 0.25
"""Four previews a second look alive; more would only fill the socket."""

_log = logging.getLogger("tapestry.worker")

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from ..tasks.sharing import Helper, Team

RunTask = Callable[
    [Request, Mapping[str, bytes], "Team | None", int], Iterator[Progressed | Finished]
]
"""(request, blobs, helpers, most rows of a batch as in `Run`) -> what happens."""

IsCancelled = Callable[[str], bool]
"""Whether the server has asked to stop the job of this id."""


@dataclass(frozen=True)
class TaskRunner:
    """What a worker needs of the folders below it: how to run a task, and on which device.

    sibling_devices   devices like it, on which other workers may paint
    memory_bytes      of the device; 0 where that is not known
    take       which of these contents are not on this computer, names -> contents, as `Contents`
               tells them; the others bear these names from now on
    help       reads a request whose picture another worker paints, and evaluates batches for it
    """

    run: RunTask
    device: str
    sibling_devices: tuple[str, ...] = ()
    memory_bytes: int = 0
    take: Callable[[Mapping[str, str]], tuple[str, ...]] = lambda _: ()
    help: Callable[[Request, Mapping[str, bytes]], Helper] | None = None


class JobRunner:
    """A worker without its carrier. Its methods give what the carrier is to send, in order."""

    def __init__(self, load: Callable[[], TaskRunner]) -> None:
        self._load = load

    def start(self) -> Iterator[Delivery]:
        """Load what runs tasks; raises what ends this worker."""
        yield Delivery(Backend("loading"))
        try:
            self._task_runner = self._load()
        except TapestryError as error:
            yield Delivery(failure_of("", error))  # about no job: this worker will never do any
            raise
        if self._task_runner.sibling_devices:
            yield Delivery(SiblingDevices(self._task_runner.sibling_devices))
        yield Delivery(self._state("ready"))

    def lacking(self, contents: Mapping[str, str]) -> tuple[str, ...]:
        """Names of models and the like that this computer has under no name."""
        return self._task_runner.take(contents)

    def help(self, request: Request, blobs: Mapping[str, bytes]) -> Helper:
        """What evaluates batches of a picture that another worker paints."""
        if self._task_runner.help is None:
            raise ValueError("this worker cannot help")
        return self._task_runner.help(request, blobs)

    def run(
        self,
        job: Run,
        blobs: Mapping[str, bytes],
        is_cancelled: IsCancelled,
        team: Team | None = None,
    ) -> Iterator[Delivery]:
        """Run a job to its end, whatever that is, with the help of a team if there is one.

        A card that is lost is lost for the whole process: it ends, and the job begins again in the
        next one, which has the card anew.
        """
        yield Delivery(self._state("busy"))
        try:
            yield from _follow(
                job, self._task_runner.run(job.request, blobs, team, job.most_rows), is_cancelled
            )
        except Exception as error:  # noqa: BLE001  the job fails, the worker lives on
            yield Delivery(_failed(job, error))
        yield Delivery(self._state("ready"))

    def _state(self, state: WorkerState) -> Backend:
        return Backend(state, self._task_runner.device, self._task_runner.memory_bytes)


def _failed(job: Run, error: Exception) -> Message:
    trace = private_traceback(error, job.request)
    if is_device_lost(error):
        _log.error(
            "job %s lost the graphics card; a new worker begins it again\n%s", job.job_id, trace
        )
        os._exit(DEVICE_LOST)  # at once: what tidies up would call the card
    failure = failure_of(job.job_id, error)
    _log.error("job %s failed: %s\n%s", job.job_id, failure.code.value, trace)
    return failure


def _follow(
    job: Run, events: Iterator[Progressed | Finished], is_cancelled: IsCancelled
) -> Iterator[Delivery]:
    """What to send of every event, until the end or until the job is cancelled."""
    preview_sent_at = -math.inf
    for event in events:
        if is_cancelled(job.job_id):
            if isinstance(events, Generator):
                events.close()  # what it keeps is on the disk before anyone hears of its end
            yield Delivery(Cancelled(job.job_id))
            return
        if isinstance(event, Finished):
            yield result_of(job.job_id, job.request, event)
            return
        yield Delivery(Progress(job.job_id, event.stage, event.step, event.steps))
        # After the last step, the picture itself comes next.
        is_last = event.stage == "denoising" and event.step == event.steps
        is_due = time.monotonic() - preview_sent_at >= PREVIEW_INTERVAL_S
        if event.preview and is_due and not is_last:
            pixels = event.preview()
            yield with_pixels(Preview(job.job_id, PixelsRef.of(pixels)), pixels)
            preview_sent_at = time.monotonic()
    raise RuntimeError("the task ended without a picture")


def load_task_runner(arguments: Sequence[str]) -> TaskRunner:
    """The real thing: imports torch, and takes seconds."""
    from ..checkpoints.catalogue import Catalogue, is_here  # noqa: PLC0415  torch takes seconds
    from ..checkpoints.content_hash import hashes_file  # noqa: PLC0415
    from ..checkpoints.contents import Contents  # noqa: PLC0415
    from ..checkpoints.discovery import (  # noqa: PLC0415
        adapter_folders,
        discover,
        upscaler_places,
    )
    from ..checkpoints.folders import expanded  # noqa: PLC0415
    from ..models.device.card_settings import CardSettings  # noqa: PLC0415
    from ..models.device.memory import free_and_total_bytes  # noqa: PLC0415
    from ..models.model_cache import (  # noqa: PLC0415
        ModelCache,
        best_device,
        device_name,
        device_named,
        sibling_devices,
    )
    from ..tasks.imagic import learned_files  # noqa: PLC0415
    from ..tasks.inversion_files import InversionFiles  # noqa: PLC0415
    from ..tasks.live import LivePasses  # noqa: PLC0415
    from ..tasks.run import run  # noqa: PLC0415
    from ..tasks.sharing import Helper  # noqa: PLC0415
    from ..tasks.teaching import half_learned_files  # noqa: PLC0415

    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--folder", type=Path, action="append", default=[])
    parser.add_argument("--adapter", action="append", default=[])
    parser.add_argument("--device")
    parser.add_argument("--leave-out-missing", action="store_true")
    parser.add_argument("--fp8", action="store_true")
    parser.add_argument("--in-layers", action="store_true")
    parser.add_argument("--attention", default="")
    named = parser.parse_args(arguments)
    if named.leave_out_missing:
        named.model = [name for name in named.model if is_here(name)]
        named.adapter = [name for name in named.adapter if expanded(name).exists()]
    device = device_named(named.device) if named.device else best_device()
    found = discover(named.folder).entries
    catalogue = Catalogue(
        named.model,
        found=found,
        adapters=named.adapter,
        adapter_folders=adapter_folders(named.folder),
        upscaler_folders=upscaler_places(named.folder),
    )
    card = CardSettings(named.fp8, named.in_layers, named.attention)
    model_cache = ModelCache(catalogue, str(device), card)
    others = () if named.device else sibling_devices()
    passes, inversions = LivePasses(), InversionFiles(data_folder() / "inversions")
    kept = inversions, learned_files(data_folder()), half_learned_files(data_folder())
    contents = Contents(catalogue, hashes_file())

    def run_task(
        request: Request, blobs: Mapping[str, bytes], team: Team | None, most_rows: int
    ) -> Iterator[Progressed | Finished]:
        catalogue.adapters.look_for_taught()  # by another worker, or another program
        return run(request, blobs, model_cache, passes, *kept, team=team, most_rows=most_rows)

    return TaskRunner(
        run_task,
        device_name(device),
        others,
        free_and_total_bytes(device)[1],
        contents.take,
        lambda request, blobs: Helper(request, blobs, model_cache),
    )
