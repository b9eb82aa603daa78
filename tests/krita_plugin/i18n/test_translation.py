"""Every text of the docker in every language."""

from __future__ import annotations

import ast
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import tapestry
import tapestry_protocol
from tapestry.i18n.messages import in_own_words
from tapestry.i18n.notices import notice_in
from tapestry.i18n.translation import catalogue, languages, speak, tr
from tapestry_protocol.fields import Stage

PLUGIN = Path(tapestry.__file__).parent
SOURCES = [path for path in sorted(PLUGIN.rglob("*.py")) if "vendor" not in path.parts]
BACKEND = PLUGIN.parents[1] / "backend" / "tapestry_backend"
SPEAKING = (
    *(PLUGIN / "backend" / f"{name}.py" for name in ("process", "remote")),
    *(PLUGIN / "connection" / f"{name}.py" for name in ("link", "wire")),
    PLUGIN / "document" / "reading.py",
    PLUGIN / "i18n" / "notices.py",
    PLUGIN / "krita_adapter" / "documents.py",
    Path(tapestry_protocol.__file__).with_name("request_checks.py"),
    *sorted((BACKEND / "tasks").glob("*.py")),
    *sorted((BACKEND / "models").rglob("*.py")),
    *sorted(
        set((BACKEND / "checkpoints").glob("*.py")) - {BACKEND / "checkpoints" / "download.py"}
    ),
    BACKEND / "workers" / "failures.py",
    *(BACKEND / "server" / "queue" / f"{name}.py" for name in ("refusals", "jobs", "blobs")),
    BACKEND / "server" / "connections" / "sessions.py",
)
"""Rooms whose errors and notices are sentences that nobody translates where they are made."""


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
    """German is complete, and English lists what there is to translate; others may come."""
    assert languages() == ["de", "en"]
    assert len(used_texts()) > 100
    assert all(english == text for english, text in catalogue("en").items())
    assert set(catalogue("en")) == set(catalogue("de"))


@pytest.mark.parametrize("code", languages())
def test_every_text_is_there_and_fills_in_the_same(code: str) -> None:
    """None is missing, and none is empty."""
    texts = catalogue(code)
    assert used_texts() - set(texts) == set()
    for english, translated in texts.items():
        assert translated.strip(), english
        assert places(translated) == places(english), english
        assert english.endswith(".") == translated.endswith("."), english


@pytest.mark.parametrize(
    "path", sorted((PLUGIN / "i18n" / "texts").glob("*.json")), ids=lambda p: p.name
)
def test_no_text_is_left_over(path: Path) -> None:
    """A text that nobody says any more is taken out; nor is one there twice."""
    pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
    names = [english for english, _ in pairs]
    assert len(names) == len(set(names))
    if "-sentences" not in path.name:
        assert set(names) <= used_texts()


def strings(path: Path) -> Iterator[str]:
    """Every text of a room but docstrings and what is translated there; a 7 for what is filled in.

    A sentence's parts are among them, such as "a picture of 7 x 7 pixels".
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed = [call for call in ast.walk(tree) if isinstance(call, ast.Call) and _is_tr(call)]
    passed += [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and _is_text(node)]
    left_out = {id(inner) for node in passed for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.JoinedStr):
            left_out |= {id(inner) for value in node.values for inner in ast.walk(value)}
            yield "".join(v.value if isinstance(v, ast.Constant) else "7" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _is_tr(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "tr"


def _is_text(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Constant)


def examples() -> list[str]:
    """What the speaking rooms say: whole sentences."""
    found = dict.fromkeys(text for path in SPEAKING for text in strings(path))
    return [text for text in found if re.match(r"[A-Z7]", text) and re.search(r" .*\.$", text)]


@pytest.mark.parametrize("sentence", examples())
def test_errors_are_told_in_german(sentence: str) -> None:
    """With their numbers and names."""
    assert in_own_words(sentence) == sentence
    speak(["en"])
    assert in_own_words(sentence) == sentence
    speak(["de"])
    told = in_own_words(sentence)
    assert told != sentence
    assert told.count("7") == sentence.count("7")


def test_every_sentence_of_the_catalogue_is_said() -> None:
    """Or a part of one."""
    said = [text for path in SPEAKING for text in strings(path)] + list(get_args(Stage))
    sentences = json.loads(
        (PLUGIN / "i18n" / "texts" / "en-sentences.json").read_text(encoding="utf-8")
    )
    for sentence in sentences:
        words = re.split(r"\{\w+\}", sentence)
        assert "7".join(words) in said, sentence


def test_the_parts_of_a_sentence_are_told_in_german_too() -> None:
    """In whatever sentence they are filled in."""
    speak(["de"])
    told = in_own_words(
        "There was not enough memory for a picture of 8 x 9 pixels while denoising: 0.5 of 2.0 GiB "
        "were free."
    )
    assert told == (
        "F\u00fcr ein Bild von 8 x 9 Pixeln war beim Malen nicht genug Speicher da: 0.5 von 2.0 "
        "GiB waren frei."
    )
    hidden = "The region 'sky' lies wholly underneath others: nothing shows."
    report = json.dumps({"notices": [hidden]})
    assert "Der Bereich 'sky' liegt ganz unter anderen" in notice_in(report).message


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
