"""A document -> an order."""

from itertools import pairwise

import pytest

from tapestry.common.task_queue import run_on
from tapestry.document import reading
from tapestry.document.bands import BAND_PX, bands
from tapestry.document.order import Order
from tapestry.document.reading import keep_own_layer, order_from, own_layers, scene_of
from tapestry.document.region_settings import REGIONS_NOTE, DocumentRegions, RegionSettings
from tapestry.settings.settings import Settings
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import PixelsRef
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tests.krita_plugin.fake_canvas import FakeCanvas
from tests.krita_plugin.pieces import finish

HALF = bytes((1, 2, 3, 128))


def order(canvas: FakeCanvas, mode: str = "generate", **fields: object) -> Order:
    """The order of a document, with these fields of the docker."""
    return finish(order_from(canvas, Settings(**fields), mode))


def keep_settings(canvas: FakeCanvas, layer: str, **settings: object) -> None:
    """Set fields of a region."""
    kept = DocumentRegions().with_settings(layer, "", RegionSettings(**settings))
    canvas.keep_note(REGIONS_NOTE, kept.to_text())


@pytest.fixture
def canvas() -> FakeCanvas:
    """A small document."""
    return FakeCanvas(20, 30)


def test_a_painted_layer_becomes_a_region_with_its_mask(canvas: FakeCanvas) -> None:
    """In the bounds of its paint, with half transparent paint as half a region."""
    canvas.add("sunset sky", Bounds(2, 3, 4, 8), HALF)
    asked = order(
        canvas, seed=7, num_inference_steps=9, guidance_scale=2.5, negative_prompt=" rain "
    )
    (region,) = asked.request.regions
    assert (region.prompt, region.bounds) == ("sunset sky", Bounds(2, 3, 4, 8))
    assert asked.blobs[region.mask.sha256] == bytes([128]) * 10
    request = asked.request
    assert (request.task, request.height, request.width) == ("generate", 20, 30)
    assert (request.seed, request.num_inference_steps) == (7, 9)
    assert (request.guidance_scale, request.negative_prompt) == (2.5, "rain")
    assert request.image is None
    assert asked.layer_name == "Tapestry: sunset sky (seed 7)"


def test_what_is_being_painted_is_waited_for_in_turns(canvas: FakeCanvas) -> None:
    """Krita goes on meanwhile; nothing is read before."""
    canvas.unsettled = 4
    work = order_from(canvas, Settings(prompt="sky"), "generate")
    for _ in range(3):
        run_on(work)
        assert canvas.reads == 0
    assert finish(work).request.prompt == "sky"


def test_paint_beyond_the_canvas_counts_only_where_the_canvas_grows(canvas: FakeCanvas) -> None:
    """Generate paints inside; an extension is steered by what lies outside."""
    canvas.add("sea", Bounds(10, 10, 40, 60))
    assert order(canvas).request.regions[0].bounds == Bounds(10, 10, 20, 30)
    grown = order(canvas, "extend", extend_bottom=10, extend_right=0).request
    assert grown.regions[0].bounds == Bounds(10, 10, 30, 30)


def test_an_upscale_takes_what_is_seen_with_its_regions(canvas: FakeCanvas) -> None:
    """As prompts alone: what they keep of their paint is in the picture already."""
    layer = canvas.add("sunset sky", Bounds(2, 3, 4, 8), HALF)
    keep_settings(canvas, layer, strength=0.5)
    asked = order(canvas, "upscale", upscale_factor=3.0, upscale_strength=0.2, wrap=True)
    request = asked.request
    assert (request.task, request.factor, request.strength) == ("upscale", 3.0, 0.2)
    assert (request.height, request.width, request.wrap) == (20, 30, False)
    assert asked.blobs[request.image.sha256] == canvas.flattened(Bounds(0, 0, 20, 30))
    (region,) = request.regions
    assert (region.bounds, region.strength, region.paint) == (Bounds(2, 3, 4, 8), 1.0, None)
    assert asked.layer_name == "Tapestry: sunset sky, upscaled (seed 42)"
    assert not asked.new_document
    assert order(canvas, "upscale", upscale_into="new").new_document


def test_an_upscale_of_a_selection_takes_the_rectangle_around_it(canvas: FakeCanvas) -> None:
    """Regions lie where they lie in it, and it becomes a document of its own."""
    canvas.add("sunset sky", Bounds(2, 3, 14, 8), HALF)
    canvas.selection_mask = (Bounds(10, 5, 18, 20), bytes(120))
    asked = order(canvas, "upscale", upscale_into="selection")
    request = asked.request
    assert (request.height, request.width, request.selection) == (8, 15, None)
    assert asked.blobs[request.image.sha256] == canvas.flattened(Bounds(10, 5, 18, 20))
    assert request.regions[0].bounds == Bounds(0, 0, 4, 3)
    assert asked.whole == Bounds(-10, -5, 10, 25)
    assert asked.new_document


