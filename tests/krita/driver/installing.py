"""A scenario with a plugin that carries its backend: installed from the docker."""

from .jobs import _until_inserted

_A_LONG_TIME_S = 1500
WIDTH, HEIGHT = 128, 96


def installed_from_the_docker(stage):
    """A document, one button, and the first picture."""
    document = stage.document(WIDTH, HEIGHT)
    stage.layer(document, "sunset sky", (0, 0, WIDTH, HEIGHT // 2), (230, 130, 60, 255))
    yield stage.until(lambda: stage.notice()[0], "the notice", 60)
    stage.facts["notice"] = stage.notice()
    stage.facts["words"] = stage.widget("tapestry_install_words").text()
    yield from stage.picture("to be installed")
    stage.press("tapestry_dismiss")
    stage.press("tapestry_install")
    yield stage.turns(0.5)
    stage.facts["button"] = stage.widget("tapestry_install").text()
    stage.screenshot("installing")
    yield stage.until(lambda: _is_over(stage), "the installation", _A_LONG_TIME_S)
    stage.facts["words afterwards"] = stage.widget("tapestry_install_words").text()
    yield stage.until(lambda: "ready" in stage.status(), "the backend", 300)
    stage.facts["offered"] = stage.widget("tapestry_install_view").isVisible()
    stage.widget("tapestry_steps").setValue(4)
    stage.press("tapestry_generate")
    yield from _until_inserted(stage, document, 3)
    stage.facts["layers"] = stage.names(document)
    yield from stage.picture("installed")


def _is_over(stage):
    return stage.widget("tapestry_install").text() != "Cancel" or "ready" in stage.status()
