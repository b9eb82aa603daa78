"""Scenarios with a real backend: how long Krita waits for us while a large picture is handled."""

from tapestry.document.order import DocumentState, Order
from tapestry.jobs.job import Job, JobResult
from tapestry.krita_adapter.documents import KritaCanvas
from tapestry_protocol.messages import PixelsRef, Region, Request, Result
from tapestry_protocol.pixels import Bounds, Pixels

from .history import PREVIEW, _click_first, _docker_model, _set, _trigger, _undo
from .timing import held, pieces

WIDTH, HEIGHT = 4096, 2048
_A_WHILE_S = 300
"""On a busy machine; how long Krita is held is judged by itself."""
REGIONS = ("moon", "sky", "sea")


def a_large_picture_stays_usable(stage):
    """Kept, shown and applied: how long Krita waits for us at most."""
    document = yield from _painted(stage)
    docker_model = _docker_model(stage)
    longest = stage.facts["longest"] = {}
    slowest = stage.facts["pieces"] = []
    with held(longest), pieces(slowest):
        _take(stage, _job(stage, document, "large"))
        yield stage.until(lambda: len(stage.names(document)) == 5, "the layer", _A_WHILE_S)
        yield stage.until(lambda: docker_model.results.is_idle, "the picture", _A_WHILE_S)
        yield from _click_first(stage)
        yield stage.until(lambda: PREVIEW in stage.names(document), "the preview", _A_WHILE_S)
        yield stage.until(lambda: docker_model.results.is_idle, "the preview", _A_WHILE_S)
        docker_model.preview("")
        yield stage.until(lambda: PREVIEW not in stage.names(document), "the end of it", _A_WHILE_S)
        yield stage.turns(0.5)
    stage.facts["layers"] = stage.names(document)
    stage.facts["corner"] = document.pixelData(0, 0, 1, 1).toHex().data().decode()


def large_pictures_in_other_ways(stage):
    """As a group of regions, into the active layer, into a new document."""
    document = yield from _painted(stage)
    _set(stage, apply_at_once=False)
    _take(stage, _job(stage, document, "large-in-other-ways"))
    yield from _until_done(stage)
    yield from _apply(stage, "regions", lambda: len(stage.names(document)) == 5)
    group = document.rootNode().childNodes()[-1]
    stage.facts["regions"]["boxes"] = [_box(node) for node in reversed(group.childNodes())]
    yield from _undo(stage)
    stage.facts["regions"]["undone"] = [stage.names(document)]
    yield from _undo(stage)
    stage.facts["regions"]["undone"].append(stage.names(document))
    stage.krita.action("edit_redo").trigger()
    yield stage.turns(1.0)
    document.setActiveNode(document.rootNode().childNodes()[-1])
    yield stage.turns(0.5)
    yield from _apply(stage, "active", lambda: True)
    top = document.rootNode().childNodes()[-1]
    stage.facts["active"]["box"] = _box(top)
    for _ in range(2):
        yield from _undo(stage)
    top = document.rootNode().childNodes()[-1]
    stage.facts["active"]["undone"] = [stage.names(document), _box(top)]
    closed = _job(stage, document, "large-and-closed")
    yield from stage.closed([document])
    _take(stage, closed)
    yield from _until_done(stage)
    yield from _apply(stage, "layer", lambda: bool(stage.krita.activeDocument()))
    stage.facts["layer"]["layers"] = stage.names(stage.krita.activeDocument())
    _set(stage, apply_at_once=True)
    stage.press("tapestry_dismiss")


def _apply(stage, way, is_there):
    facts = stage.facts[way] = {"longest": {}, "pieces": []}
    yield stage.turns(1.0)
    with held(facts["longest"]), pieces(facts["pieces"]):
        _trigger(stage, f"tapestry_apply_{way}")
        yield stage.until(is_there, f"the picture as {way}", _A_WHILE_S)
        yield from _until_done(stage)
        yield stage.turns(0.5)


def _until_done(stage):
    yield stage.turns(0.1)
    yield stage.until(lambda: _docker_model(stage).results.is_idle, "the picture", _A_WHILE_S)


def _painted(stage):
    document = stage.document(WIDTH, HEIGHT)
    for number, name in enumerate(reversed(REGIONS)):
        stage.layer(document, name, (0, 600 * number, WIDTH, 800))
    yield stage.turns(3.0)
    return document


def _job(stage, document, name):
    canvas = KritaCanvas(document)
    return Job(
        name, canvas, DocumentState.of(canvas), _docker_model(stage).results.histories.id_of(canvas)
    )


def _take(stage, job):
    """A picture of all of it, with each region's mask, comes from the backend."""
    row = bytes(range(256)) * (WIDTH * 4 // 256)
    pixels = Pixels(HEIGHT, WIDTH, 4, row * HEIGHT)
    mask = Pixels(800, WIDTH, 1, b"\xff" * (800 * WIDTH))
    ref = PixelsRef.of(mask)
    regions = tuple(
        Region(name, Bounds(top, 0, top + 800, WIDTH), ref)
        for top, name in zip((1200, 600, 0), REGIONS)  # noqa: B905
    )
    request = Request("generate", HEIGHT, WIDTH, prompt="sea", regions=regions)
    order = Order(request, {ref.sha256: mask.data}, "Tapestry: sea (seed 0)")
    result = Result(job.id, PixelsRef.of(pixels), Bounds(0, 0, HEIGHT, WIDTH), 0, "{}")
    docker_model = _docker_model(stage)
    docker_model.results.take(
        job,
        order,
        JobResult(result, pixels),
        lambda: None,
        at_once=docker_model.settings.apply_at_once,
    )


def _box(node):
    box = node.bounds()
    return [box.x(), box.y(), box.width(), box.height()]
