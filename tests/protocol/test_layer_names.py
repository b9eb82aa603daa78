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
        *("Pasted Layer", "Pasted Layer #1", "Layer 1 #2", "Floating Selection"),
        *("Eingef\u00fcgte Ebene", "Calque coll\u00e9"),
        *("Layer Group", "Layer Group #2", "Ebenengruppe #1", "Groupe de calques"),
        "Unknown Layer 2",
        *("Vector Layer 1", "\u30ec\u30a4\u30e4\u30fc1"),
    ],
)  # fmt: skip
def test_default_names_are_known(name: str) -> None:
    """With their number, in Krita's languages."""
    assert is_default_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Copy of Paint Layer 1", "Paint Layer 1 Merged", "Group Layer 2", "Layer 1 copy"),
        *("Layer 1 copy 2", "Copy of Copy of Layer 1", "Paint Layer 1 Merged Merged", "Merged"),
        *("Copy of Background", "Background copy", "Kopie von Malebene 2", "Ebene 1 Kopie"),
        *("Calque 1 copie", "Copier de Calque de dessin 1", "Layer 1 (copy)", "Layer 3 - copy"),
        *("\u56fe\u5c42 3 \u7684\u526f\u672c", "\u30ec\u30a4\u30e4\u30fc1\u306e\u30b3\u30d4\u30fc"),
        "\u041a\u043e\u043f\u0438\u044f \u0421\u043b\u043e\u0439 1",
        "Malebene 1 Zusammengef\u00fchrt",
        "Paint\u200b Layer\u2060 1",
    ],
)  # fmt: skip
def test_copies_and_merged_layers_of_such_names_are_known(name: str) -> None:
    """However often, and in Krita's languages; signs without a width do not hide them."""
    assert is_default_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Layer", "Ebene", "Calque", "Capa", "\u0421\u043b\u043e\u0439", "Group", "Untitled"),
        *("\u65b0\u5efa\u56fe\u5c42", "\u56fe\u5c42", "\u30ec\u30a4\u30e4\u30fc", "Livello"),
        *("Visible", "Clipboard", "Zwischenablage", "Unbenannt", "Sans titre", "Sin t\u00edtulo"),
        *("Layer copy", "Layer copy #1", "Ebene Kopie", "Copy of Layer", "Calque copie"),
        *("Background #1", "Background 2", "Hintergrund #1", "Filter Layer", "Filter Layer 1"),
    ],
)
def test_default_names_without_a_number_are_known(name: str) -> None:
    """As GIMP and others write them: with a capital, where the script has any."""
    assert is_default_name(name)


@pytest.mark.parametrize("name", ["\u200b", " \u2060\ufeff\u200d ", "\u3164", "\u2800\u00ad"])
def test_a_name_that_nobody_sees_is_none(name: str) -> None:
    """Signs without a width stand around names that were pasted, or are all of one."""
    assert plain_name(name) == ""
    assert plain_name(f"{name}sky{name}") == "sky"


def test_joined_signs_stay_joined() -> None:
    """Inside of a name some of them mean something."""
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert plain_name(f"a {family}") == f"a {family}"


@pytest.mark.parametrize(
    "name", ["Copy of red bricks", "snow copy", "merged rivers", "copy", "a copy of Layer 1 art"]
)
def test_words_beside_copy_are_prompts(name: str) -> None:
    """What the artist wrote stays a prompt when its layer is duplicated."""
    assert not is_default_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "layer cake", "Layer cake", "capa", "group", "visible", "red bricks", "a layer 1"),
        *("Fondo marino", "7", "Lager", "\u0428\u0430\u0440", "Group of people", "capa copia"),
    ],
)
def test_prompts_are_prompts(name: str) -> None:
    """A word alone may mean something."""
    assert not is_default_name(name)
    assert not is_background_name(name)
