"""Masks and pictures in little."""

import pytest

from tapestry.document.samples import mask_sample, picture_sample
from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.fake_canvas import FakeCanvas
from tests.krita_plugin.pieces import finish


def test_thumbnails_show_thin_strokes() -> None:
    """A column that is one pixel wide is there in every row; it hides nothing."""
    canvas = FakeCanvas(64, 128)
    sample = finish(mask_sample(canvas, canvas.add("stroke", Bounds(0, 77, 64, 78))))
    small = sample.thumbnail
    assert (small.height, small.width, small.channels) == (32, 48, 1)
    rows = [small.data[start : start + 48] for start in range(0, len(small.data), 48)]
    assert all(row.count(255) == 1 and row.count(0) == 47 for row in rows)
    assert not any(sample.solid)


@pytest.mark.parametrize("size", [(1, 63), (63, 1), (1, 1), (5, 400), (400, 5)])
def test_samples_of_odd_canvases(size: tuple[int, int]) -> None:
    """Never larger than the canvas, never empty."""
    canvas = FakeCanvas(*size)
    sample = finish(mask_sample(canvas, canvas.layers()[0].id))
    assert 1 <= sample.thumbnail.height <= min(32, size[0])
    assert 1 <= sample.thumbnail.width <= min(48, size[1])
    assert set(sample.thumbnail.data) == set(sample.solid) == {255}
    picture = finish(picture_sample(canvas))
    assert 1 <= picture.height <= min(96, size[0])
    assert 1 <= picture.width <= min(96, size[1])


def test_the_picture_in_little_keeps_its_colours_in_place() -> None:
    """The left half red, the right half white."""
    canvas = FakeCanvas(100, 200)
    canvas.add("red", Bounds(0, 0, 100, 100), bytes((255, 0, 0, 255)))
    picture = finish(picture_sample(canvas))
    assert (picture.height, picture.width) == (48, 96)
    assert picture.data[:4] == bytes((255, 0, 0, 255))
    assert picture.data[95 * 4 : 96 * 4] == bytes((255, 255, 255, 255))
