"""Every text of the docker in every language."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import tapestry
import tapestry_protocol
from tapestry.sentences import in_own_words
from tapestry.translation import catalogue, languages, speak, tr

PLUGIN = Path(tapestry.__file__).parent
SOURCES = [path for path in sorted(PLUGIN.rglob("*.py")) if "vendor" not in path.parts]
SPEAKING = (
    PLUGIN / "reading.py",
    PLUGIN / "krita_canvas.py",
    Path(tapestry_protocol.__file__).with_name("request_checks.py"),
)
"""Rooms whose errors are sentences that nobody translates where they are raised."""


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """What a test speaks is its own."""
    yield
    speak([])


def calls(path: Path, *names: str) -> Iterator[ast.Call]:
    """All calls of functions of these names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def used_texts() -> set[str]:
    """Every text that goes through the translation."""
    texts = set()
    for path in SOURCES:
        for call in calls(path, "tr"):
            (text,) = call.args
            assert isinstance(text, ast.Constant), f"{path.name}:{call.lineno} is no plain text"
            texts.add(text.value)
    return texts


def places(text: str) -> list[str]:
    """What is filled in."""
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


def test_there_is_a_second_language() -> None:
    """German is complete; others may come."""
    assert languages() == ["de"]
    assert len(used_texts()) > 100


@pytest.mark.parametrize("code", languages())
def test_every_text_is_there_and_fills_in_the_same(code: str) -> None:
    """None is missing, and none is empty."""
    texts = catalogue(code)
    assert used_texts() - set(texts) == set()
    for english, translated in texts.items():
        assert translated.strip(), english
        assert places(translated) == places(english), english
        assert english.endswith(".") == translated.endswith("."), english


@pytest.mark.parametrize("path", sorted((PLUGIN / "texts").glob("*.json")), ids=lambda p: p.name)
def test_no_text_is_left_over(path: Path) -> None:
    """A text that nobody says any more is taken out; nor is one there twice."""
    pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
    names = [english for english, _ in pairs]
    assert len(names) == len(set(names))
    if "-sentences" not in path.name:
        assert set(names) <= used_texts()


def examples() -> list[str]:
    """What the speaking rooms say, with a 7 wherever something is filled in."""
    found = []
    for path in SPEAKING:
        for call in calls(path, "TapestryError", "_bad"):
            texts = [a for a in call.args if isinstance(a, ast.Constant | ast.JoinedStr)]
            for text in texts:
                parts = text.values if isinstance(text, ast.JoinedStr) else [text]
                found.append(
                    "".join(part.value if isinstance(part, ast.Constant) else "7" for part in parts)
                )
    return found


@pytest.mark.parametrize("sentence", examples())
def test_errors_are_told_in_german(sentence: str) -> None:
    """With their numbers and names."""
    assert in_own_words(sentence) == sentence
    speak(["de"])
    told = in_own_words(sentence)
    assert told != sentence
    assert told.count("7") == sentence.count("7")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (["de_AT.UTF-8"], "de"),
        (["de-CH"], "de"),
        (["DE"], "de"),
        (["xx", "de"], "de"),
        (["C"], "en"),
        ([""], "en"),
        (["deutsch"], "en"),
    ],
)
def test_the_language_is_the_artists(wanted: list[str], code: str) -> None:
    """Or English, where theirs is not there."""
    assert speak(wanted) == code
    assert tr("Fill") == {"de": "F\u00fcllen", "en": "Fill"}[code]


def test_what_is_not_known_stays_as_it_is() -> None:
    """A sentence of a newer backend."""
    speak(["de"])
    assert tr("unheard of") == in_own_words("unheard of") == "unheard of"