def test_an_upscale_that_cannot_be_is_told_before_anything_is_read() -> None:
    """Too large, with the largest factor that there is; nothing selected."""
    canvas = FakeCanvas(8, 9000)
    canvas.reads = 0
    with pytest.raises(TapestryError, match=r"Choose a factor of 3\.64 at most"):
        order(canvas, "upscale", upscale_factor=4.0)
    with pytest.raises(TapestryError, match="Nothing is selected") as raised:
        order(canvas, "upscale", upscale_into="selection")
    assert "become larger" in raised.value.advice
    canvas.selection_mask = (Bounds(3, 4, 4, 5), bytes(1))
    with pytest.raises(TapestryError, match="1 x 1 pixels is too small") as raised:
        order(canvas, "upscale", upscale_into="selection")
    assert "at least 8 pixels a side" in raised.value.advice
    assert canvas.reads == 0
    with pytest.raises(TapestryError, match="30 x 7 pixels is too small"):
        order(FakeCanvas(7, 30), "upscale")


def test_layers_that_are_off_or_outside_are_no_regions(canvas: FakeCanvas) -> None:
    """The checkbox of the docker, and paint that cannot be seen."""
    keep_settings(canvas, canvas.add("moon", Bounds(0, 0, 5, 5)), on=False)
    canvas.add("far away", Bounds(100, 100, 110, 110))
    canvas.add("masked away", Bounds(0, 0, 5, 5), bytes(4))
    canvas.add("sky", Bounds(0, 0, 5, 30))
    asked = order(canvas)
    assert [region.prompt for region in asked.request.regions] == ["sky"]


def test_regions_with_the_same_mask_share_its_bytes(canvas: FakeCanvas) -> None:
    """They travel once."""
    canvas.add("sky", Bounds(0, 0, 5, 5))
    canvas.add("grass", Bounds(10, 0, 15, 5))
    asked = order(canvas)
    assert len(asked.request.regions) == 2
    assert len(asked.blobs) == 1


def test_the_background_prompt(canvas: FakeCanvas) -> None:
    """The field comes first, then the name of the layer that lies under everything."""
    canvas.fakes.clear()
    canvas.add("blue sky", Bounds(0, 0, 20, 30))
    assert order(canvas).request.prompt == "blue sky"
    assert order(canvas, prompt="night").request.prompt == "night"
    assert order(canvas).request.regions == ()


def test_a_lowest_layer_with_a_hole_is_a_region(canvas: FakeCanvas) -> None:
    """It does not cover the whole canvas opaquely."""
    canvas.fakes.clear()
    canvas.add("blue sky", Bounds(0, 0, 20, 30), HALF)
    asked = order(canvas)
    assert asked.request.prompt == ""
    assert [region.prompt for region in asked.request.regions] == ["blue sky"]


def test_extending_sends_the_flattened_picture(canvas: FakeCanvas) -> None:
    """And how far it grows."""
    canvas.add("sky", Bounds(0, 0, 10, 30), bytes((1, 2, 3, 255)))
    asked = order(canvas, "extend", extend_left=8, extend_right=16)
    picture = Pixels(20, 30, 4, bytes((1, 2, 3, 255)) * 300 + b"\xff" * 1200)
    assert asked.request.image == PixelsRef.of(picture)
    assert asked.blobs[picture.sha256] == picture.data
    assert asked.request.margins == Margins(left=8, right=16)
    assert asked.layer_name == "Tapestry: sky, extended left and right (seed 42)"


def test_bands_are_put_together(canvas: FakeCanvas, monkeypatch) -> None:
    """However many there are, the masks and the picture are the same."""
    canvas.add("sky", Bounds(1, 2, 13, 19), HALF)
    whole = order(canvas, "extend", extend_top=8)
    monkeypatch.setattr("tapestry.document.bands.BAND_PX", 40)
    assert order(canvas, "extend", extend_top=8) == whole


