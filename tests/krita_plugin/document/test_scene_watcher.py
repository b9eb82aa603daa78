"""The list of regions follows the document."""

import pytest

from tapestry.document.scene_watcher import SceneWatcher
from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.fake_canvas import FakeCanvas, FakeHost
from tests.krita_plugin.fake_loop import FakeLoop


class Watch:
    """A watcher, and its calls."""

    def __init__(self) -> None:
        self.canvas = FakeCanvas(20, 30)
        self.host, self.loop = FakeHost(self.canvas), FakeLoop()
        self.changes, self.thumbnails, self.failures = [], [], []
        self.watch = SceneWatcher(
            self.host,
            self.loop,
            scene_changed=lambda: self.changes.append(self.prompts),
            thumbnail_changed=self.thumbnails.append,
            failed=self.failures.append,
        )

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.watch.look()
            self.loop.run()

    @property
    def prompts(self) -> list[str]:
        return [region.prompt for region in self.watch.scene.regions]


@pytest.fixture
def seen() -> Watch:
    """A watch that has not looked yet."""
    return Watch()


def test_layers_that_come_and_go_are_told_once(seen: Watch) -> None:
    """No listener is called while nothing changes."""
    seen.look(3)
    assert seen.changes == [[]]
    layer = seen.canvas.add("sky", Bounds(0, 0, 5, 5))
    seen.look(3)
    seen.canvas.change(layer, name="night sky")
    seen.look(3)
    seen.canvas.change(layer, visible=False)
    seen.look(3)
    assert seen.changes == [[], ["sky"], ["night sky"], []]
    assert seen.failures == []


def test_the_watcher_rests_while_a_picture_is_inserted(seen: Watch) -> None:
    """Also in the middle of reading; the next look sees everything."""
    seen.look()
    seen.canvas.add("sky", Bounds(0, 0, 5, 5))
    seen.watch.look()
    seen.watch.rest()
    seen.loop.run()
    seen.look(3)
    assert seen.changes == [[]]
    seen.watch.wake()
    seen.look()
    assert seen.changes == [[], ["sky"]]


def test_krita_may_turn_its_loop_while_it_is_asked(seen: Watch, monkeypatch) -> None:
    """A look in the middle of a look does nothing; a rest that begins there is kept."""
    asked, then = [], [seen.watch.look, seen.watch.rest]

    def turning() -> str:
        asked.append("active layer")
        then.pop(0)()
        return ""

    monkeypatch.setattr(seen.canvas, "active_layer", turning)
    seen.canvas.add("sky", Bounds(0, 0, 5, 5))
    seen.look()
    assert (len(asked), seen.changes) == (1, [["sky"]])
    seen.canvas.add("moon", Bounds(0, 0, 5, 5))
    seen.look()
    assert (len(asked), seen.changes) == (2, [["sky"]])
    assert seen.failures == []


def test_a_hint_when_there_are_no_regions(seen: Watch) -> None:
    """What to do, in a sentence; and another one without a document."""
    assert seen.watch.scene.remarks == ("No document is open.",)
    seen.look()
    assert "paint on a layer" in seen.watch.scene.remarks[-1]
    seen.canvas.is_open = False
    seen.look(2)
    assert seen.watch.scene.remarks == ("No document is open.",)
    assert not seen.watch.has_document


def test_another_document_is_another_list(seen: Watch) -> None:
    """Also when its layers have the same names."""
    seen.canvas.add("sky", Bounds(0, 0, 5, 5))
    seen.look()
    other = FakeCanvas(20, 30)
    other.add("sky", Bounds(0, 0, 5, 5))
    seen.host.canvases.append(other)
    seen.look()
    assert len(seen.changes) == 2
    assert seen.watch.scene.regions[0].id == other.fakes[0].layer.id


def test_thumbnails_come_with_the_next_look_and_follow_the_paint(seen: Watch) -> None:
    """Then each look renews one: paint that does not change the tree shows all the same."""
    first = seen.canvas.add("sky", Bounds(0, 0, 20, 30))
    second = seen.canvas.add("grass", Bounds(0, 0, 20, 30))
    seen.look(2)
    assert seen.thumbnails == [second, first, ""]
    seen.look(4)
    assert len(seen.thumbnails) == 3
    seen.canvas.fakes[0].data = bytes(20 * 30 * 4)
    seen.look(2)
    assert seen.thumbnails[3:] == [second]
    assert set(seen.watch.thumbnail(second).data) == {0}


def test_thumbnails_of_layers_that_are_gone_are_let_go(seen: Watch) -> None:
    """A long session leaks nothing."""
    seen.canvas.add("sky", Bounds(0, 0, 5, 5))
    seen.look(2)
    layer = seen.canvas.layers()[0].id
    assert seen.watch.thumbnail(layer) is not None
    seen.canvas.fakes.pop(0)
    seen.look()
    assert seen.watch.thumbnail(layer) is None


def test_the_active_layer_and_the_size_are_followed(seen: Watch) -> None:
    """The row of the layer that the artist works on is marked."""
    layer = seen.canvas.add("sky", Bounds(0, 0, 5, 5))
    seen.look(2)
    assert (seen.watch.active, seen.watch.size) == ("", (20, 30))
    seen.canvas.activate(layer)
    seen.look()
    assert seen.watch.active == layer
    assert len(seen.changes) == 2


def test_badges_come_with_the_masks(seen: Watch) -> None:
    """And are gone when their reason is."""
    under = seen.canvas.add("under", Bounds(0, 0, 5, 5))
    over = seen.canvas.add("over", Bounds(0, 0, 20, 30))
    seen.look(2)
    assert seen.watch.badges == {over: "", under: "covered"}
    seen.canvas.change(over, visible=False)
    seen.look()
    assert seen.watch.badges == {over: "hidden", under: ""}


def test_the_picture_in_little_follows_what_is_painted(seen: Watch) -> None:
    """Some looks later; it is let go with its document."""
    seen.look(2)
    assert set(seen.watch.picture.data) == {255}
    seen.canvas.fakes[0].data = bytes((9, 9, 9, 255)) * 600
    seen.look(4)
    assert seen.watch.picture.data[:4] == bytes((9, 9, 9, 255))
    seen.canvas.is_open = False
    seen.look()
    assert seen.watch.picture is None


def test_a_document_that_closes_while_it_is_looked_at(seen: Watch) -> None:
    """Is no news; the next look sees that it is gone."""
    seen.canvas.add("sky", Bounds(0, 0, 5, 5))
    seen.watch.look()
    seen.canvas.is_open = False
    seen.loop.run()
    seen.look()
    assert seen.watch.scene.remarks == ("No document is open.",)
    assert seen.failures == []


def test_a_stopped_watch_does_no_more(seen: Watch) -> None:
    """Krita ends."""
    seen.watch.look()
    seen.watch.stop()
    seen.loop.run()
    assert seen.changes == []


def test_the_watcher_rests_until_the_last_task_is_done(seen: Watch) -> None:
    """Two may read or change the document at once."""
    seen.look()
    seen.canvas.add("sky", Bounds(0, 0, 5, 5))
    with seen.watch.resting():
        with seen.watch.resting():
            pass
        assert seen.watch.is_resting
        seen.look(3)
        assert seen.changes == [[]]
    seen.look()
    assert seen.changes == [[], ["sky"]]
    seen.watch.wake()  # once more than it rests
    seen.watch.rest()
    assert seen.watch.is_resting
