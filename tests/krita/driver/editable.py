"""A scenario with a real backend: a picture as a group of regions, then another outline."""

import math

from .history import A_PICTURE_S, _count, _is_idle, _set
from .qt import QByteArray

SIDE = 128
LAVA = (44, 44, 40, 40)
BESIDE = (88, 56, 6, 16)
"""Right of the lava's disc: x, y, width, height."""


def group_of_regions(stage):
    """Three regions, one of them soft; flat, then with more of the lava."""
    document = stage.document(SIDE, SIDE)
    stage.layer(document, "green grass", (0, 64, SIDE, 64), (60, 140, 60, 255))
    stage.layer(document, "sunset sky", (0, 0, SIDE, 64), (230, 130, 60, 255))
    _paint_disc(document, stage.layer(document, "lava"))
    stage.widget("tapestry_steps").setValue(4)
    _set(stage, in_regions=True)
    yield stage.until(lambda: len(stage.regions()) == 3, "the regions", 60)
    before = _count(stage)
    stage.press("tapestry_generate")
    yield stage.until(lambda: _count(stage) > before and _is_idle(stage), "a picture", A_PICTURE_S)
    yield stage.turns(1.0)
    _set(stage, in_regions=False)
    group = document.rootNode().childNodes()[-1]
    layers = {node.name(): node for node in group.childNodes()}
    masks = {name: [mask.type() for mask in node.childNodes()] for name, node in layers.items()}
    stage.facts["group"] = [stage.names(document)[0], masks]
    stage.facts["notice"] = stage.notice()
    stage.dump("as a group.bgra", _pixels(document))
    yield from _undo_and_redo(stage, document)
    stage.press("tapestry_apply")
    yield stage.until(lambda: len(stage.names(document)) == 6, "the flat picture", 60)
    yield stage.until(lambda: _is_idle(stage), "the flat picture to be drawn", 60)
    yield stage.turns(1.0)
    flat = document.rootNode().childNodes()[-1]
    stage.dump("flat.bgra", _pixels(document))
    flat.setVisible(False)
    yield from _paint_more_lava(stage, document)


def _undo_and_redo(stage, document):
    """The group is one step, with its masks."""
    for action in ("undo", "redo"):
        stage.krita.action(f"edit_{action}").trigger()
        yield stage.turns(1.0)
        stage.facts[action] = len(stage.names(document))
    stage.dump("redone.bgra", _pixels(document))


def _paint_more_lava(stage, document):
    group = next(n for n in document.rootNode().childNodes() if n.type() == "grouplayer")
    lava = next(node for node in group.childNodes() if node.name() == "Tapestry: lava")
    stage.dump("own.bgra", lava.pixelData(*BESIDE))
    _, _, width, height = BESIDE
    lava.childNodes()[0].setPixelData(QByteArray(b"\xff" * (width * height)), *BESIDE)
    document.refreshProjection()
    document.waitForDone()
    yield stage.turns(0.5)
    stage.dump("before.bgra", _part(stage, "flat.bgra"))
    stage.dump("more.bgra", document.pixelData(*BESIDE))
    document.setActiveNode(lava.childNodes()[0])
    yield from stage.picture("a group of regions")


def _part(stage, name):
    """What a picture of the whole shows beside the lava."""
    data = (stage.folder / name).read_bytes()
    x, y, width, height = BESIDE
    starts = [4 * (row * SIDE + x) for row in range(y, y + height)]
    return b"".join(data[start : start + 4 * width] for start in starts)


def _pixels(document):
    document.refreshProjection()
    document.waitForDone()
    return document.pixelData(0, 0, SIDE, SIDE)


def _paint_disc(document, node):
    """A disc with an outline that is soft over eight pixels."""
    left, top, width, height = LAVA
    data = bytearray()
    for y in range(height):
        for x in range(width):
            distance = math.hypot(x + 0.5 - width / 2, y + 0.5 - height / 2)
            share = min(1.0, max(0.0, (16 - distance) / 8 + 0.5))
            data += bytes((30, 80, 220, round(255 * share)))
    node.setPixelData(QByteArray(bytes(data)), left, top, width, height)
    document.refreshProjection()
    document.waitForDone()
