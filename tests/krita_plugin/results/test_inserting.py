"""A finished picture -> its document, and out of it again."""

from dataclasses import replace

import pytest

from tapestry.common.task_queue import run_on
from tapestry.document.reading import own_layers
from tapestry.results.inserting import (
    Cut,
    FinishedPicture,
    InsertAs,
    LayerGroup,
    OwnLayer,
    insertion,
    insertion_into_new_document,
    scaled_down,
    take_back_size,
)
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import NO_MARGINS, Bounds, Margins, Pixels
from tests.krita_plugin.fake_canvas import FakeCanvas, FakeHost
from tests.krita_plugin.pieces import finish

RED, CLEAR = bytes((200, 0, 0, 255)), bytes(4)
GREEN, BLUE = bytes((0, 200, 0, 255)), bytes((0, 0, 200, 255))
NAME = "Tapestry: sky (seed 42)"


@pytest.fixture
def canvas() -> FakeCanvas:
    """A small document."""
    return FakeCanvas(20, 30)


def picture(margins: Margins = NO_MARGINS, **fields: object) -> FinishedPicture:
    """A red picture of the whole, extended document."""
    m = margins
    bounds = Bounds(-m.top, -m.left, 20 + m.bottom, 30 + m.right)
    red = Pixels(bounds.height, bounds.width, 4, RED * (bounds.height * bounds.width))
    return replace(FinishedPicture(NAME, red, bounds, (20, 30), margins), **fields)


def insert(canvas: FakeCanvas, wanted: FinishedPicture, way: InsertAs = "layer"):
    """All of it in one go."""
    return finish(insertion(canvas, wanted, way))


def test_a_picture_is_a_new_layer_on_top(canvas: FakeCanvas, monkeypatch) -> None:
    """Known as ours, whole, however many bands it takes."""
    monkeypatch.setattr("tapestry.document.bands.BAND_PX", 90)
    inserted = insert(canvas, picture())
    assert inserted.finding is None
    assert canvas.names == [NAME, "Background"]
    assert canvas.flattened(Bounds(0, 0, 20, 30)) == RED * 600
    assert own_layers(canvas) == {canvas.fakes[0].layer.id} == set(inserted.layers)


def test_a_picture_lies_above_what_it_was_made_from(canvas: FakeCanvas) -> None:
    """And above earlier pictures, but below what the artist keeps on top."""
    sky = canvas.add("sky", Bounds(0, 0, 10, 30))
    canvas.add("Tapestry: earlier (seed 1)", Bounds(0, 0, 20, 30))
    canvas.add("outlines", Bounds(0, 0, 20, 30))
    insert(canvas, picture(sources=(sky,)))
    assert canvas.names[:3] == ["outlines", NAME, "Tapestry: earlier (seed 1)"]


def test_an_extension_grows_the_canvas_and_fills_it(canvas: FakeCanvas) -> None:
    """The old layers move along, the new one begins at the new corner."""
    old = canvas.fakes[0].data
    inserted = insert(canvas, picture(Margins(top=4, left=8)))
    assert (canvas.height, canvas.width) == (24, 38)
    assert canvas.fakes[0].bounds == Bounds(0, 0, 24, 38)
    assert canvas.fakes[1].bounds == Bounds(4, 8, 24, 38)
    assert canvas.fakes[1].data == old
    assert inserted.grown == Margins(top=4, left=8)


def test_another_picture_of_the_same_extension_takes_the_same_place(canvas: FakeCanvas) -> None:
    """The canvas has grown already."""
    insert(canvas, picture(Margins(left=8)))
    again = insert(canvas, picture(Margins(left=8)))
    assert (canvas.width, again.grown) == (38, NO_MARGINS)
    assert canvas.fakes[0].bounds == canvas.fakes[1].bounds == Bounds(0, 0, 20, 38)


def test_an_extension_is_taken_back_as_a_whole(canvas: FakeCanvas) -> None:
    """Layer and size."""
    before = (canvas.height, canvas.width, canvas.fakes[0].bounds)
    inserted = insert(canvas, picture(Margins(top=4, left=8)))
    canvas.remove(inserted.layers[0])
    assert take_back_size(canvas, inserted.grown, (20, 30))
    assert take_back_size(canvas, inserted.grown, (20, 30))
    assert (canvas.height, canvas.width, canvas.fakes[0].bounds) == before
    assert canvas.names == ["Background"]


