"""The main loop of a worker process: takes jobs from a pipe, runs them, tells of every step.

The process ends as soon as the pipe from the server does: no worker outlives its server.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tapestry_protocol.errors import ProtocolError, TapestryError
from tapestry_protocol.layered import Layered, LayerPicture
from tapestry_protocol.limits import MAX_REPORT_CHARACTERS
from tapestry_protocol.messages import (
    Backend,
    Cancel,
    Cancelled,
    Heartbeat,
    Message,
    PixelsRef,
    Preview,
    Progress,
    Request,
    Result,
    Run,
    SiblingDevices,
)
from tapestry_protocol.pixels import Pixels
from tapestry_protocol.runtime import data_folder
from tapestry_protocol.sentences import as_sentence

from ..tasks.events import Finished, LayeredPicture, Progressed
from .channel import Delivery, Inbox, frames_of, pack, read_frame
from .device_loss import DEVICE_LOST, is_device_lost
from .failures import failure_of, private_traceback
from .heartbeat import ServerHeartbeat, die_with_parent

PREVIEW_INTERVAL_S = 0.25
"""Four previews a second look alive; more would only fill the socket."""

_MAX_REPORT_ENTRY_CHARACTERS = 10_000
"""When a report is too long to travel, entries longer than this stay behind."""

_log = logging.getLogger("tapestry.worker")

RunTask = Callable[[Request, Mapping[str, bytes]], Iterator[Progressed | Finished]]


@dataclass(frozen=True)
class TaskRunner:
    """What a worker needs of the folders below it: how to run a task, and on which device.

    sibling_devices   devices like it, on which other workers may paint
    """

    run: RunTask
    device: str
    sibling_devices: tuple[str, ...] = ()


class ServerPipe:
    """The worker's end of the pipes; a thread of its own listens, so that cancels are heard."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._jobs: queue.SimpleQueue[tuple[Run, Mapping[str, bytes]]] = queue.SimpleQueue()
        self._cancelled = ""  # one is enough: the server sends a job when the one before has ended
        self._sending = threading.Lock()
        self._heart = ServerHeartbeat(lambda: self.send(Heartbeat()))
        threading.Thread(target=self._listen, name="link", daemon=True).start()

    def next_job(self) -> tuple[Run, Mapping[str, bytes]]:
        """The next job and its blobs; waits for it."""
        return self._jobs.get()

    def is_cancelled(self, job_id: str) -> bool:
        """Tells whether the server has asked to stop this job."""
        return job_id == self._cancelled

    def send(self, message: Message, *pixels: Pixels) -> None:
        """Send a message, after the pixels that it refers to."""
        blobs = {each.sha256: each.data for each in pixels}
        frames = frames_of(Delivery(message, blobs))
        try:
            with self._sending:  # the heart beats in a thread of its own
                for frame in frames:
                    self._outgoing.write(pack(frame))
                self._outgoing.flush()
        except OSError:
            os._exit(0)  # the server is gone

    def _listen(self) -> None:
        try:
            inbox = Inbox()
            while (frame := read_frame(self._incoming)) is not None:
                self._heart.answered()
                delivery = inbox.take(frame)
                if delivery is None:
                    continue
                message = delivery.message
                if isinstance(message, Cancel):
                    self._cancelled = message.job_id
                elif isinstance(message, Run):
                    self._jobs.put((message, delivery.blobs))
        except ProtocolError:
            _log.exception("the pipe from the server is out of step")
        finally:
            os._exit(0)  # at once, in the middle of a step: no server is left to show it


