"""The canvas in the colours of its regions."""

from tapestry.document.layers import read_scene
from tapestry.document.reading import scene_of
from tapestry.document.region_overlay import (
    OVERLAY_NAME,
    color_of,
    insert_region_overlay,
    overlay_layers,
)
from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.fake_canvas import FakeCanvas
from tests.krita_plugin.pieces import finish


def test_upper_regions_hide_lower_ones(monkeypatch) -> None:
    """Each pixel has the colour of the region that is painted there, in however many bands."""
    monkeypatch.setattr("tapestry.document.bands.BAND_PX", 40)
    canvas = FakeCanvas(20, 30)
    canvas.add("sky", Bounds(0, 0, 10, 30))
    canvas.add("moon", Bounds(5, 5, 8, 8))
    canvas.add("hidden", Bounds(0, 0, 20, 30), visible=False)
    rows = finish(scene_of(canvas)).rows
    finish(insert_region_overlay(canvas, rows))
    shown = canvas.fakes[0]
    assert shown.layer.name == OVERLAY_NAME
    assert tuple(shown.pixel(6, 6)[:3]) == color_of(1)
    assert tuple(shown.pixel(6, 9)[:3]) == color_of(2)
    assert shown.pixel(15, 15) == bytes(4)


def test_the_layer_is_known_again_and_is_no_region() -> None:
    """Also where it was saved with its document."""
    canvas = FakeCanvas(20, 30)
    canvas.add("sky", Bounds(0, 0, 10, 30))
    made = finish(insert_region_overlay(canvas, finish(scene_of(canvas)).rows))
    assert overlay_layers(canvas.layers()) == [made]
    assert [r.prompt for r in read_scene(canvas.layers(), frozenset(), None).rows] == ["sky"]
