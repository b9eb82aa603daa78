"""Scenarios with a plugin that carries its backend: installed from the docker, with a real uv."""

import os
import re
import time
from pathlib import Path

from tapestry.backend import installer as backend_installer
from tapestry.backend.bundled import CARRIED, PACKAGES

from .history import _docker_model
from .jobs import _until_inserted
from .timing import held

_A_LONG_TIME_S = 600
WIDTH, HEIGHT = 128, 96


def opened_example(stage):
    """No document, one button: three named layers, and a picture of them."""
    yield from stage.picture("first start")
    stage.press("tapestry_example")
    yield stage.until(lambda: stage.notice()[0], "the notice", 20)
    document = stage.krita.activeDocument()
    yield stage.until(lambda: len(stage.regions()) == 3, "the regions", 20)
    stage.facts["notice"] = stage.notice()
    stage.facts["regions"] = stage.regions()
    stage.facts["example"] = stage.widget("tapestry_example").isVisible()
    yield from stage.picture("example")
    stage.press("tapestry_dismiss")
    stage.widget("tapestry_steps").setValue(12)
    stage.press("tapestry_generate")
    yield from _until_inserted(stage, document, 5)
    stage.facts["layers"] = stage.names(document)
    yield from stage.picture("example painted")


def first_picture(stage):
    """What an artist does who has just imported the plugin; when each of it was done."""
    times = stage.facts["times"] = {"Krita is there": time.time()}
    stage.press("tapestry_example")
    yield stage.until(lambda: len(stage.regions()) == 3, "the regions", 20)
    document = stage.krita.activeDocument()
    stage.arrange()
    yield stage.until(lambda: stage.widget("tapestry_install").isVisible(), "the button", 60)
    yield from stage.picture("to be installed")
    stage.press("tapestry_dismiss")
    times["the example is open"] = time.time()
    stage.press("tapestry_install")
    words = stage.widget("tapestry_install_words")
    yield stage.until(
        lambda: re.search(r" [1-9]\d* of \d+ MB", words.text()) or _is_over(stage),
        "packages",
        _A_LONG_TIME_S,
    )
    yield from stage.picture("installing")
    yield stage.until(lambda: _is_over(stage), "the installation", 6 * _A_LONG_TIME_S)
    _assert_installed(stage)
    times["the backend is installed"] = time.time()
    yield stage.until(lambda: "ready" in stage.status(), "the backend", 300)
    times["the backend is ready"] = time.time()
    stage.press("tapestry_generate")
    yield from _until_inserted(stage, document, 5)
    times["the picture is there"] = time.time()
    yield from stage.picture("first picture")


def installation_refused(stage):
    """Another hash, no room, no network: a sentence each, and nothing is taken for whole."""
    _document(stage)
    yield stage.until(lambda: stage.notice()[0], "the notice", 60)
    stage.facts["notice"] = stage.notice()
    stage.facts["words"] = stage.widget("tapestry_install_words").text()
    yield from stage.picture("to be installed")
    stage.press("tapestry_dismiss")
    known = CARRIED / PACKAGES
    text = known.read_text()
    known.write_text(re.sub("sha256:..", "sha256:00", text))
    yield from _refused(stage, "hash")
    known.write_text(text)
    usage = backend_installer.shutil.disk_usage
    scarce = usage("/")._replace(free=10**9)
    backend_installer.shutil.disk_usage = lambda _path: scarce
    yield from _refused(stage, "space")
    backend_installer.shutil.disk_usage = usage
    wheels = Path(os.environ["UV_FIND_LINKS"])
    aside = wheels.rename(wheels.with_name("away"))
    wheels.mkdir()
    yield from _refused(stage, "network")
    yield from stage.picture("no network")
    wheels.rmdir()
    aside.rename(wheels)


def installed_from_the_docker(stage):
    """A document, one button, a cancel, a pause, and the first picture."""
    document = _document(stage)
    own = _own(stage)
    yield stage.until(lambda: stage.widget("tapestry_install").isVisible(), "the button", 60)
    stage.press("tapestry_install")
    yield stage.until(own.next_program.exists, "half an installation", _A_LONG_TIME_S)
    stage.press("tapestry_install")
    yield stage.turns(0.5)
    stage.facts["cancelled"] = [stage.widget("tapestry_install").text(), own.is_there]
    stage.press("tapestry_install")
    yield stage.turns(0.2)
    stage.press("tapestry_pause_install")
    yield stage.turns(0.5)
    words = stage.widget("tapestry_install_words").text()
    stage.facts["paused"] = [stage.widget("tapestry_pause_install").text(), words]
    yield from stage.picture("installing")
    longest = stage.facts["longest"] = {}
    with held(longest):
        stage.press("tapestry_pause_install")
        yield stage.until(lambda: _is_over(stage), "the installation", _A_LONG_TIME_S)
    _assert_installed(stage)
    yield stage.until(lambda: "ready" in stage.status(), "the backend", 300)
    stage.facts["offered"] = stage.widget("tapestry_install_view").isVisible()
    stage.press("tapestry_dismiss")
    stage.widget("tapestry_steps").setValue(4)
    stage.press("tapestry_generate")
    yield from _until_inserted(stage, document, 3)
    stage.facts["layers"] = stage.names(document)
    yield from stage.picture("installed")


def updated_and_taken_back(stage):
    """A newer plugin: the last release runs until the next is whole; then all of it goes."""
    _document(stage)
    own = _own(stage)
    yield stage.until(lambda: stage.widget("tapestry_install").isVisible(), "the button", 60)
    yield stage.until(lambda: "ready" in stage.status(), "the last release", 300)
    stage.facts["offered"] = stage.widget("tapestry_install").text()
    stage.facts["before"] = _environments(own)
    stage.press("tapestry_install")
    yield stage.until(lambda: _is_over(stage), "the update", _A_LONG_TIME_S)
    _assert_installed(stage)
    yield stage.until(lambda: "ready" in stage.status(), "the next release", 300)
    yield stage.until(
        lambda: len(_environments(own)) == 1 and _is_over(stage), "the end of the last release", 120
    )
    stage.facts["after"] = _environments(own)
    stage.press("tapestry_open_backend_page")
    yield stage.turns(0.5)
    stage.widget("tapestry_backend_page").grab().save(str(stage.folder / "page.png"))
    stage.press("tapestry_uninstall")
    stage.press("tapestry_uninstall")
    yield stage.until(
        lambda: not _docker_model(stage).backend_controller.installer.is_running, "the removal", 120
    )
    stage.widget("tapestry_backend_page").hide()
    stage.facts["left"] = sorted(path.name for path in own.folder.parent.glob("backend*/*"))
    stage.facts["offered afterwards"] = stage.widget("tapestry_install").text()


def _document(stage):
    document = stage.document(WIDTH, HEIGHT)
    stage.layer(document, "sunset sky", (0, 0, WIDTH, HEIGHT // 2), (230, 130, 60, 255))
    return document


def _own(stage):
    return _docker_model(stage).backend_controller.installer.own


def _environments(own):
    return sorted(path.name for path in own.folder.glob("env-*"))


def _refused(stage, kind):
    stage.press("tapestry_install")
    yield stage.until(lambda: _is_over(stage), f"the end of it: {kind}", 120)
    stage.facts[kind] = stage.widget("tapestry_install_words").text()
    stage.facts[f"{kind} is there"] = _own(stage).is_there


def _assert_installed(stage):
    trouble = _docker_model(stage).backend_controller.installer.trouble
    assert trouble is None, f"{trouble.message} {trouble.advice}"


def _is_over(stage):
    return not _docker_model(stage).backend_controller.installer.is_running
