"""A canvas before painting: regions' shares, what is preserved of a picture, its small copy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tapestry_backend.engine.layers import make_layers
from tapestry_backend.engine.windows import Size
from tapestry_backend.tasks.canvas_source import read_canvas_source
from tapestry_backend.tasks.plan import make_plan
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels


def read(request: Request, scene, model):
    """The reading of a request."""
    return read_canvas_source(request, scene.blobs, make_plan(request, model))


def coloured(height: int, width: int, colour: tuple[int, int, int, int]) -> Pixels:
    """A picture of one colour."""
    return Pixels(height, width, 4, bytes(colour) * (height * width))


def test_an_empty_canvas_holds_nothing(model, scene) -> None:
    """Without a picture everything is free, everywhere, and all of the result is new."""
    reading = read(Request("generate", 200, 300, prompt="x"), scene, model)

    assert reading.source.pixels is None
    assert float(reading.source.preserve_cells_until.max()) == 0
    assert reading.new is None
    assert not reading.notices


def test_a_loose_region_keeps_to_its_own_paint_as_long_as_it_should(model, scene) -> None:
    """Strength 0 keeps it to the end, 1 ignores it; the upper one of two decides."""
    red = scene.add(coloured(64, 64, (255, 0, 0, 255)))
    base = replace(scene.region("snow", Bounds(0, 0, 64, 64)), fit="loose")
    regions = (
        replace(base, paint=red, strength=0.25),
        replace(scene.region("lava", Bounds(0, 0, 64, 128)), strength=1.0),
    )
    source = read(Request("generate", 128, 128, regions=regions), scene, model).source

    assert source.preserve_cells_until[0, 0] == pytest.approx(0.75)
    assert float(source.preserve_cells_until[:, 8:].max()) == 0
    torch.testing.assert_close(source.pixels[0, :, 10, 10], torch.tensor([1.0, 0.0, 0.0]))
    over = read(Request("generate", 128, 128, regions=regions[::-1]), scene, model).source
    assert float(over.preserve_cells_until[0, 0]) == pytest.approx(0.75)


def test_a_tight_region_keeps_to_its_paint_by_itself(model, scene) -> None:
    """Nothing of it is known to others, whatever lies above it."""
    red = scene.add(coloured(64, 64, (255, 0, 0, 255)))
    preserved = replace(scene.region("snow", Bounds(0, 0, 64, 64)), paint=red, strength=0.0)
    lava = scene.region("lava", Bounds(0, 0, 64, 128))
    source = read(Request("generate", 128, 128, regions=(preserved, lava)), scene, model).source

    assert source.pixels is None
    assert not source.is_finished
    assert source.new[:, 0, 0].tolist() == [0, 1, 1]
    assert source.preserved_paint[0, :, 10, 10].tolist() == [1, 0, 0, 1]
    assert source.preserved_paint[0, 3].sum() == 64 * 64


def test_refining_holds_the_selection_for_a_while_and_the_rest_to_the_end(model, scene) -> None:
    """A soft selection is preserved the longer the softer it is; the result is as soft as it is."""
    mask = np.zeros((128, 128, 1), dtype=np.uint8)
    mask[:64], mask[64:80] = 255, 51
    selection = Selection(Bounds(0, 0, 128, 128), scene.add(Pixels(128, 128, 1, mask.tobytes())))
    request = Request(
        "refine", 128, 128, image=scene.picture(128, 128), selection=selection, strength=0.6
    )
    reading = read(request, scene, model)

    assert reading.source.preserve_cells_until[:, 0].tolist() == pytest.approx(
        [0.4] * 8 + [0.88] * 2 + [1] * 6
    )
    assert reading.new[70, 5] == pytest.approx(0.2)


def test_filling_starts_from_what_is_around(model, scene) -> None:
    """Inside nothing is preserved but the colours around it, for the first steps."""
    selection = Selection(Bounds(32, 32, 96, 96), scene.region("", Bounds(32, 32, 96, 96)).mask)
    picture = scene.add(coloured(128, 128, (0, 128, 0, 255)))
    reading = read(Request("fill", 128, 128, image=picture, selection=selection), scene, model)

    assert float(reading.source.preserve_until[64, 64]) == 0
    assert 0 < float(reading.source.preserve_cells_until[8, 8]) < 1
    assert float(reading.source.preserve_cells_until[0, 0]) == 1
    torch.testing.assert_close(
        reading.source.pixels[0, :, 64, 64], torch.tensor([0, 128 / 255, 0]), atol=1e-3, rtol=0
    )


def test_each_row_of_latents_follows_the_edge_that_is_its_own(model, scene) -> None:
    """Where a region ends at an edge, what is new starts from nothing, and not from its colours."""
    snow = scene.region("snow", Bounds(64, 0, 128, 128))
    lava = scene.region("lava", Bounds(0, 64, 32, 160))
    request = Request(
        "extend",
        128,
        128,
        prompt="blue sky",
        regions=(lava, snow),
        margins=Margins(right=64),
        image=scene.picture(128, 128),
    )
    source = read(request, scene, model).source
    layers = make_layers(source.weights, [True, True, False])
    preserved_rows = source.preserved_in_rows(source.preserved_latents(model), layers, model)
    until = preserved_rows.until[:, 0, :, 20]
    lava_row, snow_row, background = layers.rows

    assert float(source.preserve_cells_until[0, 20]) > 0
    assert (until > 0).nonzero()[:, 0].unique().tolist() == [0, 1, 2]
    assert (until[lava_row] > 0).tolist() == [True] * 4 + [False] * 12
    assert (until[snow_row] > 0).tolist() == [False] * 8 + [True] * 8
    assert (until[background] > 0).tolist() == [False] * 4 + [True] * 4 + [False] * 8


def test_where_the_canvas_wraps_each_row_follows_the_edge_that_lies_beside_it(model, scene) -> None:
    """What is new at the far right goes on with the region at the left edge."""
    snow, lava = (
        scene.region(name, Bounds(0, left, 128, left + 64))
        for name, left in (("snow", 0), ("lava", 64))
    )
    request = Request(
        "extend",
        128,
        128,
        regions=(lava, snow),
        margins=Margins(right=128),
        image=scene.picture(128, 128),
        wrap=True,
    )
    source = read(request, scene, model).source
    layers = make_layers(source.weights, [True, True, False], wrap=True)
    preserved_rows = source.preserved_in_rows(source.preserved_latents(model), layers, model)
    lava_row, snow_row, _ = layers.rows
    shares, until = layers.shares[:, 0], preserved_rows.until[:, 0, 0]

    assert (shares[lava_row, 16:] > 0.5).tolist() == [True] * 8 + [False] * 8
    assert (shares[snow_row, 16:] > 0.5).tolist() == [False] * 8 + [True] * 8
    assert (until[lava_row, 16:] > 0).tolist() == [True] * 8 + [False] * 8
    assert (until[snow_row, 16:] > 0).tolist() == [False] * 8 + [True] * 8
    assert float(until[snow_row, 31]) == float(until[lava_row, 16])


@pytest.mark.parametrize(("height", "told"), [(16, True), (32, False)])
def test_a_selection_too_narrow_for_words_is_told(model, scene, height: int, told: bool) -> None:
    """What is known on both sides decides there."""
    chosen = Bounds(40, 8, 40 + height, 120)
    request = Request(
        "fill",
        128,
        128,
        prompt="lava",
        image=scene.picture(128, 128),
        selection=Selection(chosen, scene.region("", chosen).mask),
    )

    assert any("narrower" in each for each in read(request, scene, model).notices) is told
    assert not read(replace(request, prompt=""), scene, model).notices


def on_nothing(scene, width: int, square: Bounds):
    """A picture of 128 pixels' height that is transparent around a square."""
    rgba = np.zeros((128, width, 4), dtype=np.uint8)
    rgba[square.top : square.bottom, square.left : square.right] = (200, 40, 30, 255)
    return scene.add(Pixels(128, width, 4, rgba.tobytes()))


