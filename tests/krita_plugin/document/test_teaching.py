"""A document -> examples that a model is taught from."""

import dataclasses

import pytest

from tapestry.document.teaching import groups_of, order_to_teach
from tapestry.settings.settings import Settings
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Bounds, Pixels
from tests.krita_plugin.fake_canvas import FakeCanvas
from tests.krita_plugin.pieces import finish

WOOL = Settings(teach_word=" my wool ", teach_like="grass", teach_method="word", model="mine")


def test_each_layer_that_shows_is_an_example(canvas: FakeCanvas) -> None:
    """Its own paint, by itself; empty and hidden ones are none."""
    canvas.add("lawn", Bounds(10, 0, 15, 30))
    canvas.add("nothing", Bounds(0, 0, 0, 0))
    canvas.change(canvas.add("hidden", Bounds(0, 0, 4, 4)), visible=False)
    order = finish(order_to_teach(canvas, WOOL))
    teach = order.request.teach
    assert (order.request.task, order.request.model, order.layer_name) == (
        "teach",
        "mine",
        "my wool",
    )
    assert (teach.word, teach.like, teach.method) == ("my wool", "grass", "word")
    assert [example.height for example in teach.examples] == [5, 10, 10]
    assert set(order.blobs) == {example.sha256 for example in teach.examples}


def test_of_a_selection_only_that_part_counts(canvas: FakeCanvas) -> None:
    """And nothing selected is told of."""
    settings = dataclasses.replace(WOOL, teach_from="selection")
    with pytest.raises(TapestryError, match="Nothing is selected"):
        finish(order_to_teach(canvas, settings))


def test_what_was_learned_so_far_can_be_kept(canvas: FakeCanvas) -> None:
    """The same, for no minutes: so the backend finds what it has."""
    canvas.add("lawn", Bounds(10, 0, 15, 30))
    going, kept = (
        finish(order_to_teach(canvas, WOOL, keep=keep)).request.teach for keep in (False, True)
    )
    assert (going.minutes, kept.minutes) == (WOOL.teach_minutes, 0)
    assert dataclasses.replace(going, minutes=0.0) == kept


def test_favourites_of_the_history_are_examples(canvas: FakeCanvas) -> None:
    """Instead of layers."""
    pictures = [Pixels(8, 8, 4, bytes((shade, 0, 0, 255)) * 64) for shade in (1, 2)]
    settings = dataclasses.replace(WOOL, teach_from="history")
    order = finish(order_to_teach(canvas, settings, pictures))
    assert [e.sha256 for e in order.request.teach.examples] == [p.sha256 for p in pictures]


def test_a_document_without_groups_has_none_to_choose(canvas: FakeCanvas) -> None:
    """And one that went meanwhile is told of."""
    assert groups_of(canvas) == ()
    settings = dataclasses.replace(WOOL, teach_from="group", teach_group="gone")
    with pytest.raises(TapestryError, match="not there any more"):
        finish(order_to_teach(canvas, settings))


def test_one_layer_is_not_enough() -> None:
    """Before anything is sent."""
    canvas = FakeCanvas(20, 30)
    canvas.add("sky", Bounds(0, 0, 10, 30))
    with pytest.raises(TapestryError, match="One example is not enough"):
        finish(order_to_teach(canvas, WOOL))
