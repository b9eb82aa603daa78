"""A document -> an order for an edit."""

from dataclasses import replace

import pytest

from tapestry.document.editing import (
    LEARNED_NOTE,
    keep_learned_layers,
    keep_place_layer,
    learned_layers,
    place_layers,
)
from tapestry.document.order import Order
from tapestry.document.reading import order_from
from tapestry.settings.settings import Settings, settings_of
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Edit
from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.fake_canvas import FakeCanvas
from tests.krita_plugin.pieces import finish

WORDS = {"edit_from": " snow ", "edit_to": " lava "}


def order(canvas: FakeCanvas, *, finds: bool = False, **fields: object) -> Order:
    """The order of an edit, with these fields of the docker."""
    return finish(order_from(canvas, Settings(**{**WORDS, **fields}), "edit", finds=finds))


def test_words_alone_are_found_in_the_whole_picture(canvas: FakeCanvas) -> None:
    """No layer is called so: the picture is what one sees, and nothing else is sent."""
    asked = order(canvas, edit_threshold=0.4, edit_strength=0.7, prompt="a field", in_regions=True)
    request = asked.request
    assert (request.task, request.prompt, request.strength) == ("edit", "lava", 0.7)
    assert request.edit == Edit("diffedit", "snow", 0.4)
    assert (request.regions, request.selection, request.layered) == ((), None, False)
    assert asked.blobs[request.image.sha256] == canvas.flattened(Bounds(0, 0, 20, 30))
    assert asked.layer_name == "Tapestry: lava, edited (seed 42)"


def test_a_selection_bounds_an_edit_and_all_of_it_changes(canvas: FakeCanvas) -> None:
    """As much around it is looked at as in Refine."""
    canvas.selection_mask = (Bounds(4, 4, 8, 8), b"\xff" * 16)
    request = order(canvas, context_px=2, feather_px=1).request
    assert (request.height, request.width) == (10, 10)
    assert request.selection.bounds == Bounds(3, 3, 7, 7)
    assert request.edit.threshold == 0


def test_a_layer_that_is_called_so_says_where(canvas: FakeCanvas) -> None:
    """The others keep their words, and so does the background."""
    canvas.add("snow", Bounds(2, 2, 6, 6))
    asked = order(canvas, edit_method="p2p", prompt="a field")
    request = asked.request
    words = [(region.source_prompt, region.prompt) for region in request.regions]
    assert words == [("snow", "lava"), (None, "sky"), (None, "grass")]
    assert (request.edit.source_prompt, request.prompt) == ("a field", "a field")
    assert (request.edit.method, request.edit.threshold) == ("p2p", 0)
    assert asked.layer_name == "Tapestry: lava, edited (seed 42)"


def test_the_lowest_layer_says_where_as_well(canvas: FakeCanvas) -> None:
    """It covers all under the others; capitals and spaces do not count in names."""
    canvas.fakes.clear()
    canvas.add("Snow  field", Bounds(0, 0, 20, 30))
    canvas.add("sky", Bounds(0, 0, 10, 30))
    request = order(canvas, edit_from="snow field", edit_method="p2p").request
    assert [(region.source_prompt, region.prompt) for region in request.regions] == [(None, "sky")]
    assert (request.edit.source_prompt, request.prompt) == ("snow field", "lava")
    assert request.edit.threshold == 0
    found = order(canvas, edit_from="snow field", edit_threshold=0.4, finds=True).request
    assert (found.regions, found.edit.threshold) == ((), 0.4)


@pytest.mark.parametrize("traits", [{"visible": False}, {"bounds": Bounds(0, 0, 0, 0)}])
def test_a_layer_that_is_hidden_or_empty_says_nothing(canvas: FakeCanvas, traits) -> None:
    """The words are found."""
    canvas.change(canvas.add("snow", Bounds(2, 2, 6, 6)), **traits)
    request = order(canvas).request
    assert (request.regions, request.edit.source_prompt) == ((), "snow")
    assert request.edit.threshold > 0


def test_the_place_is_looked_for_by_the_words_alone(canvas: FakeCanvas) -> None:
    """Whatever layer is called so, and by whatever method; in the selection where there is one."""
    canvas.add("snow", Bounds(2, 2, 6, 6))
    canvas.selection_mask = (Bounds(4, 4, 8, 8), b"\xff" * 16)
    asked = order(canvas, finds=True, edit_method="ddib")
    edit = asked.request.edit
    assert asked.is_map
    assert (edit.method, edit.source_prompt, asked.request.regions) == ("diffedit", "snow", ())
    assert asked.request.selection is not None
    assert asked.layer_name == "Tapestry: snow, looked for (seed 42)"


def test_a_layer_made_of_a_found_place_is_no_part_of_the_picture(canvas: FakeCanvas) -> None:
    """An edit hides it, and goes on to take it for the place."""
    before = canvas.flattened(Bounds(0, 0, 20, 30))
    layer = canvas.add("snow", Bounds(2, 2, 6, 6), bytes((9, 9, 9, 255)))
    keep_place_layer(canvas, layer)
    assert place_layers(canvas) == {layer}
    for _ in range(2):
        asked = order(canvas)
        assert asked.blobs[asked.request.image.sha256] == before
        assert asked.request.regions[0].bounds == Bounds(2, 2, 6, 6)
        assert not canvas.layers()[0].visible


