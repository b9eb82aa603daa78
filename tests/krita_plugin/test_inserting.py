"""A finished picture -> its document."""

import pytest

from tapestry import reading
from tapestry.inserting import insertion
from tapestry.reading import own_layers
from tapestry.settings import SIDES, Settings
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tests.krita_plugin.fake_canvas import FakeCanvas, FakeHost
from tests.krita_plugin.test_reading import finish, order_from

RED = bytes((200, 0, 0, 255))


@pytest.fixture
def canvas() -> FakeCanvas:
    """A small document."""
    return FakeCanvas(20, 30)


def insert(host: FakeHost, canvas: FakeCanvas, margins: Margins | None, change=lambda canvas: None):
    """Order, let something happen to the document, then insert a red picture."""
    settings = Settings(prompt="sky")
    for side in SIDES:
        setattr(settings, f"extend_{side}", getattr(margins, side) if margins else 0)
    order = finish(order_from(canvas, settings, "extend" if margins else "generate"))
    m = margins or Margins()
    bounds = Bounds(-m.top, -m.left, 20 + m.bottom, 30 + m.right)
    change(canvas)
    red = Pixels(bounds.height, bounds.width, 4, RED * (bounds.height * bounds.width))
    return finish(insertion(host, canvas, order, red, bounds))


def test_a_picture_is_a_new_layer_on_top(canvas: FakeCanvas, monkeypatch) -> None:
    """Known as ours, whole, however many bands it takes."""
    monkeypatch.setattr(reading, "BAND_PX", 90)
    assert insert(FakeHost(canvas), canvas, None) is None
    assert canvas.names == ["Tapestry: sky (seed 42)", "Background"]
    assert canvas.flattened(Bounds(0, 0, 20, 30)) == RED * 600
    assert own_layers(canvas) == {canvas.fakes[0].layer.id}


def test_an_extension_grows_the_canvas_and_fills_it(canvas: FakeCanvas) -> None:
    """The old layers move along, the new one begins at the new corner."""
    old = canvas.fakes[0].data
    assert insert(FakeHost(canvas), canvas, Margins(top=4, left=8)) is None
    assert (canvas.height, canvas.width) == (24, 38)
    assert canvas.fakes[0].bounds == Bounds(0, 0, 24, 38)
    assert canvas.fakes[1].bounds == Bounds(4, 8, 24, 38)
    assert canvas.fakes[1].data == old


@pytest.mark.parametrize("margins", [None, Margins(left=8)])
def test_a_document_of_another_size_gets_the_layer_and_a_sentence(canvas, margins) -> None:
    """It is not grown: nobody knows where the old picture is now."""
    finding = insert(FakeHost(canvas), canvas, margins, lambda canvas: canvas.grow(Margins(top=1)))
    assert "size has changed" in finding.message
    assert (canvas.height, canvas.width) == (21, 30)
    assert canvas.fakes[0].bounds.left == (-8 if margins else 0)


@pytest.mark.parametrize("margins", [None, Margins(left=8)])
def test_a_closed_document_loses_no_picture(canvas: FakeCanvas, margins) -> None:
    """It goes to a new document, an extension together with the old picture."""
    host = FakeHost(canvas)
    finding = insert(host, canvas, margins, lambda canvas: setattr(canvas, "is_open", False))
    assert "was closed" in finding.message
    new = host.active_canvas()
    assert (new.height, new.width) == (20, 38 if margins else 30)
    assert new.fakes[0].layer.name.startswith("Tapestry: sky")
    if margins:
        assert new.fakes[1].bounds == Bounds(0, 8, 20, 38)


def test_a_picture_of_a_part_lies_where_the_part_is(canvas: FakeCanvas) -> None:
    """A selection is painted without the rest of its document."""
    canvas.selection_mask = (Bounds(8, 10, 12, 14), bytes(16))
    order = finish(order_from(canvas, Settings(context_px=1, feather_px=0), "refine"))
    picture = Pixels(6, 6, 4, RED * 36)
    assert finish(insertion(FakeHost(canvas), canvas, order, picture, Bounds(0, 0, 6, 6))) is None
    assert canvas.layers()[0].bounds == Bounds(7, 9, 13, 15)