def test_what_is_transparent_around_a_selection_is_painted_along(model, scene) -> None:
    """A selection never meets colours that were not painted; far away they do no harm."""
    chosen = Bounds(32, 32, 96, 96)
    selection = Selection(chosen, scene.region("", chosen).mask)
    picture = on_nothing(scene, 512, Bounds(0, 0, 128, 16))
    for task in ("fill", "refine"):
        request = Request(task, 128, 512, image=picture, selection=selection)
        source = read(request, scene, model).source
        assert bool((source.preserve_until[:, :16] == 1).all())
        assert float(source.preserve_until[0, 100]) == 0
        assert float(source.preserve_until[0, 400]) == 1

    wrapped = read(replace(request, wrap=True), scene, model).source
    assert float(wrapped.preserve_until[0, 400]) == 0


@pytest.mark.parametrize("task", ["fill", "refine"])
def test_a_selection_of_nothing_leaves_nothing_to_paint(model, scene, task: str) -> None:
    """Whatever is on the canvas, also where it is transparent."""
    empty = scene.add(Pixels(128, 128, 1, bytes(128 * 128)))
    picture = on_nothing(scene, 128, Bounds(0, 0, 64, 64))
    selection = Selection(Bounds(0, 0, 128, 128), empty)
    request = Request(task, 128, 128, image=picture, selection=selection)

    assert read(request, scene, model).source.is_finished


