"""What is set for regions, and how a document keeps it."""

import json
import unicodedata

import pytest

from tapestry.document.region_settings import DEFAULTS, DocumentRegions, RegionSettings

SET = RegionSettings(
    on=False,
    fit="loose",
    weight=2.0,
    own_seed=True,
    seed=7,
    negative_prompt="clouds",
    strength=0.5,
)


def test_a_book_comes_back() -> None:
    """Every field, and the chosen group."""
    stored = DocumentRegions({}, "g", "wood").with_settings("a", "sky \U0001f305", SET)
    assert DocumentRegions.from_text(stored.to_text()) == stored
    assert "\U0001f305" in stored.to_text()


def test_settings_follow_the_layer_then_its_name() -> None:
    """A copy has another id; a renamed layer has the same one."""
    stored = DocumentRegions().with_settings("a", "sky", SET).with_settings("b", "sky", DEFAULTS)
    assert stored.settings("a", "night") == SET
    assert stored.settings("copy", "sky") == DEFAULTS
    assert stored.with_name("a", "night").settings("copy", "night") == SET
    assert stored.settings("copy", "sea") == DEFAULTS
    assert stored.with_name("unknown", "x") == stored


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"layers": 3}', '{"layers": {"a": 3}}'])
def test_damaged_notes_are_an_empty_book(text: str) -> None:
    """Another program may have written it."""
    assert DocumentRegions.from_text(text).settings("a", "sky") == DEFAULTS


def test_what_is_out_of_range_is_left_out_alone() -> None:
    """The others are kept."""
    values = {"on": 3, "fit": "round", "weight": 1e9, "seed": -1, "strength": 0, "own_seed": True}
    text = json.dumps({"layers": {"a": values}, "group": 3})
    assert DocumentRegions.from_text(text).settings("a", "") == RegionSettings(
        own_seed=True, strength=0.0
    )


def test_a_long_session_does_not_fill_the_document() -> None:
    """The oldest entries go."""
    stored = DocumentRegions()
    for number in range(600):
        stored = stored.with_settings(f"{number}", "", DEFAULTS)
    assert len(stored.entries) == 500
    assert "599" in stored.entries


def test_a_name_is_the_same_however_its_letters_are_composed() -> None:
    """A document from another system knows its copies."""
    apart = unicodedata.normalize("NFD", "caf\u00e9")
    stored = DocumentRegions().with_settings("gone", apart, SET)
    again = DocumentRegions.from_text(stored.to_text())
    assert again.settings("new", "caf\u00e9") == SET
