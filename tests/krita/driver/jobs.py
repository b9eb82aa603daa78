"""Scenarios with a real backend: generate, extend, cancel, and what may come in between."""

import os
import signal
import time

WIDTH, HEIGHT = 384, 256
BOX = (128, 80, 128, 112)
LAYERS = (
    ("green grass", (0, 128, WIDTH, 128), (60, 140, 60, 255)),
    ("sunset sky", (0, 0, WIDTH, 128), (230, 130, 60, 255)),
    ("red bricks", BOX, (150, 60, 50, 255)),
)
COLOR_MODELS = (("GRAYA", "U8"), ("CMYKA", "U8"), ("LABA", "U16"), ("GRAYA", "F16"))
A_PICTURE_S = 600
"""A picture takes seconds; a machine that does other things as well takes minutes."""


def generate_and_extend(stage):
    """The main job: three named layers, Generate, then Extend to the right."""
    document = _painted(stage)
    yield stage.until(lambda: len(stage.regions()) == len(LAYERS), "the regions", 30)
    yield stage.until(lambda: "ready" in stage.status(), "the backend", A_PICTURE_S)
    yield stage.turns(1.5)  # the thumbnails
    stage.facts["regions"] = stage.regions()
    yield from stage.picture("1 before")
    stage.widget("tapestry_seed").setValue(42)
    stage.press("tapestry_generate")
    yield from _until_half_done(stage)
    stage.facts["progress"] = stage.widget("tapestry_progress").format()
    yield from stage.picture("2 generating")
    yield from _until_inserted(stage, document, len(LAYERS) + 2)
    yield stage.turns(1.0)
    stage.facts["generated"] = _describe(stage, document, "generated")
    stage.facts["regions after"] = stage.regions()
    yield from stage.picture("3 generated")
    stage.extend_by(right=128)
    stage.press("tapestry_extend")
    yield from _until_half_done(stage)
    yield from stage.picture("4 extending")
    yield from _until_inserted(stage, document, len(LAYERS) + 3)
    yield stage.turns(1.0)
    stage.facts["extended"] = _describe(stage, document, "extended")
    stage.krita.action("toggle_zoom_to_fit").trigger()
    yield stage.turns(1.0)
    yield from stage.picture("5 extended")


def undo_brings_everything_back(stage):
    """One undo takes a generated layer back, two take an extension back."""
    document = _painted(stage)
    before = _shape(stage, document)
    yield from _generate(stage, document)
    yield from _undo(stage)
    stage.facts["generate"] = [before, _shape(stage, document)]
    stage.extend_by(left=64)
    stage.press("tapestry_extend")
    yield from _until_inserted(stage, document, len(LAYERS) + 2)
    stage.facts["extended"] = _shape(stage, document)
    yield from _undo(stage)
    yield from _undo(stage)
    stage.facts["extend"] = [before, _shape(stage, document)]


def cancel(stage):
    """Cancel in mid-job, then generate again."""
    document = _painted(stage)
    _steps(stage, 200)
    yield stage.turns(1.0)
    stage.facts["active"] = [document.activeNode().name()]
    stage.press("tapestry_generate")
    yield from _until_preview(stage)
    yield stage.until(lambda: len(stage.names(document)) > len(LAYERS) + 1, "it on the canvas", 60)
    yield stage.turns(1.0)
    stage.facts["active"].append(document.activeNode().name())
    pressed = time.monotonic()
    stage.press("tapestry_cancel")
    yield stage.until(lambda: _is_idle(stage), "the job to end", A_PICTURE_S)
    stage.facts["seconds"] = time.monotonic() - pressed
    stage.facts["notice"] = stage.notice()
    yield stage.turns(1.0)  # a preview goes in a turn of its own
    stage.facts["layers"] = stage.names(document)
    yield from stage.picture("6 cancelled")
    yield from _generate(stage, document)
    stage.facts["layers afterwards"] = stage.names(document)


def backend_killed(stage):
    """Kill -9 of the server in mid-job: a message, and the job goes on by itself."""
    document = _painted(stage)
    _steps(stage, 40)
    stage.press("tapestry_generate")
    yield from _until_preview(stage)
    os.kill(_server_pid(), signal.SIGKILL)
    yield stage.until(lambda: stage.notice()[0], "a notice", 30)
    stage.facts["notice"] = stage.notice()
    yield from stage.picture("7 backend killed")
    yield stage.until(lambda: not stage.notice()[0], "the backend to be back", 120)
    yield from _until_inserted(stage, document, len(LAYERS) + 2)
    yield from stage.picture("8 backend is back")
    stage.facts["layers"] = stage.names(document)
    stage.facts["notice afterwards"] = stage.notice()


def deep_documents(stage):
    """Documents of 16-bit integers, 16-bit and 32-bit floats."""
    for depth in ("U16", "F16", "F32"):
        document = stage.document(128, 128, depth=depth)
        for name, (_, y, _, _), color in LAYERS[:2]:
            stage.layer(document, name, (0, 64 if y else 0, 128, 64), color)
        yield from _generate(stage, document)
        top = document.rootNode().childNodes()[-1]
        shown = document.projection(0, 0, 128, 128)
        stage.facts[depth] = {
            "name": top.name(),
            "depth": document.colorDepth(),
            "colors": len({shown.pixel(x, y) for x in range(128) for y in range(128)}),
            "notice": stage.notice(),
        }