def test_an_instruction_is_for_the_whole_picture(canvas: FakeCanvas) -> None:
    """What layers are called is no instruction, and neither is the background's prompt."""
    words = {"edit_instruction": " make it night ", "edit_picture_scale": 1.6}
    asked = order(canvas, edit_method="instruct", prompt="a field", **words)
    request = asked.request
    assert (request.prompt, request.regions) == ("make it night", ())
    assert (request.edit.method, request.edit.source_prompt) == ("instruct", "")
    assert request.edit.picture_scale == 1.6
    assert asked.layer_name == "Tapestry: make it night, edited (seed 42)"


@pytest.mark.parametrize(("method", "sent"), [("instruct", 0.1), ("diffedit", 0.0)])
def test_the_step_cache_goes_along_with_instructions(
    canvas: FakeCanvas, method: str, sent: float
) -> None:
    """Other ways to edit have none."""
    words = {"edit_from": "sea", "edit_to": "ice", "edit_instruction": "make it night"}
    asked = order(canvas, edit_method=method, step_cache=0.1, **words)
    assert asked.request.step_cache == sent


def test_a_layer_called_as_the_instruction_says_where(canvas: FakeCanvas) -> None:
    """Its paint is no part of the picture: the edit hides it, and goes on to take it."""
    before = canvas.flattened(Bounds(0, 0, 20, 30))
    canvas.add("make it night", Bounds(2, 2, 6, 6), bytes((9, 9, 9, 255)))
    fields = {"edit_method": "instruct", "edit_instruction": "make it night"}
    for _ in range(2):
        asked = order(canvas, **fields)
        (region,) = asked.request.regions
        assert (region.prompt, region.bounds) == ("make it night", Bounds(2, 2, 6, 6))
        assert (asked.request.prompt, region.source_prompt) == ("", None)
        assert asked.blobs[asked.request.image.sha256] == before
        assert not canvas.layers()[0].visible
    told = settings_of(asked.request)
    assert (told["edit_instruction"], told["edit_method"]) == ("make it night", "instruct")


def test_several_instructions_hold_each_on_its_layer(canvas: FakeCanvas) -> None:
    """One of them may have none: it is for all the rest."""
    canvas.add("make it night", Bounds(2, 2, 6, 6))
    canvas.add("turn it into snow", Bounds(8, 8, 12, 12))
    words = "make it night; turn it into snow ;add fog"
    asked = order(canvas, edit_method="instruct", edit_instruction=words)
    placed = {region.prompt: region.bounds for region in asked.request.regions}
    assert placed == {
        "make it night": Bounds(2, 2, 6, 6),
        "turn it into snow": Bounds(8, 8, 12, 12),
    }
    assert asked.request.prompt == "add fog"
    told = settings_of(asked.request)["edit_instruction"]
    assert sorted(told.split("; ")) == ["add fog", "make it night", "turn it into snow"]
    assert told.endswith("add fog")


def test_only_one_instruction_is_for_all_the_rest(canvas: FakeCanvas) -> None:
    """Which of the others have no layer is said."""
    canvas.add("make it night", Bounds(2, 2, 6, 6))
    words = "make it night; turn it into snow; add fog"
    with pytest.raises(TapestryError, match=r"turn it into snow.*add fog") as caught:
        order(canvas, edit_method="instruct", edit_instruction=words)
    assert "call it so" in caught.value.advice


def test_a_picture_is_learned_as_a_whole(canvas: FakeCanvas) -> None:
    """Whatever layers are called, and whatever the picture was said to show."""
    canvas.add("snow", Bounds(2, 2, 6, 6))
    fields = {"edit_interpolation": 0.4, "edit_learning_steps": 50}
    asked = order(canvas, edit_method="imagic", prompt="a field", edit_strength=1.0, **fields)
    request = asked.request
    assert (request.prompt, request.regions) == ("lava", ())
    wanted = Edit("imagic", interpolation=0.4, learning_steps=50)
    assert request.edit == wanted
    told = settings_of(request)
    assert {name: told[name] for name in fields} == fields
    assert (told["edit_to"], told["edit_method"]) == ("lava", "imagic")


def test_what_the_same_words_made_is_not_learned(canvas: FakeCanvas) -> None:
    """The first result is hidden, and the picture that was learned is sent again."""
    fields = {"edit_method": "imagic", "edit_strength": 1.0}
    first = order(canvas, **fields)
    before = canvas.flattened(Bounds(0, 0, 20, 30))
    result = canvas.add("Tapestry: lava, edited (seed 42)", Bounds(0, 0, 20, 30), bytes((9, 9, 9)))
    keep_learned_layers(canvas, (result,), first.request)
    again = order(canvas, edit_interpolation=0.2, **fields)
    assert again.request.image == first.request.image
    assert again.blobs[again.request.image.sha256] == before
    assert not canvas.layers()[0].visible


