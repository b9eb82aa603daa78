"""What is seen of layers among others; what Krita shows of the same layers is the right value."""

from pathlib import Path
from typing import Any

import pytest

from tapestry.document.canvas import Layer
from tapestry.document.coverage import reads_of, seen_alpha
from tapestry.document.reading import order_from, scene_of
from tapestry.document.samples import mask_sample
from tapestry.settings.settings import Settings
from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.fake_canvas import FakeCanvas
from tests.krita_plugin.pieces import finish

KRITA_FILE = Path(__file__).parents[2] / "openraster" / "krita-5.1.5-operators.ora"
"""Krita's export, with its own flattened picture."""

KRITA_S = {"svg:dst-out": "erase", "krita:behind": "behind", "svg:dst-in": "destination-in",
           "svg:dst-atop": "destination-atop", "svg:src-over": "normal"}  # fmt: skip

WHOLE = Bounds(0, 0, 20, 30)
LEFT, RIGHT = Bounds(0, 0, 20, 15), Bounds(0, 15, 20, 30)


class FileCanvas:
    """The layers of a file as Krita gives them to the plugin."""

    def __init__(self) -> None:
        from tapestry_backend.openraster.document import Document

        self.document = Document.open(KRITA_FILE)
        self.nodes: dict[str, Any] = {}

    def layer(self, node: Any) -> Layer:
        """A node as a layer, with what lies in it."""
        number = f"{len(self.nodes)}"
        self.nodes[number] = node
        is_group = node.kind == "stack"
        return Layer(
            number,
            node.name,
            WHOLE,
            opacity=round(node.opacity * 255),
            is_group=is_group,
            blending=KRITA_S.get(node.composite_op, "multiply"),
            inherits_alpha=node.composite_op == "svg:src-atop",
            passes_through=node.passes_through,
            children=tuple(map(self.layer, node.children)),
        )

    def alpha(self, layer_id: str, bounds: Bounds) -> bytes:
        """The layer's own projection, by the other implementation."""
        node = self.nodes[layer_id]
        assert not node.passes_through, "Krita knows nothing of it"
        found = self.document.alpha(node, bounds)
        canvas = bytearray(bounds.height * bounds.width)
        if found:
            b, mask = found
            for y in range(b.height):
                at = (b.top - bounds.top + y) * bounds.width + b.left - bounds.left
                canvas[at : at + b.width] = mask[y].tobytes()
        return bytes(canvas)


