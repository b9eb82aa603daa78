"""Scenarios with a scripted worker: what protocol, copies and Krita add to its own time."""

import json
import time
from contextlib import contextmanager
from typing import Any

from tapestry.docker_model import DockerModel
from tapestry.jobs.queue import JobQueue
from tapestry.results.document_histories import Histories
from tapestry_protocol.messages import Cancelled, Preview, Progress

WIDTH, HEIGHT = 4096, 1024
A_PREVIEW = [HEIGHT // 8, WIDTH // 8]
TRIES = 5
PATIENCE_S = 120


def delays_of_a_picture(stage):
    """Click to first preview, and result to visible layer; several times."""
    document = stage.document(WIDTH, HEIGHT)
    for name, left in (("sea", 0), ("sky", WIDTH // 2)):
        stage.layer(document, name, (left, 0, WIDTH // 2, HEIGHT))
    yield stage.until(lambda: len(stage.regions()) == 2, "the regions", 60)
    yield stage.until(lambda: "ready" in stage.status(), "the backend", PATIENCE_S)
    yield stage.turns(2.0)
    tries = stage.facts["tries"] = []
    for number in range(TRIES):
        _script(stage, number, steps=2, pause_s=0.5, seed=number)
        count, button = len(stage.names(document)), stage.widget("tapestry_generate")
        with _moments() as moments:
            clicked, own = time.monotonic(), time.thread_time()
            button.click()
            yield stage.until(lambda: moments.get("ended"), "the picture", PATIENCE_S)
            yield stage.until(lambda: _is_idle(stage), "the history", PATIENCE_S)
        worker = _clock(stage, number)
        tries.append(
            {
                "layers": len(stage.names(document)) - count,
                "click to job": worker["begin"] - clicked,
                "step to preview": moments["preview"] - worker["step 1"],
                "result to layer": moments["layer"] - worker["done"],
                "own": moments["own"]["preview"]
                - own
                + moments["own"]["layer"]
                - moments["own"]["step"],
            }
        )
        yield stage.turns(0.5)


def delays_of_previews_and_cancel(stage):
    """Every step is told of, previews are young, and what a cancel takes beyond its step."""
    document = stage.document(WIDTH, HEIGHT)
    yield stage.until(lambda: "ready" in stage.status(), "the backend", PATIENCE_S)
    yield stage.turns(2.0)
    tries = stage.facts["cancels"] = []
    for number in range(TRIES):
        _script(stage, TRIES + number, steps=400, pause_s=0.2, seed=number)
        with _moments() as moments:
            stage.press("tapestry_generate")
            yield stage.until(lambda: len(moments["steps"]) >= 12, "12 steps", PATIENCE_S)
            button = stage.widget("tapestry_cancel")
            yield stage.turns(0.05)
            pressed, own = time.monotonic(), time.thread_time()
            button.click()
            own = time.thread_time() - own
            yield stage.until(lambda: moments.get("ended"), "the end", PATIENCE_S)
        worker = _clock(stage, TRIES + number)
        last = max(moment for name, moment in worker.items() if name.startswith("step"))
        tries.append(
            {
                "own": own + moments["own"]["cancelled"],
                "step to end": moments["ended"] - max(last, pressed),
                "steps": moments["steps"],
                "oldest preview": _oldest(moments["previews"], worker),
            }
        )
        yield stage.turns(0.5)
    stage.facts["layers"] = stage.names(document)


def _script(stage, number, *, steps, pause_s, seed):
    file = str(stage.folder / f"clock {number}")
    script = {"steps": steps, "pause_s": pause_s, "preview": A_PREVIEW, "clock": file}
    stage.widget("tapestry_prompt").setText(json.dumps(script))
    stage.widget("tapestry_seed").setValue(seed)


def _clock(stage, number):
    """What the worker noted: moment by name."""
    lines = (stage.folder / f"clock {number}").read_text("utf-8").splitlines()
    return {name: float(moment) for moment, _, name in (line.partition(" ") for line in lines)}


def _oldest(previews, worker):
    """How old what is shown has become at most: from its step until the next one is shown."""
    later = [shown for _, shown in previews[1:]]
    return max(shown - worker[f"step {step}"] for (step, _), shown in zip(previews, later))  # noqa: B905


@contextmanager
def _moments():
    """When messages had been heard and shown, and when a job was over.

    "own" has the same in processor time of Krita's UI thread, which no other program disturbs.
    """
    own: dict[str, Any] = {}
    moments: dict[str, Any] = {"steps": [], "previews": [], "own": own}
    hear, end, keep = DockerModel.hear, JobQueue.end, Histories.keep

    def kept(self, canvas):  # at last when the layer is there
        keep(self, canvas)
        moments["layer"], own["layer"] = time.monotonic(), time.thread_time()

    def heard(self, message, pixels, *beside):  # noqa: ANN002  whatever there is
        before = time.thread_time()
        hear(self, message, pixels, *beside)
        now, after = time.monotonic(), time.thread_time()
        if isinstance(message, Progress) and message.stage == "denoising":
            moments["steps"].append(message.step)
            own["step"] = after
        elif isinstance(message, Preview):
            own.setdefault("preview", after)
            moments.setdefault("preview", now)
            moments["previews"].append((pixels.data[0], now))
        elif isinstance(message, Cancelled):
            own["cancelled"] = after - before

    def ended(self, job, notice):
        end(self, job, notice)
        moments["ended"] = time.monotonic()

    DockerModel.hear, JobQueue.end, Histories.keep = heard, ended, kept
    try:
        yield moments
    finally:
        DockerModel.hear, JobQueue.end, Histories.keep = hear, end, keep


def _is_idle(stage):
    docker_model = stage.widget("tapestry_panel")._docker_model
    return docker_model.job is None and docker_model.results.is_idle