def main(load: Callable[[], TaskRunner]) -> None:
    """Load what runs tasks, then run jobs until the server goes away."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    die_with_parent()
    link = ServerPipe(*_take_pipes())
    link.send(Backend("loading"))
    try:
        task_runner = load()
    except TapestryError as error:
        link.send(failure_of("", error))  # about no job: this worker will never do any
        raise
    if task_runner.sibling_devices:
        link.send(SiblingDevices(task_runner.sibling_devices))
    link.send(Backend("ready", task_runner.device))
    while True:
        job, blobs = link.next_job()
        link.send(Backend("busy", task_runner.device))
        _run_job(job, blobs, task_runner, link)
        link.send(Backend("ready", task_runner.device))


def _run_job(
    job: Run, blobs: Mapping[str, bytes], task_runner: TaskRunner, link: ServerPipe
) -> None:
    """Run a job to its end and send that end, whatever it is.

    A card that is lost is lost for the whole process: it ends, and the job begins again in the next
    one, which has the card anew.
    """
    try:
        _follow(job, task_runner.run(job.request, blobs), link)
    except Exception as error:  # noqa: BLE001  the job fails, the worker lives on
        if is_device_lost(error):
            trace = private_traceback(error, job.request)
            _log.error(
                "job %s lost the graphics card; a new worker begins it again\n%s", job.job_id, trace
            )
            os._exit(DEVICE_LOST)  # at once: what tidies up would call the card
        failure = failure_of(job.job_id, error)
        link.send(failure)
        trace = private_traceback(error, job.request)
        _log.error("job %s failed: %s\n%s", job.job_id, failure.code.value, trace)


def _follow(job: Run, events: Iterator[Progressed | Finished], link: ServerPipe) -> None:
    """Send every event on, until the end or until the job is cancelled."""
    preview_sent_at = -math.inf
    for event in events:
        if link.is_cancelled(job.job_id):
            link.send(Cancelled(job.job_id))
            return
        if isinstance(event, Finished):
            _send_result(job, event, link)
            return
        link.send(Progress(job.job_id, event.stage, event.step, event.steps))
        # After the last step, the picture itself comes next.
        is_last = event.stage == "denoising" and event.step == event.steps
        is_due = time.monotonic() - preview_sent_at >= PREVIEW_INTERVAL_S
        if event.preview and is_due and not is_last:
            pixels = event.preview()
            link.send(Preview(job.job_id, PixelsRef.of(pixels)), pixels)
            preview_sent_at = time.monotonic()
    raise RuntimeError("the task ended without a picture")


def _send_result(job: Run, finished: Finished, link: ServerPipe) -> None:
    result = Result(
        job.job_id,
        PixelsRef.of(finished.pixels),
        finished.bounds,
        job.request.seed,
        report_text(finished.report),
        layered=_reference(finished.layered) if finished.layered else None,
    )
    beside = finished.layered.all_pixels if finished.layered else ()
    link.send(result, finished.pixels, *beside)


def _reference(layered: LayeredPicture) -> Layered:
    layers = (
        LayerPicture(
            layer.region, layer.bounds, PixelsRef.of(layer.pixels), PixelsRef.of(layer.mask)
        )
        for layer in layered.layers
    )
    return Layered(PixelsRef.of(layered.base), tuple(layers))


def report_text(report: Mapping[str, Any]) -> str:
    """The report as JSON that fits into a message: rather a shorter report than a lost picture."""
    if "notices" in report:
        report = {**report, "notices": [as_sentence(each).to_json() for each in report["notices"]]}
    text = json.dumps(report)
    if len(text) <= MAX_REPORT_CHARACTERS:
        return text
    short = {
        name: value
        for name, value in report.items()
        if len(json.dumps(value)) <= _MAX_REPORT_ENTRY_CHARACTERS
    }
    return json.dumps({**short, "left_out": sorted(report.keys() - short.keys())})


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes from and to the server; whatever prints from now on goes to stderr."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return incoming, outgoing


def load_task_runner(arguments: Sequence[str]) -> TaskRunner:
    """The real thing: imports torch, and takes seconds."""
    from ..checkpoints.catalogue import Catalogue  # noqa: PLC0415  after the pipes are taken
    from ..checkpoints.discovery import (  # noqa: PLC0415
        adapter_folders,
        discover,
        upscaler_places,
    )
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

    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--folder", type=Path, action="append", default=[])
    parser.add_argument("--adapter", action="append", default=[])
    parser.add_argument("--device")
    named = parser.parse_args(arguments)
    device = device_named(named.device) if named.device else best_device()
    found = discover(named.folder).entries
    catalogue = Catalogue(
        named.model,
        found=found,
        adapters=named.adapter,
        adapter_folders=adapter_folders(named.folder),
        upscaler_folders=upscaler_places(named.folder),
    )
    model_cache = ModelCache(catalogue, str(device))
    others = () if named.device else sibling_devices()
    passes, inversions = LivePasses(), InversionFiles(data_folder() / "inversions")
    learned = learned_files(data_folder())
    return TaskRunner(
        lambda request, blobs: run(request, blobs, model_cache, passes, inversions, learned),
        device_name(device),
        others,
    )


if __name__ == "__main__":
    main(lambda: load_task_runner(sys.argv[1:]))
