"""What is laid on a document, and how the document keeps it."""

import json

import pytest

from tapestry.document.adapter_settings import (
    PICTURE,
    AdapterSettings,
    DocumentAdapters,
    all_pictures,
    fitting,
    newly_laid,
)
from tapestry.document.canvas import Layer
from tapestry_protocol.adapters import AdapterInfo
from tapestry_protocol.limits import MAX_ID_CHARACTERS
from tapestry_protocol.pixels import Bounds

SOMEWHERE = Bounds(0, 0, 4, 4)
INK = AdapterSettings("ink", "lora", weight=-0.5)
SCRIBBLE = AdapterSettings("scribble", "t2i_adapter", 0.7, "lines", "1", "sketch", 0.1, 0.6)
MAP = AdapterSettings("seg", "controlnet", show="regions")
LOOK = AdapterSettings("look", "ip_adapter", layer="2", layer_name="photo")


def layer(name: str, layer_id: str, *children: Layer, **traits: object) -> Layer:
    """A layer, or a group of these."""
    return Layer(layer_id, name, SOMEWHERE, children=children, **traits)


def test_a_book_comes_back_from_its_text() -> None:
    """Every field; what follows a name follows it."""
    stored = DocumentAdapters().having(PICTURE, "", [INK, SCRIBBLE]).having("7", "sky", [MAP, LOOK])
    again = DocumentAdapters.from_text(stored.to_text())
    assert again == stored
    assert again.of(PICTURE) == (INK, SCRIBBLE)
    assert again.of("7", "another name") == (MAP, LOOK)
    assert again.of("8", "sky") == (MAP, LOOK)
    assert again.of("8", "grass") == again.of("8") == ()


def test_the_latest_of_a_name_counts_for_a_copy() -> None:
    """And a layer that was renamed is found by its new name."""
    stored = DocumentAdapters().having("1", "sky", [INK]).having("2", "sky", [MAP])
    assert stored.of("3", "sky") == (MAP,)
    assert stored.renamed("2", "night").of("3", "night") == (MAP,)
    assert stored.renamed("9", "night") == stored


def test_only_what_is_used_is_kept_with_a_picture() -> None:
    """Also that nothing lies on a region."""
    stored = DocumentAdapters().having(PICTURE, "", [INK]).having("1", "sky", [MAP])
    used = stored.only({"2": "grass"})
    assert dict(used.entries).keys() == {PICTURE, "2"}
    assert (used.of(PICTURE), used.of("2")) == ((INK,), ())


@pytest.mark.parametrize("text", ["", "{", "3", "[]", '{"": 3}', '{"": {"laid": 3}}', "[" * 9999])
def test_damaged_adapter_settings_are_empty(text: str) -> None:
    """The file may come from anywhere."""
    assert DocumentAdapters.from_text(text).of(PICTURE) == ()


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"kind": "lora"}, None),
        ({"adapter": "ink", "kind": "sorcery"}, None),
        ({"adapter": "", "kind": "lora"}, None),
        ({"adapter": "x" * (MAX_ID_CHARACTERS + 1), "kind": "lora"}, None),
        ({"adapter": "ink", "kind": "lora", "weight": 9}, AdapterSettings("ink", "lora")),
        ({"adapter": "ink", "kind": "lora", "weight": -3}, AdapterSettings("ink", "lora", -3.0)),
        ({"adapter": "c", "kind": "controlnet", "weight": -3}, AdapterSettings("c", "controlnet")),
        (
            {"adapter": "c", "kind": "controlnet", "show": "magic"},
            AdapterSettings("c", "controlnet"),
        ),
        (
            {"adapter": "i", "kind": "ip_adapter", "show": "regions"},
            AdapterSettings("i", "ip_adapter"),
        ),
        ({"adapter": "c", "kind": "controlnet", "start": 2.0}, AdapterSettings("c", "controlnet")),
        ({"adapter": "c", "kind": "controlnet", "layer": 7}, AdapterSettings("c", "controlnet")),
    ],
)
def test_what_is_out_of_range_stays_at_its_default(
    values: dict, found: AdapterSettings | None
) -> None:
    """Or is left out, where it does not say what it is."""
    text = json.dumps({"": {"laid": [values]}})
    assert DocumentAdapters.from_text(text).of(PICTURE) == ((found,) if found else ())


def test_layers_are_found_by_id_and_copies_by_name() -> None:
    """Also inside of groups; a row without a layer finds none, not even a nameless one."""
    tree = (layer("", "9"), layer("things", "5", layer("sketch", "4"), is_group=True))
    assert SCRIBBLE.find((*tree, layer("renamed", "1"))).name == "renamed"
    assert SCRIBBLE.find(tree).id == "4"
    assert LOOK.find(tree) is None
    assert AdapterSettings("scribble", "t2i_adapter").find(tree) is None
    assert MAP.find((layer("", ""),)) is None
    assert [one.id for one in all_pictures((*tree, layer("f", "6", has_pixels=False)))] == [
        "9",
        "5",
        "4",
    ]


def test_what_is_shown_counts_while_its_region_is_there() -> None:
    """A deleted region is kept for undo, and shows nothing meanwhile."""
    stored = DocumentAdapters().having(PICTURE, "", [SCRIBBLE, INK]).having("7", "sky", [LOOK])
    sketch, photo = layer("sketch", "1"), layer("photo", "2")
    assert stored.shown((sketch, photo)) == {"1"}
    assert stored.shown((sketch, photo, layer("day", "7"))) == {"1", "2"}
    assert stored.shown((photo, layer("sky", "a copy"))) == {"2"}


def test_only_what_fits_the_model_is_offered() -> None:
    """By family; words for prompts are no rows; transformers take what was made for them."""
    known = [
        AdapterInfo("Grain", "lora", "sd1"),
        AdapterInfo("anything", "lora"),
        AdapterInfo("flat", "lora", "flux"),
        AdapterInfo("scribble", "controlnet", "sd1"),
        AdapterInfo("old", "t2i_adapter"),
        AdapterInfo("face", "ip_adapter", "sdxl"),
        AdapterInfo("gloom", "embedding", "sd1"),
        AdapterInfo("depth", "controlnet", "flux"),
    ]
    names = lambda family: [info.id for info in fitting(known, family)]  # noqa: E731
    assert names("sd1") == ["anything", "Grain", "scribble", "old"]
    assert names("sdxl") == ["anything", "old", "face"]
    assert names("flux") == ["anything", "flat", "depth"]
    assert names("sd3") == ["anything"]
    assert names("chroma") == ["anything", "flat"]
    assert names("") == ["anything", "flat", "Grain", "depth", "scribble", "old", "face"]


@pytest.mark.parametrize(
    ("name", "kind", "show"),
    [
        ("sample-scribble", "t2i_adapter", "lines"),
        ("control_v11p_sd15_Canny", "controlnet", "canny"),
        ("softedge", "controlnet", "soft_edges"),
        ("control_v11p_sd15_seg", "controlnet", "ade20k"),
        ("depth", "controlnet", "none"),
        ("sketch-style", "lora", "none"),
        ("line", "ip_adapter", "none"),
    ],
)
def test_the_name_of_a_network_says_what_it_is_shown(name: str, kind: str, show: str) -> None:
    """As a beginning; the artist may choose another."""
    assert newly_laid(AdapterInfo(name, kind)) == AdapterSettings(name, kind, show=show)
