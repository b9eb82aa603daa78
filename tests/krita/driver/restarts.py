"""Scenarios across two Kritas: the first one is killed; judges nothing."""

import os
import signal

from .history import A_PICTURE_S, _docker_model, _generate, _painted, _until_a_step


def killed_in_mid_job(stage):
    """A finished picture, a document that was never saved, a job in the middle: kill -9."""
    document = _painted(stage)
    yield from _generate(stage, document)
    stage.widget("tapestry_steps").setValue(60)
    stage.press("tapestry_generate")
    yield from _until_a_step(stage)
    yield from stage.picture("before the kill")
    os.kill(os.getpid(), signal.SIGKILL)


def after_the_kill(stage):
    """The next Krita goes on with the job, and has both pictures."""
    docker_model = _docker_model(stage)
    stage.facts["left behind"] = [job.title for job in docker_model.queue.jobs]
    stage.document(64, 64)
    yield from _until_a_step(stage)
    yield from stage.picture("after the kill")
    yield stage.until(lambda: not docker_model.queue.jobs, "the picture", A_PICTURE_S)
    yield from stage.picture("both pictures")
    entries = docker_model.results.entries()
    stage.facts["history"] = [[entry.name, entry.asked["num_inference_steps"]] for entry in entries]
    stage.facts["notice"] = stage.notice()
    docker_model.apply(entries[0].id)
    yield stage.until(lambda: docker_model.results.is_idle, "the layer", 60)
    yield stage.turns(0.5)
    stage.facts["layers"] = stage.names(stage.krita.activeDocument())