def test_a_canvas_that_was_resized_since_keeps_its_size(canvas: FakeCanvas) -> None:
    """What it should be is unknown."""
    inserted = insert(canvas, picture(Margins(left=8)))
    canvas.grow(Margins(top=1))
    assert not take_back_size(canvas, inserted.grown, (20, 30))
    assert (canvas.height, canvas.width) == (21, 38)


WHOLE = Bounds(0, 0, 20, 30)


def larger(part: Bounds = WHOLE) -> FinishedPicture:
    """A red picture of a part of the document, twice as large."""
    height, width = part.height * 2, part.width * 2
    red = Pixels(height, width, 4, RED * (height * width))
    bounds = Bounds(0, 0, height, width).moved(part.top, part.left)
    return picture(pixels=red, bounds=bounds, enlarged_from=part)


def place_of(canvas: FakeCanvas, layer_id: str) -> Bounds:
    """Where a layer lies now."""
    return next(layer.bounds for layer in canvas.layers() if layer.id == layer_id)


def test_a_document_grows_as_a_whole_for_a_larger_picture(canvas: FakeCanvas) -> None:
    """All layers with it; what is drawn before is waited for."""
    sea = canvas.add("sea", Bounds(10, 5, 20, 30))
    canvas.unsettled = 3
    inserted = insert(canvas, larger())
    assert (canvas.height, canvas.width) == (40, 60)
    assert canvas.names == [NAME, "sea", "Background"]
    assert place_of(canvas, sea) == Bounds(20, 10, 40, 60)
    assert canvas.flattened(Bounds(0, 0, 40, 60)) == RED * 2400
    assert inserted.finding is None
    again = insert(canvas, larger())
    assert again.grown == NO_MARGINS
    assert (canvas.height, canvas.width, canvas.fakes[0].bounds.width) == (40, 60, 60)
    assert take_back_size(canvas, inserted.grown, (20, 30), is_scaled=True)
    assert (canvas.height, canvas.width) == (20, 30)
    assert place_of(canvas, sea) == Bounds(10, 5, 20, 30)


def test_a_larger_picture_is_seen_where_it_was_made_from(canvas: FakeCanvas) -> None:
    """Until its document has grown."""
    whole, part = larger(), larger(Bounds(2, 3, 12, 13))
    assert whole.bounds_in(canvas) == Bounds(0, 0, 20, 30)
    assert part.bounds_in(canvas) == Bounds(2, 3, 12, 13)
    canvas.scale(40, 60)
    assert whole.bounds_in(canvas) == Bounds(0, 0, 40, 60)


@pytest.mark.parametrize("margins", [NO_MARGINS, Margins(left=8)])
def test_a_document_of_another_size_gets_the_layer_and_a_sentence(canvas, margins) -> None:
    """It is not grown: where the old picture is now is unknown."""
    canvas.grow(Margins(top=1))
    inserted = insert(canvas, picture(margins))
    assert "size has changed" in inserted.finding.message
    assert (canvas.height, canvas.width) == (21, 30)
    assert canvas.fakes[0].bounds.left == -margins.left


def test_regions_become_layers_cut_by_their_masks(canvas: FakeCanvas) -> None:
    """In a group of ours, with everything else below; soft masks and clear pixels count."""
    data = RED * 300 + CLEAR * 300
    soft = Pixels(20, 3, 1, bytes((255, 128, 0)) * 20)
    cut = Cut("sun", Bounds(0, 2, 20, 5), soft)
    inserted = insert(canvas, picture(pixels=Pixels(20, 30, 4, data), cuts=[cut]), "regions")
    assert canvas.names == [NAME, "Background"]
    sun, rest = canvas.inner
    assert (sun.layer.name, rest.layer.name) == ("Tapestry: sun", "Tapestry: everything else")
    assert [sun.pixel(0, x)[3] for x in (2, 3, 4)] == [255, 128, 0]
    assert [sun.pixel(19, x)[3] for x in (2, 3, 4)] == [0, 0, 0]
    assert rest.data == data
    assert own_layers(canvas) == set(inserted.layers)
    assert len(inserted.layers) == 3
    assert "cut from the finished picture" in inserted.finding.message


