"""Layer tree -> regions."""

import pytest

from tapestry.document.canvas import Layer
from tapestry.document.layers import find_background, picture_name, read_scene
from tapestry.document.region_settings import DocumentRegions
from tapestry_protocol.pixels import Bounds

CANVAS = Bounds(0, 0, 20, 30)
PART = Bounds(0, 0, 10, 10)
NONE = frozenset()
NOTHING = Bounds(0, 0, 0, 0)


def layer(name: str, bounds: Bounds = PART, **traits: object) -> Layer:
    """A layer with an id of its own."""
    return Layer(f"id of {name}", name, bounds, **traits)


def prompts(*layers: Layer, own: frozenset[str] = NONE, ground: Layer | None = None) -> list[str]:
    """The regions' names."""
    return [region.prompt for region in read_scene(layers, own, ground).regions]


def test_named_layers_are_regions_in_their_order() -> None:
    """Topmost first, with the name as the prompt."""
    assert prompts(layer("moon"), layer(" sky "), layer("Background", CANVAS)) == ["moon", "sky"]


def test_an_invisible_layer_is_no_region() -> None:
    """Hidden, transparent and empty layers, masks and filters."""
    unseen = (
        layer("hidden", visible=False),
        layer("transparent", opacity=0),
        layer("empty", Bounds(0, 0, 0, 0)),
        layer("filter", has_pixels=False),
    )
    assert prompts(*unseen, layer("faint", opacity=1)) == ["faint"]


def test_a_group_is_one_region() -> None:
    """Its children are not regions of their own."""
    group = layer("forest", is_group=True, children=(layer("tree"), layer("bush")))
    assert prompts(group, layer("sky")) == ["forest", "sky"]


def test_layers_that_tapestry_made_are_no_regions() -> None:
    """Known by their name, or by their id when they were renamed."""
    renamed = layer("my favourite")
    assert prompts(layer("Tapestry: sky (seed 1)"), renamed, own=frozenset({renamed.id})) == []


def test_a_group_with_a_tapestry_layer_is_left_out_with_a_sentence() -> None:
    """Its mask would be that of our own picture."""
    inner = layer("inner", is_group=True, children=(layer("Tapestry: sky (seed 1)"),))
    scene = read_scene((layer("all", is_group=True, children=(inner,)),), NONE, None)
    assert scene.regions == ()
    assert "all" in scene.remarks[0]


def test_a_hidden_tapestry_layer_in_a_group_does_no_harm() -> None:
    """It is not in the group's mask."""
    hidden = layer("Tapestry: sky (seed 1)", visible=False)
    assert prompts(layer("all", is_group=True, children=(hidden, layer("tree")))) == ["all"]


def test_layers_without_a_name_are_left_out_with_one_sentence() -> None:
    """However many there are."""
    scene = read_scene((layer(""), layer("  "), layer("sky")), NONE, None)
    assert [region.prompt for region in scene.regions] == ["sky"]
    assert len(scene.remarks) == 1
    assert "without a name" in scene.remarks[0]


def test_the_ground_gives_the_background_prompt() -> None:
    """The lowest layer, when it reaches all around the canvas."""
    ground = layer("blue sky", CANVAS)
    layers = (layer("moon"), ground, layer("hidden", CANVAS, visible=False))
    assert find_background(layers, CANVAS, NONE) is ground
    scene = read_scene(layers, NONE, ground)
    assert scene.background_prompt == "blue sky"
    assert [region.prompt for region in scene.regions] == ["moon"]


def test_no_ground() -> None:
    """Krita's own Background is no prompt; a smaller or upper layer is a region."""
    assert (
        find_background((layer("sky", CANVAS), layer("Background", CANVAS)), CANVAS, NONE) is None
    )
    assert find_background((layer("sky", PART),), CANVAS, NONE) is None
    assert find_background((layer("Tapestry: x (seed 1)", CANVAS),), CANVAS, NONE) is None
    assert find_background((), CANVAS, NONE) is None


def test_picture_names_tell_what_was_asked() -> None:
    """Prompts, what was done, and the seed; never longer than a layer list shows."""
    assert picture_name(["sky", "grass"], 42) == "Tapestry: sky, grass (seed 42)"
    assert picture_name(["sky"], 1, "extended left") == "Tapestry: sky, extended left (seed 1)"
    assert picture_name([""], 7, "extended left") == "Tapestry: extended left (seed 7)"
    assert len(picture_name(["very " * 99], 2**32 - 1)) < 100


def test_layers_that_are_no_regions_yet_are_listed_with_why() -> None:
    """The docker shows them; they do not count."""
    layers = (layer("hidden", visible=False), layer("empty", NOTHING), layer(" "), layer("sky"))
    scene = read_scene(layers, NONE, None)
    states = [(row.prompt, row.state) for row in scene.rows]
    assert states == [
        ("hidden", "hidden"),
        ("empty", "empty"),
        ("", "nameless"),
        ("sky", "painted"),
    ]
    assert [row.prompt for row in scene.regions] == ["sky"]


def test_a_group_that_is_chosen_and_hidden_hides_its_layers() -> None:
    """Also where it is a group around it that is hidden; it is found by its name, too."""
    tree = layer("tree")
    wood = layer("wood", is_group=True, children=(tree,))
    stored = DocumentRegions({}, "gone", "wood")
    for visible, state in ((True, "painted"), (False, "hidden")):
        around = layer("around", is_group=True, visible=visible, children=(wood,))
        scene = read_scene((around, layer("sky")), NONE, None, stored)
        assert [(row.prompt, row.state) for row in scene.rows] == [("tree", state)]
        assert scene.group == wood.id
        assert [group.name for group in scene.groups] == ["around", "wood"]
    assert len(read_scene((layer("sky"),), NONE, None, stored).rows) == 1


@pytest.mark.parametrize("name", ["Paint Layer 3", "Malebene 1", "Layer 12", "Group 4"])
def test_a_name_that_a_program_gave_is_no_prompt(name: str) -> None:
    """The layer is listed with a notice, and is neither a region nor the background."""
    named = layer(name, CANVAS)
    scene = read_scene((layer("moon"), named), NONE, None)
    assert [(row.prompt, row.state) for row in scene.rows] == [
        ("moon", "painted"),
        (name, "nameless"),
    ]
    assert len(scene.remarks) == 1
    assert name in scene.remarks[0]
    assert find_background((layer("moon"), named), CANVAS, NONE) is None


def test_the_background_of_another_language_is_one_and_that_is_said() -> None:
    """A document from another computer; hidden, it is not worth a word."""
    ground = layer("Hintergrund", CANVAS)
    scene = read_scene((layer("moon"), ground), NONE, None)
    assert [row.prompt for row in scene.rows] == ["moon"]
    assert "Hintergrund" in scene.remarks[0]
    assert find_background((layer("moon"), ground), CANVAS, NONE) is None
    assert read_scene((layer("Fondo", CANVAS, visible=False),), NONE, None).remarks == ()
    assert read_scene((layer("Background", CANVAS),), NONE, None).remarks == ()


def test_an_eraser_is_no_region_and_no_ground() -> None:
    """Which is said."""
    eraser = layer("gum", CANVAS, blending="erase")
    scene = read_scene((layer("moon"), eraser), NONE, None)
    assert [row.prompt for row in scene.rows] == ["moon"]
    assert "gum" in scene.remarks[0]
    assert find_background((layer("moon"), eraser), CANVAS, NONE) is None
