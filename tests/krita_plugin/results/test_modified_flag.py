"""A layer that is no part of a document does not mark it as modified; all other changes do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tapestry.results.modified_flag import ModifiedFlagGuard
from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.fake_canvas import FakeCanvas
from tests.krita_plugin.fake_loop import FakeLoop
from tests.krita_plugin.pieces import finish

NAME = "preview"


class GuardSetup:
    """A saved document in which a layer of ours comes and goes."""

    def __init__(self, *, is_late: bool) -> None:
        self.loop, self.canvas = FakeLoop(), FakeCanvas(20, 30)
        self.canvas.late_marks = [] if is_late else None
        self.guard = ModifiedFlagGuard(self.loop, NAME)

    def insert(self) -> str:
        with self.guard.during(self.canvas):
            return finish(self.canvas.draft(NAME).insert())

    def remove(self, layer_id: str) -> None:
        with self.guard.during(self.canvas):
            self.canvas.remove(layer_id)

    def wait(self, seconds: float = 0.3) -> None:
        """Krita's loop turns, and then ours."""
        self.canvas.turn()
        self.loop.run(seconds)


@pytest.fixture(params=[False, True], ids=["at once", "late"])
def backend_controller(request: pytest.FixtureRequest) -> GuardSetup:
    """The mark is set at once, or in a later turn."""
    return GuardSetup(is_late=request.param)


def test_a_layer_comes_and_goes_without_a_mark(backend_controller: GuardSetup) -> None:
    """One after the other, and at once."""
    for pause in (backend_controller.wait, lambda: None):
        layer = backend_controller.insert()
        pause()
        backend_controller.remove(layer)
        backend_controller.wait()
        assert not backend_controller.canvas.is_modified


def test_a_document_that_is_marked_stays_it(backend_controller: GuardSetup) -> None:
    """It was modified before."""
    backend_controller.canvas.set_modified(on=True)
    backend_controller.remove(backend_controller.insert())
    backend_controller.wait()
    assert backend_controller.canvas.is_modified


@pytest.mark.parametrize(
    "change",
    [
        lambda canvas: canvas.step(),
        lambda canvas: canvas.add("sky", Bounds(0, 0, 2, 2)),
        lambda canvas: canvas.change(canvas.fakes[-1].layer.id, visible=False),
    ],
    ids=["painted", "layer added", "layer hidden"],
)
@pytest.mark.parametrize("moment", ["before the mark", "after the mark"])
def test_changes_of_the_artist_are_marked(
    backend_controller: GuardSetup, change: Callable[[FakeCanvas], None], moment: str
) -> None:
    """While the layer is there, and when it has gone."""
    layer = backend_controller.insert()
    if moment == "after the mark":
        backend_controller.wait()
    change(backend_controller.canvas)
    backend_controller.canvas.is_modified = True
    backend_controller.loop.run(0.3)
    backend_controller.remove(layer)
    backend_controller.wait()
    assert backend_controller.canvas.is_modified


def test_a_layer_that_becomes_part_of_the_document_is_marked(
    backend_controller: GuardSetup,
) -> None:
    """Also when Krita's own mark was taken back already."""
    backend_controller.insert()
    backend_controller.wait()
    backend_controller.guard.mark(backend_controller.canvas)
    backend_controller.wait(10)
    assert backend_controller.canvas.is_modified


def test_the_watch_ends(backend_controller: GuardSetup) -> None:
    """After some seconds, and when the document is closed."""
    backend_controller.insert()
    backend_controller.wait(10)
    backend_controller.canvas.set_modified(on=True)
    backend_controller.loop.run(10)
    assert backend_controller.canvas.is_modified
    backend_controller.canvas.set_modified(on=False)
    backend_controller.insert()
    backend_controller.canvas.is_open = False
    backend_controller.loop.run(10)


def test_a_layer_may_take_its_time(backend_controller: GuardSetup) -> None:
    """Krita adds it under a name of its own, and it gets ours a turn later."""
    with backend_controller.guard.during(backend_controller.canvas):
        layer = backend_controller.canvas.add("Paint Layer 1", Bounds(0, 0, 0, 0))
        backend_controller.canvas.is_modified = backend_controller.canvas.last_step_was_a_layer = (
            True
        )
        backend_controller.wait()
        backend_controller.canvas.rename(layer, NAME)
    backend_controller.wait()
    assert not backend_controller.canvas.is_modified