def test_regions_with_their_own_pictures_lie_under_masks(canvas: FakeCanvas, monkeypatch) -> None:
    """In bands; where an extension has moved the document, they move along."""
    monkeypatch.setattr("tapestry.document.bands.BAND_PX", 30)
    whole = picture(Margins(left=8))
    own = Pixels(5, 6, 4, BLUE * 30)
    layer = OwnLayer("sun", Bounds(2, -8, 7, -2), own, Pixels(5, 6, 1, bytes((255, 255, 0) * 10)))
    group = LayerGroup(replace(whole.pixels, data=GREEN * (20 * 38)), [layer])
    inserted = insert(canvas, replace(whole, group=group), "regions")
    assert (inserted.finding, len(inserted.layers)) == (None, 3)
    assert own_layers(canvas) == set(inserted.layers)
    assert canvas.flattened(Bounds(2, 0, 3, 8)) == BLUE * 2 + GREEN + BLUE * 2 + GREEN * 3
    assert canvas.flattened(Bounds(7, 0, 8, 8)) == GREEN * 8
    assert canvas.inner[0].data == own.data, "what does not show is there"


def test_half_clear_pixels_are_cut_as_well(canvas: FakeCanvas) -> None:
    """Both alphas are multiplied."""
    half = Pixels(20, 30, 4, bytes((9, 9, 9, 128)) * 600)
    cut = Cut("sun", Bounds(0, 0, 20, 30), Pixels(20, 30, 1, bytes((128,)) * 600))
    insert(canvas, picture(pixels=half, cuts=[cut]), "regions")
    assert canvas.inner[0].pixel(0, 0)[3] == 64


def test_a_picture_goes_into_the_active_layer_and_out_of_it(canvas: FakeCanvas) -> None:
    """The layer keeps its name; what it was comes back."""
    canvas.active = canvas.add("sky", Bounds(0, 0, 10, 30))
    old = canvas.fakes[0]
    inserted = insert(canvas, picture(), "active")
    assert canvas.names == ["sky", "Background"]
    assert canvas.flattened(Bounds(15, 0, 16, 30)) == RED * 30
    inserted.take_back()
    assert canvas.fakes[0] is old


def test_an_active_layer_that_takes_no_paint_is_a_sentence(canvas: FakeCanvas) -> None:
    """A group, for example."""
    canvas.active = canvas.add("trees", Bounds(0, 0, 10, 30), is_group=True)
    with pytest.raises(TapestryError, match="active layer"):
        insert(canvas, picture(), "active")


def test_an_active_layer_that_goes_meanwhile_is_a_sentence(canvas: FakeCanvas) -> None:
    """Nothing of the picture stays."""
    canvas.active = canvas.add("sky", Bounds(0, 0, 10, 30))
    work = insertion(canvas, picture(), "active")
    while canvas.names != [NAME, "sky", "Background"]:
        run_on(work)
    canvas.remove(canvas.active)
    with pytest.raises(TapestryError, match="active layer"):
        finish(work)
    assert canvas.names == ["Background"]


@pytest.mark.parametrize("way", ["layer", "regions", "active"])
def test_layers_are_empty_when_they_come(canvas: FakeCanvas, way: InsertAs) -> None:
    """Krita would wait for itself to draw them; and nothing is added while it draws."""
    canvas.active = canvas.add("sky", Bounds(0, 0, 10, 30))
    canvas.unsettled = 5
    cut = Cut("sun", Bounds(0, 2, 20, 5), Pixels(20, 3, 1, bytes((255, 128, 0)) * 20))
    work = insertion(canvas, picture(cuts=[cut]), way)
    while len(canvas.layers()) == 2:
        run_on(work)
    new = canvas.layers()[0]
    assert all(layer.bounds.is_empty for layer in new.children or (new,))
    assert canvas.unsettled == 0
    finish(work)


@pytest.mark.parametrize("margins", [NO_MARGINS, Margins(left=8)])
def test_a_closed_document_loses_no_picture(margins: Margins) -> None:
    """It goes to a new document, an extension together with the old picture."""
    host = FakeHost()
    old = Pixels(20, 30, 4, RED * 600) if margins.left else None
    inserted = finish(insertion_into_new_document(host, picture(margins, old=old)))
    assert "not open" in inserted.finding.message
    new = host.active_canvas()
    assert (new.height, new.width) == (20, 38 if margins.left else 30)
    assert new.names[0] == NAME
    if margins.left:
        assert new.fakes[1].bounds == Bounds(0, 8, 20, 38)


@pytest.mark.parametrize(("height", "width"), [(1, 400), (300, 200), (7, 5), (2000, 3)])
def test_a_small_copy_keeps_the_shape(height: int, width: int) -> None:
    """It is never larger, and never nothing."""
    pixels = Pixels(height, width, 4, RED * (height * width))
    small = finish(scaled_down(FakeHost(), pixels, 96))
    assert small.data == RED * (small.height * small.width)
    assert max(small.height, small.width) == min(96, max(height, width))
