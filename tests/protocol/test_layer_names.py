"""Which names of layers are one name, and which are no prompts."""

import unicodedata

import pytest

from tapestry_protocol.layer_names import is_background_name, is_default_name, plain_name


def test_a_name_is_the_same_however_its_letters_are_composed() -> None:
    """Some systems keep a letter and its accent apart."""
    composed, apart = (unicodedata.normalize(form, "caf\u00e9 ") for form in ("NFC", "NFD"))
    assert composed != apart
    assert plain_name(composed) == plain_name(apart) == "caf\u00e9"


@pytest.mark.parametrize(
    "name", ["Background", "Hintergrund", "Arri\u00e8re-plan", "Fondo ", "\u80cc\u666f", "T\u0142o"]
)
def test_the_background_is_known_in_krita_s_languages(name: str) -> None:
    """However its letters are composed."""
    assert is_background_name(name)
    assert is_background_name(unicodedata.normalize("NFD", name))
    assert not is_default_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Layer 1", "Paint Layer 3", "Paint Layer", "Group 12", "layer 2", "Layer #4"),
        *("Ebene 1", "Malebene 2", "Calque de dessin 1", "\u56fe\u5c42 3"),
        *("Vector Layer 1", "\u30ec\u30a4\u30e4\u30fc1"),
    ],
)  # fmt: skip
def test_default_names_are_known(name: str) -> None:
    """With their number, in Krita's languages."""
    assert is_default_name(name)


@pytest.mark.parametrize(
    "name", ["", "layer cake", "capa", "Group", "red bricks", "a layer 1", "Fondo marino", "7"]
)
def test_prompts_are_prompts(name: str) -> None:
    """A word alone may mean something."""
    assert not is_default_name(name)
    assert not is_background_name(name)