def test_masks_are_what_krita_shows() -> None:
    """Of groups that lie alone on their cells, and of layers among erasers and clips."""
    canvas = FileCanvas()
    around = [canvas.layer(node) for node in canvas.document.layers]
    shown = canvas.document.flattened[..., 3]
    cells = [layer for layer in around if layer.name.startswith("cell ")]
    for number, layer in enumerate(reversed(cells)):
        if layer.name == "cell inherit multiply":
            continue  # Krita's export forgets the clip
        top, left = 24 * (number // 4), 32 * (number % 4)
        mask = seen_alpha(canvas, around, layer.id, Bounds(top, left, top + 24, left + 32))
        expected = shown[top : top + 24, left : left + 32].tobytes()
        worst = max(abs(a - b) for a, b in zip(mask, expected, strict=True))
        assert worst <= 1, layer.name
    siblings = canvas.document.siblings(canvas.document.bounds)
    for layer in around[:5]:
        node = canvas.nodes[layer.id]
        mask = seen_alpha(canvas, around, layer.id, canvas.document.bounds)
        if node.operator.adds_paint:
            theirs = siblings.of(node).tobytes()
            assert max(abs(a - b) for a, b in zip(mask, theirs, strict=True)) <= 2, layer.name


@pytest.fixture
def canvas() -> FakeCanvas:
    """A document whose lowest layer is transparent."""
    canvas = FakeCanvas(20, 30)
    canvas.fakes.clear()
    return canvas


def masks(canvas: FakeCanvas) -> dict[str, tuple[Bounds, bytes]]:
    """The regions' masks in an order."""
    asked = finish(order_from(canvas, Settings(prompt="sea"), "generate"))
    return {
        region.prompt: (region.bounds, asked.blobs[region.mask.sha256])
        for region in asked.request.regions
    }


def test_an_eraser_takes_from_those_below(canvas: FakeCanvas) -> None:
    """By its opacity, in the order, in the list's little pictures, and it is no region itself."""
    grass = canvas.add("grass", WHOLE)
    canvas.add("eraser", LEFT, blending="erase", opacity=127)
    canvas.add("sky", Bounds(0, 0, 4, 30))
    found = masks(canvas)
    assert set(found) == {"grass", "sky"}
    assert found["sky"][1] == bytes([255]) * 120
    assert found["grass"][1] == (bytes([128]) * 15 + bytes([255]) * 15) * 20
    scene = finish(scene_of(canvas))
    assert any("eraser" in remark for remark in scene.remarks)
    sample = finish(mask_sample(canvas, grass, scene.around))
    assert sample.thumbnail.data[0] == 128


def test_a_layer_that_inherits_alpha_is_where_something_is_below(canvas: FakeCanvas) -> None:
    """With nothing below it is nothing."""
    canvas.add("rocks", LEFT)
    canvas.add("snow", Bounds(0, 0, 6, 30), inherits_alpha=True)
    canvas.add("sky", Bounds(0, 0, 2, 30))
    bounds, mask = masks(canvas)["snow"]
    assert bounds == Bounds(0, 0, 6, 30)
    assert mask == (bytes([255]) * 15 + bytes(15)) * 6
    canvas.fakes.pop()
    assert set(masks(canvas)) == {"sky"}


def test_a_group_that_passes_through_has_a_mask(canvas: FakeCanvas) -> None:
    """Krita has none for it; its eraser takes from what lies below the group, too."""
    canvas.add("grass", WHOLE)
    inner = [Layer("p", "paint", WHOLE), Layer("e", "eraser", LEFT, blending="erase")]
    group = canvas.add("bricks", WHOLE, is_group=True, passes_through=True)
    read = canvas.alpha

    def alpha(layer_id: str, bounds: Bounds) -> bytes:
        if layer_id == group:
            return bytes(bounds.height * bounds.width)
        if layer_id in {"p", "e"}:
            return bytes(
                255 * (layer_id == "p" or x < LEFT.right)
                for _ in range(bounds.top, bounds.bottom)
                for x in range(bounds.left, bounds.right)
            )
        return read(layer_id, bounds)

    canvas.alpha = alpha
    canvas.change(group, children=tuple(reversed(inner)))
    found = masks(canvas)
    right = (bytes(15) + bytes([255]) * 15) * 20
    assert {name: mask for name, (_, mask) in found.items()} == {"bricks": right, "grass": right}


def test_soft_masks_are_multiplied_exactly(canvas: FakeCanvas) -> None:
    """Also in pieces of which only some are soft on both sides."""
    canvas.add("rocks", WHOLE, bytes((0, 0, 0, 100)))
    snow = canvas.add("snow", WHOLE, bytes((0, 0, 0, 200)), inherits_alpha=True)
    mask = seen_alpha(canvas, canvas.layers(), snow, WHOLE)
    assert set(mask) == {round(100 * 200 / 255)}
    assert masks(canvas)["snow"][1] == mask


def test_a_layer_of_its_own_is_read_as_it_is(canvas: FakeCanvas) -> None:
    """Once, whatever lies around."""
    canvas.add("grass", WHOLE)
    sky = canvas.add("sky", LEFT)
    canvas.reads = 0
    assert seen_alpha(canvas, canvas.layers(), sky, WHOLE) == canvas.alpha(sky, WHOLE)
    assert canvas.reads == 2
    assert reads_of(canvas.layers(), sky) == 1


def test_what_takes_many_reads_is_read_in_smaller_bands(canvas: FakeCanvas, monkeypatch) -> None:
    """Each of them takes as little time as one that is read once."""
    for number in range(6):
        canvas.add(f"rock {number}", WHOLE)
    snow = canvas.add("snow", WHOLE, inherits_alpha=True)
    canvas.add("gum", LEFT, blending="erase")
    layers = canvas.layers()
    assert reads_of(layers, snow) == 8
    assert reads_of(layers, layers[2].id) == 2
    assert reads_of((), snow) == 1
    monkeypatch.setattr("tapestry.document.bands.BAND_PX", 8 * 30 * 2)
    heights, read = [], canvas.alpha

    def alpha(layer_id: str, bounds: Bounds) -> bytes:
        heights.append(bounds.height if layer_id == snow else 0)
        return read(layer_id, bounds)

    canvas.alpha = alpha
    masks(canvas)
    assert max(heights) == 2