def other_color_models(stage):
    """Grayscale, CMYK, L*a*b* and floats: regions, Generate with one undo, Extend."""
    side = 128
    for model, depth in COLOR_MODELS:
        document = stage.document(side, side, model=model, depth=depth)
        for name, (_, y, _, _), color in LAYERS[:2]:
            stage.layer(document, name, (0, 64 if y else 0, side, 64), color)
        yield stage.until(lambda: len(stage.regions()) == 2, "the regions", 30)
        yield stage.turns(1.5)  # the thumbnails
        before = stage.names(document)
        yield from _generate(stage, document)
        picture = document.projection(0, 0, side, side)
        facts = stage.facts[f"{model} {depth}"] = {
            "space": [document.colorModel(), document.colorDepth()],
            "colors": len({picture.pixel(x, y) for x in range(side) for y in range(side)}),
            "badges": stage.badges(),
        }
        yield from stage.picture(f"generated in {model} {depth}")
        yield from _undo(stage)
        facts["undone"] = stage.names(document) == before
        yield stage.turns(0.5)
        yield from _generate(stage, document)
        layers = [n.pixelData(0, 0, side, side) for n in document.rootNode().childNodes()]
        picture = document.projection(0, 0, side, side)
        stage.extend_by(right=64)
        stage.press("tapestry_extend")
        yield from _until_inserted(stage, document, 5)
        after = [n.pixelData(0, 0, side, side) for n in document.rootNode().childNodes()]
        facts["old pixels"] = layers == after[:4]
        facts["old picture"] = document.projection(0, 0, side, side) == picture
        new = document.projection(side, 0, 64, side)
        facts["new colors"] = len({new.pixel(x, y) for x in range(64) for y in range(side)})


def odd_canvases(stage):
    """A canvas of 63 x 1 pixels, and a stroke that is one pixel thin."""
    document = stage.document(63, 1)
    stage.layer(document, "green grass", (0, 0, 30, 1))
    yield from _until_answered(stage, document)
    stage.facts["63 x 1"] = [stage.names(document), stage.notice()]
    document = stage.document(128, 128)
    stage.layer(document, "red bricks", (64, 0, 1, 128))
    stage.widget("tapestry_prompt").setText("blue sky")
    yield from _until_answered(stage, document)
    stage.widget("tapestry_prompt").setText("")
    stage.facts["thin stroke"] = [stage.names(document), stage.notice()]


def _painted(stage):
    document = stage.document(WIDTH, HEIGHT)
    for name, box, color in LAYERS:
        stage.layer(document, name, box, color)
    _steps(stage, 20)
    return document


def _steps(stage, number):
    stage.widget("tapestry_steps").setValue(number)


def _generate(stage, document):
    count = len(stage.names(document))
    _steps(stage, 8)
    stage.press("tapestry_generate")
    yield from _until_inserted(stage, document, count + 1)


def _until_answered(stage, document):
    """Until there is a new layer or a sentence."""
    yield stage.turns(1.0)
    _steps(stage, 4)
    stage.press("tapestry_generate")
    yield stage.until(lambda: _is_idle(stage), "a layer or a sentence", A_PICTURE_S)


def _until_preview(stage):
    preview = stage.widget("tapestry_preview")

    def shown():
        return preview.isVisible() and preview.pixmap() is not None

    yield stage.until(shown, "a preview", A_PICTURE_S)


def _until_half_done(stage):
    yield from _until_preview(stage)
    bar = stage.widget("tapestry_progress")
    yield stage.until(lambda: bar.value() >= bar.maximum() // 2 > 0, "half the steps", A_PICTURE_S)


def _until_inserted(stage, document, count):
    def inserted():
        assert not stage.notice()[0], stage.state()
        return len(stage.names(document)) == count and _is_idle(stage)

    yield stage.until(inserted, f"{count} layers", A_PICTURE_S)
    yield stage.turns(0.3)  # Krita brings the projection up to date
    document.waitForDone()


def _undo(stage):
    stage.krita.action("edit_undo").trigger()
    yield stage.turns(1.0)


def _is_idle(stage):
    return not stage.widget("tapestry_progress").isVisible()


def _shape(stage, document):
    return [document.width(), document.height(), stage.names(document)]


def _describe(stage, document, name):
    """The document's size and layers; its pixels, and those of every layer, go to files."""
    width, height = document.width(), document.height()
    stage.dump(f"{name}.bgra", document.pixelData(0, 0, width, height))
    layers = []
    for number, node in enumerate(reversed(document.rootNode().childNodes())):
        box = node.bounds()
        stage.dump(f"{name} {number}.bgra", node.pixelData(0, 0, width, height))
        layers.append(
            {
                "name": node.name(),
                "box": [box.x(), box.y(), box.width(), box.height()],
                "pixels": f"{name} {number}.bgra",
            }
        )
    return {"width": width, "height": height, "pixels": f"{name}.bgra", "layers": layers}


def _server_pid():
    from tapestry_protocol.runtime import read_runtime_file, runtime_file

    return read_runtime_file(runtime_file()).pid