def test_other_words_and_other_methods_take_what_is_seen(canvas: FakeCanvas) -> None:
    """Somebody goes on from there; a note that is no such note says nothing."""
    fields = {"edit_method": "imagic", "edit_strength": 1.0}
    first = order(canvas, **fields)
    colour = bytes((9, 9, 9, 255))
    result = canvas.add("a result", Bounds(0, 0, 20, 30), colour)
    keep_learned_layers(canvas, (result,), first.request)
    plain = replace(first.request, edit=Edit("diffedit", "snow"))
    keep_learned_layers(canvas, ("another",), plain)
    for changed in ({"edit_to": "snow"}, {"edit_method": "ddib"}):
        asked = order(canvas, **{**fields, **changed})
        assert asked.request.image != first.request.image
        assert canvas.layers()[0].visible
    assert learned_layers(canvas, " lava ") == {result}
    canvas.remove(result)
    keep_learned_layers(canvas, ("third",), first.request)
    assert learned_layers(canvas, "lava") == {"third"}
    for odd in ("[]", "{", '{"a": 3}'):
        canvas.notes[LEARNED_NOTE] = odd
        assert learned_layers(canvas, "lava") == frozenset()


def test_another_model_may_have_painted_it(canvas: FakeCanvas) -> None:
    """That is for the method that turns it alone; the one that paints stands for itself."""
    fields = {"edit_source_model": "anime", "edit_cycle": True}
    turned = order(canvas, edit_method="ddib", edit_strength=1.0, **fields).request
    assert (turned.edit.source_model, turned.edit.cycle) == ("anime", True)
    told = settings_of(turned)
    assert {name: told[name] for name in fields} == fields
    itself = order(canvas, edit_method="ddib", model="anime", edit_strength=1.0, **fields).request
    assert (itself.edit.source_model, itself.edit.cycle) == ("", True)
    other = order(canvas, edit_method="p2p", **fields).request
    found = order(canvas, edit_method="ddib", finds=True, **fields).request
    assert (other.edit.source_model, other.edit.cycle) == ("", False)
    assert (found.edit.source_model, found.edit.cycle) == ("", False)


def test_no_instruction_is_told(canvas: FakeCanvas) -> None:
    """Before anything is sent."""
    with pytest.raises(TapestryError, match="no instruction"):
        order(canvas, edit_method="instruct", edit_instruction=" ")


@pytest.mark.parametrize("note", ["", "no list", '{"a": 1}', "[1, 2"])
def test_a_damaged_note_of_places_is_none(canvas: FakeCanvas, note: str) -> None:
    """The words find the place then."""
    canvas.notes["tapestry_places"] = note
    assert place_layers(canvas) == frozenset()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"edit_from": "", "edit_to": ""}, "shall become"),
        ({"edit_to": "snow"}, "are the same"),
        ({"edit_from": "sky", "edit_to": "sky"}, "are the same"),
        ({"edit_to": " "}, "what the picture shall become"),
        ({"edit_from": " ", "edit_method": "p2p"}, "must know what the picture shows now"),
        ({"edit_from": " ", "finds": True}, "what shall be found"),
    ],
)
def test_words_that_say_nothing(canvas: FakeCanvas, fields, sentence: str) -> None:
    """With what is missing, before anything is sent."""
    with pytest.raises(TapestryError, match=sentence) as raised:
        order(canvas, **fields)
    assert raised.value.advice


def test_a_selection_of_nothing_is_told(canvas: FakeCanvas) -> None:
    """Nothing would change."""
    canvas.selection_mask = (Bounds(4, 4, 8, 8), bytes(16))
    with pytest.raises(TapestryError, match="Nothing is selected"):
        order(canvas)


def test_an_instruction_tells_its_own_settings(canvas: FakeCanvas) -> None:
    """To be used again; the words of other methods stay as they are."""
    asked = {
        "edit_method": "instruct",
        "edit_instruction": "make it night",
        "edit_strength": 0.9,
        "edit_picture_scale": 1.6,
    }
    told = settings_of(order(canvas, **asked).request)
    assert {name: told[name] for name in asked} == asked
    assert not {"prompt", "strength", "edit_from", "edit_to"} & set(told)


@pytest.mark.parametrize("layer", ["snow", "ice"])
def test_an_edit_tells_its_own_settings(canvas: FakeCanvas, layer: str) -> None:
    """Whether a layer said where or not; the background prompt stays as it is."""
    canvas.add(layer, Bounds(2, 2, 6, 6))
    asked = {"edit_method": "p2p", "edit_strength": 0.9, "edit_self_attention": 0.1}
    asked["edit_features"] = 0.3
    told = settings_of(order(canvas, edit_threshold=0.3, strength=0.2, **asked).request)
    assert (told["edit_from"], told["edit_to"]) == ("snow", "lava")
    assert {name: told[name] for name in asked} == asked
    assert told.get("edit_threshold") == (None if layer == "snow" else 0.3)
    assert not {"prompt", "strength"} & set(told)