def test_bands_cover_a_rectangle() -> None:
    """Without gaps, none larger than asked but for single rows."""
    cut = bands(Bounds(-5, 3, 2000, 2003))
    assert cut[0].top == -5
    assert cut[-1].bottom == 2000
    assert all(upper.bottom == lower.top for upper, lower in pairwise(cut))
    assert all(band.height * band.width <= BAND_PX for band in cut)
    assert bands(Bounds(0, 0, 0, 9)) == []


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda canvas: None, "nothing to paint"),
        (
            lambda canvas: [canvas.add(f"{n}", Bounds(0, 0, 5, 5)) for n in range(40)],
            "40 regions",
        ),
        (lambda canvas: canvas.add("x" * 10_000, Bounds(0, 0, 5, 5)), "10000 characters"),
    ],
    ids=["empty", "40 regions", "long prompt"],
)
def test_a_document_that_cannot_become_a_picture_gets_a_sentence(
    canvas, prepare, message: str
) -> None:
    """Before anything is sent; a long way of reading is not begun in vain."""
    prepare(canvas)
    with pytest.raises(TapestryError, match=message):
        order(canvas)


def test_too_large_a_canvas_is_not_read() -> None:
    """Pixels that cannot be used are not waited for."""
    canvas = FakeCanvas(1, 1)
    canvas._height = canvas._width = 20_000
    with pytest.raises(TapestryError, match="too large"):
        order(canvas)
    assert canvas.reads == 0


def test_a_prompt_field_that_is_too_long_is_a_sentence(canvas: FakeCanvas) -> None:
    """The docker's own field as well."""
    with pytest.raises(TapestryError, match="background"):
        order(canvas, prompt="x" * 10_000)


def test_own_layers_are_remembered_with_the_document(canvas: FakeCanvas) -> None:
    """And are no regions when they have been renamed; damage there does no harm."""
    made = canvas.add("renamed", Bounds(0, 0, 5, 5))
    keep_own_layer(canvas, made)
    keep_own_layer(canvas, "another")
    assert own_layers(canvas) == {made, "another"}
    assert finish(scene_of(canvas)).regions == ()
    canvas.notes[reading.OWN_LAYERS_NOTE] = "{"
    assert own_layers(canvas) == frozenset()
    canvas.notes[reading.OWN_LAYERS_NOTE] = "3"
    assert own_layers(canvas) == frozenset()


def test_a_region_asks_for_what_is_set_for_it(canvas: FakeCanvas) -> None:
    """And for the picture's own where nothing is set."""
    layer = canvas.add("moon", Bounds(2, 3, 4, 8), bytes((9, 8, 7, 200)))
    (plain,) = order(canvas).request.regions
    assert (plain.seed, plain.negative_prompt, plain.paint) == (None, None, None)
    assert plain.guidance_scale is None
    assert (plain.fit, plain.weight, plain.strength) == ("tight", 1.0, 1.0)
    keep_settings(
        canvas,
        layer,
        fit="loose",
        weight=2.5,
        own_seed=True,
        seed=7,
        negative_prompt="clouds",
        strength=0.4,
        own_guidance=True,
        guidance_scale=9.5,
    )
    asked = order(canvas)
    (region,) = asked.request.regions
    assert (region.fit, region.weight, region.strength) == ("loose", 2.5, 0.4)
    assert (region.seed, region.negative_prompt) == (7, "clouds")
    assert region.guidance_scale == 9.5
    assert asked.blobs[region.paint.sha256] == bytes((9, 8, 7, 200)) * 10


def test_refining_sends_the_selection_and_what_surrounds_it(canvas: FakeCanvas) -> None:
    """A part of the document, in coordinates of its own; the picture knows where it belongs."""
    canvas.add("sky", Bounds(0, 0, 20, 30), bytes((1, 2, 3, 255)))
    canvas.selection_mask = (Bounds(8, 10, 12, 14), bytes(range(16)))
    asked = order(canvas, "refine", context_px=2, feather_px=1, strength=0.3)
    request = asked.request
    assert (request.task, request.height, request.width) == ("refine", 10, 10)
    assert request.selection.bounds == Bounds(3, 3, 7, 7)
    assert asked.blobs[request.selection.mask.sha256] == bytes(range(16))
    assert asked.blobs[request.image.sha256] == bytes((1, 2, 3, 255)) * 100
    assert (request.strength, request.feather_px) == (0.3, 1)
    assert request.regions[0].bounds == Bounds(0, 0, 10, 10)
    assert asked.whole == Bounds(-5, -7, 15, 23)
    assert asked.layer_name == "Tapestry: sky, refined (seed 42)"


@pytest.mark.parametrize("mode", ["refine", "fill"])
def test_a_selection_with_a_prompt_of_its_own_leaves_the_regions_out(canvas, mode: str) -> None:
    """A prompt of the artist's own is used as it is."""
    canvas.add("sky", Bounds(0, 0, 20, 30))
    canvas.selection_mask = (Bounds(8, 10, 12, 14), b"\xff" * 16)
    asked = order(canvas, mode, selection_prompt=" clouds ", prompt="sea")
    assert (asked.request.prompt, asked.request.regions) == ("clouds", ())
    assert asked.layer_name.startswith("Tapestry: clouds, ")
    whole = order(canvas, "generate", selection_prompt="clouds", prompt="sea").request
    assert (whole.prompt, len(whole.regions)) == ("sea", 1)


