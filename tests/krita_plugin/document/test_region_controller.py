"""What the artist does to regions from the docker."""

import pytest

from tapestry.document.region_controller import RegionController
from tapestry.document.region_overlay import COLORS, OVERLAY_NAME
from tapestry.document.region_settings import RegionSettings
from tapestry.document.scene_watcher import SceneWatcher
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.fake_canvas import FakeCanvas, FakeHost
from tests.krita_plugin.fake_loop import FakeLoop


class RegionSetup:
    """A document with a region, its watch, and the controller."""

    def __init__(self) -> None:
        self.canvas = FakeCanvas(20, 30)
        self.sky = self.canvas.add("sky", Bounds(0, 0, 10, 30))
        self.host, self.loop, self.failures = FakeHost(self.canvas), FakeLoop(), []
        self.watch = SceneWatcher(
            self.host, self.loop, lambda: None, lambda _: None, self.failures.append
        )
        self.controller = RegionController(self.host, self.loop, self.watch, self.failures.append)
        self.look()

    def look(self) -> None:
        self.loop.run()
        self.watch.look()
        self.loop.run()


@pytest.fixture
def at() -> RegionSetup:
    """A controller at rest."""
    return RegionSetup()


def test_settings_are_kept_with_the_document(at: RegionSetup) -> None:
    """And are what the watch sees; the layer's name stays a clean prompt."""
    assert at.controller.settings(at.sky) == RegionSettings()
    at.controller.set(at.sky, fit="loose", weight=2.0)
    at.controller.set(at.sky, on=False)
    at.look()
    assert at.controller.settings(at.sky) == RegionSettings(on=False, fit="loose", weight=2.0)
    assert at.canvas.names == ["sky", "Background"]
    assert "loose" in at.canvas.notes["tapestry_regions"]


def test_a_prompt_that_is_edited_renames_the_layer(at: RegionSetup) -> None:
    """And its settings stay its own."""
    at.controller.set(at.sky, weight=2.0)
    at.controller.rename(at.sky, "night sky")
    at.look()
    assert [row.prompt for row in at.watch.scene.rows] == ["night sky"]
    copy = at.canvas.add("night sky", Bounds(0, 0, 5, 5))
    at.look()
    assert at.controller.settings(copy).weight == 2.0


def test_a_row_makes_its_layer_the_active_one(at: RegionSetup) -> None:
    """As a click in Krita's own list does."""
    at.controller.activate(at.sky)
    at.look()
    assert at.canvas.active == at.watch.active == at.sky


def test_a_new_region_is_ready_to_be_painted(at: RegionSetup) -> None:
    """Active, without a name, the brush in its colour; one, however often it was asked for."""
    at.controller.new_region()
    at.controller.new_region()
    assert at.controller.take_begun([at.sky]) == ""
    at.look()
    made = at.canvas.active
    assert at.canvas.names == ["", "sky", "Background"]
    assert at.controller.take_begun([at.sky]) == ""
    assert at.controller.take_begun([at.sky, made]) == made
    assert at.controller.take_begun([at.sky, made]) == ""
    assert at.canvas.brush == COLORS[1]
    assert at.watch.badges[made] == "empty"


def test_regions_are_shown_and_hidden(at: RegionSetup) -> None:
    """One press tints the canvas, the next takes the layer away."""
    at.canvas.activate(at.sky)
    at.controller.toggle_overlay()
    at.look()
    assert at.canvas.names[0] == OVERLAY_NAME
    at.canvas.active = at.canvas.fakes[0].layer.id
    at.loop.run(1)
    assert at.canvas.active == at.sky
    assert at.watch.has_overlay
    at.controller.toggle_overlay()
    at.look()
    assert at.canvas.names == ["sky", "Background"]
    assert not at.watch.has_overlay


def test_the_layers_of_a_group_can_be_all_that_count(at: RegionSetup) -> None:
    """And all layers again."""
    child = at.canvas.fakes[0].layer
    group = at.canvas.add("wood", Bounds(0, 0, 5, 5), is_group=True, children=(child,))
    at.look()
    at.controller.choose_group(group)
    at.look()
    assert (at.watch.scene.group, len(at.watch.scene.rows)) == (group, 1)
    at.controller.choose_group("")
    at.look()
    assert (at.watch.scene.group, len(at.watch.scene.rows)) == ("", 2)


def test_without_a_document_nothing_happens(at: RegionSetup) -> None:
    """And a document that closes on the way is no error."""
    at.canvas.is_open = False
    at.controller.set(at.sky, on=False)
    at.controller.rename(at.sky, "x")
    at.controller.activate(at.sky)
    at.controller.choose_group("x")
    at.controller.toggle_overlay()
    at.controller.new_region()
    assert at.failures == []


def test_errors_of_the_document_are_reported(at: RegionSetup, monkeypatch) -> None:
    """Nothing is raised into Krita, neither at once nor in a later turn."""
    monkeypatch.setattr(at.canvas, "draft", lambda _name: 1 / 0)
    at.controller.toggle_overlay()
    at.loop.run()
    monkeypatch.setattr(at.canvas, "rename", lambda *_: 1 / 0)
    at.controller.rename(at.sky, "x")
    assert [type(error) for error in at.failures] == [ZeroDivisionError] * 2
    at.controller.new_region()
    at.canvas.is_open = False
    at.loop.run()
    assert isinstance(at.failures[-1], TapestryError)
    at.canvas.is_open = True
    at.controller.toggle_overlay()
    at.controller.new_region()
    at.controller.close()
    at.loop.run()
    assert len(at.failures) == 3
