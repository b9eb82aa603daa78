"""A document -> what the model as judge is asked, and what its answer says."""

import json

import pytest

from tapestry.document.judging import (
    Judgement,
    edge_pieces,
    judgements_of,
    order_to_judge,
    order_to_suggest,
    suggested,
)
from tapestry.settings.settings import Settings
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Bounds, Margins
from tests.krita_plugin.fake_canvas import FakeCanvas
from tests.krita_plugin.pieces import finish


def test_regions_are_compared_with_each_others_names(canvas: FakeCanvas) -> None:
    """In the picture as one sees it; an empty or hidden layer asks nothing."""
    canvas.add("nothing", Bounds(0, 0, 0, 0))
    hidden = canvas.add("lava", Bounds(0, 0, 4, 4))
    canvas.change(hidden, visible=False)
    order = finish(order_to_judge(canvas, Settings(model="mine")))
    request = order.request
    assert (request.task, request.names, request.model) == ("recognise", ("sky", "grass"), "mine")
    assert [region.prompt for region in request.regions] == ["sky", "grass"]
    assert order.judged == tuple(layer.id for layer in canvas.layers()[2:4])
    assert order.blobs[request.image.sha256] == canvas.flattened(Bounds(0, 0, 20, 30))


def test_a_document_without_regions_has_nothing_to_judge() -> None:
    """A sentence says what to do."""
    with pytest.raises(TapestryError, match="no region to look at") as raised:
        finish(order_to_judge(FakeCanvas(20, 30), Settings()))
    assert raised.value.advice


def test_edges_that_grow_are_looked_at_in_pieces(canvas: FakeCanvas) -> None:
    """Each name once, the latest first; blank ones are none."""
    settings = Settings(extend_right=16)
    order = finish(order_to_suggest(canvas, settings, 20, ["sky", " ", "grass, sky"]))
    request = order.request
    assert request.names == ("sky", "grass")
    assert [region.bounds for region in request.regions] == [
        Bounds(0, 20, 10, 30),
        Bounds(10, 20, 20, 30),
    ]
    assert {region.prompt for region in request.regions} == {""}
    assert order.judged == ()


def test_without_an_extension_no_edge_grows(canvas: FakeCanvas) -> None:
    """The artist is told."""
    with pytest.raises(TapestryError, match="is not extended"):
        finish(order_to_suggest(canvas, Settings(extend_right=0), 20, ["sky", "grass"]))


@pytest.mark.parametrize(
    ("margins", "pieces"),
    [
        (Margins(top=8), [Bounds(0, 0, 50, 50), Bounds(0, 50, 50, 100)]),
        (Margins(left=8), [Bounds(0, 0, 60, 50)]),
        (Margins(right=1, bottom=1), None),
    ],
)
def test_pieces_are_about_as_wide_as_high(margins: Margins, pieces: list[Bounds] | None) -> None:
    """All of them lie within the picture, and together along the edge."""
    found = edge_pieces(60, 100, margins, 50)
    assert pieces is None or found == pieces
    whole = Bounds(0, 0, 60, 100)
    assert all(piece.intersection(whole) == piece and not piece.is_empty for piece in found)


def test_a_long_edge_has_a_few_pieces() -> None:
    """A panorama of any width costs no more."""
    assert len(edge_pieces(64, 4000, Margins(top=1, bottom=1), 32)) == 8


def test_the_answer_is_read_with_care() -> None:
    """A report comes from another process."""
    said = [{"prompt": "sky", "names": ["sea", "sky"], "shows": False}, {"names": 3}, "x"]
    found = judgements_of(json.dumps({"recognised": said}))
    assert found[0] == Judgement("sky", ("sea", "sky"), shows=False)
    assert found[1:] == (Judgement("", (), shows=True),) * 2
    assert judgements_of("[1") == judgements_of("{}") == ()
    assert suggested([*found, *found, Judgement("", ("sand",), shows=True)]) == "sea, sand"
