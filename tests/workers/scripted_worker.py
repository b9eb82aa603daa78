"""A worker without torch: the real main loop around a task that does what its prompt says.

The prompt is JSON: {"steps": 5, "pause_s": 0.01, "at": 3, "do": "raise"}. At step `at` it may
`raise`, run out of `memory`, `lose the card`, `crash`, `print`, end without a picture (`stop`), or
not come to an end, but only the first time that any worker of this server does so (`hang once`). A
picture has its seed as its colour, and a layer where layers are asked for; an extension gives its
own picture back. With the argument "dead", the worker dies before it is ready; with "siblings", it
finds two more devices like its own. "preview" is the height and width of previews, and "clock" a
file for the moments (of the machine's monotonic clock) at which it begins, ends a step, and is
done.
"""

import json
import os
import sys
import time
from functools import partial
from pathlib import Path

from tapestry_backend.tasks.events import Finished, LayeredPicture, Progressed, RegionPicture
from tapestry_backend.workers import job_runner, worker
from tapestry_protocol.pixels import Bounds, Pixels


def run(request, blobs, _team=None, _most_rows=0):
    """The scripted task."""
    script = json.loads(request.prompt)
    steps = script.get("steps", 3)
    note(script, "begin")
    yield Progressed("loading")
    for step in range(1, steps + 1):
        time.sleep(script.get("pause_s", 0))
        if step == script.get("at"):
            misbehave(script["do"], request.prompt)
            if script["do"] == "stop":
                return
        note(script, f"step {step}")
        yield Progressed("denoising", step, steps, partial(preview, script, step))
    data = bytes([request.seed % 256]) * (4 * request.height * request.width)
    if request.image is not None:
        data = blobs[request.image.sha256]
    picture = Pixels(request.height, request.width, 4, data)
    report = {"masks": [sum(blobs[region.mask.sha256]) for region in request.regions]}
    note(script, "done")
    layered = layers_of(picture) if request.layered else None
    yield Finished(picture, Bounds(0, 0, request.height, request.width), report, layered)


def layers_of(picture):
    """A base that is all 9, and one layer of 2 x 2 pixels in the corner."""
    base = Pixels(picture.height, picture.width, 4, b"\x09" * len(picture.data))
    own, mask = Pixels(2, 2, 4, b"\x07" * 16), Pixels(2, 2, 1, b"\xff" * 4)
    return LayeredPicture(base, (RegionPicture(0, Bounds(0, 0, 2, 2), own, mask),))


def preview(script, step):
    """How it looks after a step."""
    note(script, f"preview {step}")
    height, width = script.get("preview", (1, 1))
    return Pixels(height, width, 4, bytes([step % 256] * (4 * height * width)))


def note(script, moment):
    """For a test that wants to know what the worker itself took."""
    if "clock" in script:
        with Path(script["clock"]).open("a", encoding="utf-8") as file:
            file.write(f"{time.monotonic()} {moment}\n")


def misbehave(how, prompt):
    """Do what a task should not do."""
    if how == "raise":
        raise ValueError(f"cannot paint {prompt}")
    if how == "memory":
        raise MemoryError
    if how == "hang once":
        mark = Path(os.environ["XDG_RUNTIME_DIR"]) / "hung"
        if not mark.exists():
            mark.touch()
            time.sleep(600)
    if how == "lose the card":
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    if how == "crash":
        os.abort()
    if how == "print":
        print("a stray line")  # noqa: T201
        os.write(1, b"and some bytes\n")


def load():
    """The scripted task runner."""
    if "dead" in sys.argv:
        raise SystemExit(1)
    named = [part for part in sys.argv if part.startswith("--device=")]
    device = named[0].removeprefix("--device=") if named else "script"
    return job_runner.TaskRunner(
        run, device, ("script:1", "script:2") if "siblings" in sys.argv else ()
    )


def load_on_node(_arguments):
    """The same, on a computer of a cluster; the process that it is tells which it is."""
    return job_runner.TaskRunner(run, f"node process {os.getpid()}", memory_bytes=2**30)


def load_bare(_arguments):
    """The same, on a computer that has none of the models."""
    return job_runner.TaskRunner(run, "bare", take=tuple)


if __name__ == "__main__":
    worker.main(load)