def test_filling_near_an_edge_stays_on_the_canvas(canvas: FakeCanvas) -> None:
    """The surroundings end where the picture ends."""
    canvas.selection_mask = (Bounds(0, 0, 4, 4), b"\xff" * 16)
    request = order(canvas, "fill", context_px=300, prompt="moss").request
    assert (request.task, request.height, request.width) == ("fill", 20, 30)
    assert request.selection.bounds == Bounds(0, 0, 4, 4)


def test_generating_what_is_selected(canvas: FakeCanvas) -> None:
    """Shows what the whole would show there, and looks at nothing around."""
    canvas.add("moon", Bounds(0, 0, 10, 30))
    canvas.selection_mask = (Bounds(4, 4, 12, 12), b"\xff" * 64)
    assert order(canvas).request.selection is None
    asked = order(canvas, only_selection=True, context_px=300, feather_px=0)
    assert (asked.request.task, asked.request.height, asked.request.width) == ("fill", 8, 8)
    assert asked.request.prompt == "moon"
    assert asked.layer_name == "Tapestry: moon (seed 42)"


@pytest.mark.parametrize("mode", ["refine", "fill", "generate"])
def test_without_a_selection_there_is_a_sentence(canvas: FakeCanvas, mode: str) -> None:
    """With what to do."""
    with pytest.raises(TapestryError, match="Nothing is selected"):
        order(canvas, mode, only_selection=True, prompt="sky")


@pytest.mark.parametrize(
    ("mode", "sent"), [("fill", 3), ("extend", 3), ("refine", 0), ("generate", 0)]
)
def test_only_what_is_filled_or_extended_is_harmonised(
    canvas: FakeCanvas, mode: str, sent: int
) -> None:
    """The other modes do not know it, whatever was set for these two."""
    canvas.selection_mask = (Bounds(0, 0, 8, 8), b"\xff" * 64)
    assert order(canvas, mode, prompt="sea", harmonise=3).request.harmonise == sent


def test_the_style_goes_along(canvas: FakeCanvas) -> None:
    """With all that decides how a picture is painted."""
    fields = {"coherence": 0.3, "composition": 0.2, "scheduler": "euler", "outline_px": 5}
    request = order(canvas, prompt="sea", style=" oil paint ", **fields).request
    assert request.style == "oil paint"
    assert (request.coherence, request.composition) == (0.3, 0.2)
    assert (request.scheduler, request.feather_px) == ("euler", 5)


def test_layers_melt_together_where_the_whole_canvas_is_generated(canvas: FakeCanvas) -> None:
    """A selection that is painted anew has a picture around it."""
    canvas.add("sea", Bounds(0, 0, 64, 64))
    assert order(canvas, melt=0.5).request.melt == 0.5
    assert order(canvas, "extend", melt=0.5, extend_right=64).request.melt == 0


@pytest.mark.parametrize(
    ("mode", "sent"),
    [("generate", 0.1), ("extend", 0.1), ("refine", 0.1), ("fill", 0.1), ("upscale", 0.0)],
)
def test_the_step_cache_goes_along_where_it_holds(
    canvas: FakeCanvas, mode: str, sent: float
) -> None:
    """Enlarging moves its windows."""
    canvas.add("sea", Bounds(0, 0, 64, 64))
    canvas.selection_mask = (Bounds(0, 0, 8, 8), b"\xff" * 64)
    assert order(canvas, mode, prompt="sea", step_cache=0.1).request.step_cache == sent


def test_a_chosen_group_gives_the_regions(canvas: FakeCanvas) -> None:
    """And no other layer does."""
    canvas.add("outside", Bounds(0, 0, 5, 5))
    inner = canvas.add("tree", Bounds(0, 0, 5, 5))
    child = canvas.fakes[0].layer
    group = canvas.add("wood", Bounds(0, 0, 5, 5), is_group=True, children=(child,))
    canvas.fakes = [fake for fake in canvas.fakes if fake.layer.id != inner]
    assert [r.prompt for r in order(canvas).request.regions] == ["wood", "outside"]
    canvas.keep_note(REGIONS_NOTE, DocumentRegions({}, group, "wood").to_text())
    scene = finish(scene_of(canvas))
    assert [row.prompt for row in scene.rows] == ["tree"]
    assert scene.group == group
