"""Every text about jobs, results and the backend has a German one."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from tapestry import translation

PLUGIN = Path(translation.__file__).parent


def texts() -> set[str]:
    """All texts that are given to `tr` anywhere in the plugin."""
    found = set()
    for path in PLUGIN.rglob("*.py"):
        if "vendor" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr":
                (argument,) = node.args
                found.add(ast.literal_eval(argument))
    return found


def names(text: str) -> set[str | None]:
    """What is filled in."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_text_is_translated() -> None:
    """And with the same names in braces."""
    german = translation.catalogue("de")
    found = texts()
    assert "Take back" in found
    assert sorted(found - german.keys()) == []
    assert [text for text in found if names(german[text]) != names(text)] == []


@pytest.mark.parametrize(
    ("wanted", "spoken", "word"),
    [
        (["de_AT.UTF-8"], "de", "Verwerfen"),
        (["de-DE"], "de", "Verwerfen"),
        (["xx"], "en", "Discard"),
    ],
)
def test_the_artists_language_is_spoken(wanted: list[str], spoken: str, word: str) -> None:
    """English where there is none of theirs."""
    assert translation.speak(wanted) == spoken
    assert translation.tr("Discard") == word
    translation.speak([])