def test_an_extension_may_go_on_underneath(model, scene) -> None:
    """Only at sides that grow, by as much as asked for."""
    request = Request(
        "extend",
        128,
        128,
        margins=Margins(left=16, top=8),
        image=scene.picture(128, 128),
        under_px=5,
    )
    new = read(request, scene, model).new

    assert new[100].tolist() == [1.0] * 21 + [0.0] * 123
    assert new[:, 100].tolist() == [1.0] * 13 + [0.0] * 123


def test_a_small_copy_says_the_same(model, scene) -> None:
    """Shares sum to one, what is known stays known, a trace of something new is new."""
    request = Request(
        "extend",
        256,
        256,
        prompt="x",
        margins=Margins(right=136),
        image=scene.picture(256, 256),
        regions=(scene.region("snow", Bounds(0, 0, 100, 300)),),
    )
    source = read(request, scene, model).source
    small = source.scaled(Size(13, 20))

    assert small.size == (13, 20)
    torch.testing.assert_close(small.weights.sum(dim=0), torch.ones(13, 20))
    assert small.pixels.shape == (1, 3, 104, 160)
    known = float(source.known.float().mean())
    assert float(small.known.float().mean()) == pytest.approx(known, abs=0.02)
    assert not bool(small.known[:, 110:].any())


def test_a_draft_stands_where_nothing_else_is(model, scene) -> None:
    """What is known stays; everything else starts from the draft."""
    request = Request("extend", 128, 128, margins=Margins(right=64), image=scene.picture(128, 128))
    source = read(request, scene, model).source
    where = torch.ones(16, 24)
    where[8:] = 0.4
    over = source.over(torch.zeros_like(source.pixels), 0.3, where)

    assert float(over.pixels[..., :128].min()) == 1
    assert float(over.pixels[..., 128:].max()) == 0
    assert over.preserve_cells_until[0].tolist() == pytest.approx([1.0] * 16 + [0.3] * 8)
    assert over.preserve_cells_until[8].tolist() == pytest.approx([1.0] * 16 + [0.0] * 8)


@pytest.mark.parametrize("bounds", [Bounds(200, 0, 220, 20), Bounds(0, -30, 20, -10)])
def test_a_region_off_the_canvas_gets_a_sentence(model, scene, bounds: Bounds) -> None:
    """It names the region, before anything is painted."""
    region = scene.region("green grass", bounds)
    with pytest.raises(TapestryError, match="“green grass” has no paint") as caught:
        read(Request("generate", 128, 128, regions=(region,)), scene, model)

    assert caught.value.code is ErrorCode.BAD_REQUEST


def test_the_artist_hears_of_regions_that_will_not_show(model, scene) -> None:
    """Too small, or wholly underneath another one."""
    regions = (
        scene.region("dot", Bounds(50, 50, 52, 52)),
        scene.region("sky", Bounds(0, 0, 64, 128)),
        scene.region("hidden", Bounds(10, 10, 20, 20)),
        scene.region("stroke", Bounds(100, 0, 104, 128)),
    )
    said = read(Request("generate", 128, 128, regions=regions), scene, model).notices

    assert [sentence.split("“")[1].split("”")[0] for sentence in said] == ["dot", "hidden"]
    assert "too small" in said[0]
    assert "underneath" in said[1]
