"""Which other pictures a model is shown while it follows an instruction."""

from typing import Any

import pytest

from tapestry.document.order import Order
from tapestry.document.reading import order_from
from tapestry.settings.settings import Settings
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.limits import MAX_REFERENCES
from tapestry_protocol.pixels import Bounds, Pixels, PixelsRef
from tests.krita_plugin.fake_canvas import FakeCanvas
from tests.krita_plugin.pieces import finish

RED = bytes((200, 30, 20, 255))


@pytest.fixture
def canvas() -> FakeCanvas:
    """A filled background, and a hidden layer that lies half beside the canvas."""
    canvas = FakeCanvas(20, 30)
    canvas.add("Background", Bounds(0, 0, 20, 30))
    canvas.set_visible(canvas.add("wool", Bounds(10, 20, 26, 44), RED), on=False)
    return canvas


def order(canvas: FakeCanvas, favourites: Any = (), **fields: Any) -> Order:
    """What is asked for with these settings."""
    told = {"edit_method": "instruct", "edit_instruction": "make it of this", **fields}
    return finish(order_from(canvas, Settings(**told), "edit", favourites=favourites))


def test_none_is_shown_but_for_what_is_chosen(canvas: FakeCanvas) -> None:
    """As it begins."""
    assert order(canvas).request.edit.references == ()


def test_a_layer_is_shown_wherever_it_lies(canvas: FakeCanvas) -> None:
    """All of it, hidden or not."""
    asked = order(canvas, edit_reference_from="layer", edit_reference="wool")
    (reference,) = asked.request.edit.references

    assert (reference.height, reference.width) == (16, 24)
    assert asked.blobs[reference.sha256] == RED * 16 * 24


def test_favourites_are_shown(canvas: FakeCanvas) -> None:
    """In their order; too many are told of."""
    pictures = [Pixels(2, 3, 4, bytes((number,)) * 24) for number in range(MAX_REFERENCES + 1)]
    asked = order(canvas, pictures[:2], edit_reference_from="favourites")
    assert asked.request.edit.references == tuple(map(PixelsRef.of, pictures[:2]))
    assert asked.blobs[pictures[1].sha256] == pictures[1].data
    with pytest.raises(TapestryError, match="too many references"):
        order(canvas, pictures, edit_reference_from="favourites")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"edit_reference_from": "layer", "edit_reference": "silk"}, "“silk”.*not here"),
        ({"edit_reference_from": "layer", "edit_reference": "nothing"}, "“nothing”.*is empty"),
        ({"edit_reference_from": "favourites"}, "no favourites"),
        ({"edit_picture_shown": "none"}, "no picture at all"),
    ],
)
def test_what_is_not_there_gets_a_sentence(
    canvas: FakeCanvas, fields: dict[str, str], sentence: str
) -> None:
    """Before anything is sent."""
    canvas.add("nothing", Bounds(0, 0, 0, 0))
    with pytest.raises(TapestryError, match=sentence):
        order(canvas, **fields)


def test_other_ways_to_edit_are_shown_none(canvas: FakeCanvas) -> None:
    """Whatever is chosen for instructions."""
    asked = order(
        canvas,
        edit_method="diffedit",
        edit_from="snow",
        edit_to="lava",
        edit_reference_from="layer",
        edit_reference="wool",
    )

    assert asked.request.edit.references == ()
