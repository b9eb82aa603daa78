"""Every text of the docker in every language."""

from __future__ import annotations

import ast
import json
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

import tapestry
import tapestry_protocol
from tapestry.i18n.notices import notice_in
from tapestry.i18n.translation import catalogue, choose_language, languages, tr, translate
from tapestry_backend.workers.results import report_text
from tapestry_protocol.fields import Stage
from tapestry_protocol.sentences import Sentence

PLUGIN = Path(tapestry.__file__).parent
SOURCES = [path for path in sorted(PLUGIN.rglob("*.py")) if "vendor" not in path.parts]
BACKEND = PLUGIN.parents[1] / "backend" / "tapestry_backend"
SHARED = Path(tapestry_protocol.__file__).parent
TERMINAL = (
    *(BACKEND / folder for folder in ("bench", "cli", "openraster", "outputs.py")),
    BACKEND / "checkpoints" / "download.py",
    BACKEND / "server" / "connections" / "listen_address.py",
)
"""What speaks in a terminal alone, which is English."""


@cache
def parsed(path: Path) -> ast.Module:
    """A module's source, read once for all tests."""
    return ast.parse(path.read_text(encoding="utf-8"))


def calls(path: Path, *names: str) -> Iterator[ast.Call]:
    """All calls of functions of these names."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def speaking() -> Iterator[Path]:
    """Rooms whose errors and notices reach the artist."""
    for path in (*SOURCES, *sorted(SHARED.glob("*.py")), *sorted(BACKEND.rglob("*.py"))):
        if any(path.is_relative_to(folder) for folder in (*TERMINAL, SHARED / "sentences.py")):
            continue
        is_whole = any(path.is_relative_to(BACKEND / folder) for folder in WHOLE_FOLDERS)
        if is_whole or any(calls(path, "TapestryError", "Failed", "Remark", "Notice", "Sentence")):
            yield path


SAME_IN_GERMAN = {"{stage} (step {step})"}
WHOLE_FOLDERS = ("checkpoints", "models", "tasks")
"""Here a sentence may stand in a table, and be told from another file."""
SPEAKING = tuple(speaking())


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """What a test speaks is its own."""
    yield
    choose_language([])


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
    """A text that is not used any more is removed, and none is there twice."""
    pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
    names = [english for english, _ in pairs]
    assert len(names) == len(set(names))
    if "-sentences" not in path.name:
        assert set(names) <= used_texts()


def strings(path: Path) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Every text of a folder but docstrings and what is translated there."""
    tree = parsed(path)
    passed = [call for call in ast.walk(tree) if isinstance(call, ast.Call) and _is_tr(call)]
    passed += [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and _is_text(node)]
    left_out = {id(inner) for node in passed for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.JoinedStr):
            left_out |= {id(inner) for value in node.values for inner in ast.walk(value)}
            yield node
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node


def words(node: Any) -> str:
    """A text, with a 7 for what an f-string fills in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else "7" for v in node.values)
    return node.value


def _is_tr(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "tr"


def _is_text(node: ast.Expr) -> bool:
    return isinstance(node.value, ast.Constant)


def whole_sentences(kind: type) -> list[str]:
    """What the speaking folders say; with numbers and names where it is an f-string."""
    found = [(path, node) for path in SPEAKING for node in strings(path) if isinstance(node, kind)]
    return [
        f"{words(node)} ({path.name}:{node.lineno})" if kind is ast.JoinedStr else words(node)
        for path, node in found
        if re.match(r"[A-Z7{]", words(node)) and re.search(r" .*\.$", words(node))
    ]


def said() -> dict[str, ast.Call]:
    """The texts of all sentences and their parts, and where they are said."""
    found = {}
    for path in SPEAKING:
        for call in calls(path, "Sentence"):
            where = f"{path.name}:{call.lineno}"
            (text,) = call.args
            if isinstance(text, ast.Constant):
                names = sorted(str(keyword.arg) for keyword in call.keywords)
                assert names == places(text.value), f"{where}: other placeholders than values"
                found[text.value] = call
            else:
                assert not call.keywords, f"{where}: which sentence is it?"
        for call in calls(path, "BrokenFileError"):
            found |= dict.fromkeys(words_outside_sentences(call.args[0]), call)
    return {text: call for text, call in found.items() if text}


def words_outside_sentences(value: ast.AST) -> Iterator[str]:
    """The words in an expression that are no `Sentence`, and so stay English; no names of files."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Sentence":
        return
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        is_file = re.fullmatch(r"[\w./-]+\.[a-z]+", value.value)
        if re.search(r"[a-z]{2}", value.value) and not is_file:
            yield value.value
    parts: Iterator[ast.AST] = ast.iter_child_nodes(value)
    if isinstance(value, ast.FormattedValue):  # its format is no text
        parts = iter([value.value])
    elif isinstance(value, ast.Call | ast.Subscript):  # nor are arguments, keys and paths
        parts = iter([])
    elif isinstance(value, ast.IfExp):  # nor what is only compared
        parts = iter([value.body, value.orelse])
    for part in parts:
        yield from words_outside_sentences(part)


@pytest.mark.parametrize(
    "path", SPEAKING, ids=lambda path: str(path.relative_to(PLUGIN.parents[1]))
)
def test_words_in_a_sentence_are_sentences(path: Path) -> None:
    """A value is what artists, files and numbers are called, or a `Sentence` of its own."""
    given: dict[str, list[ast.expr]] = {}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Assign | ast.AugAssign) and isinstance(node.value, ast.expr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                given.setdefault(ast.unparse(target), []).append(node.value)
    for call in calls(path, "Sentence"):
        for keyword in call.keywords:
            for value in [keyword.value, *given.get(ast.unparse(keyword.value), [])]:
                english = set(words_outside_sentences(value))
                assert not english, f"{path.name}:{call.lineno}: {keyword.arg}"


def test_words_in_a_table_are_sentences() -> None:
    """A text that has its German is told in it only as a `Sentence`; by itself it is a word."""
    parts = {english for english in catalogue("de") if " " in english and english[-1] not in ".!?"}
    plain = []
    for path in set(SPEAKING) - set(SOURCES):
        for node in ast.walk(parsed(path)):
            match node:
                case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Dict(values=items):
                    texts = [item for item in items if isinstance(item, ast.Constant)]
                    plain += [f"{path.name}: {t.value}" for t in texts if t.value in parts]
    assert plain == []


def test_no_sentence_is_put_together_where_it_is_said() -> None:
    """An f-string is English for ever: it is a `Sentence` with places."""
    assert whole_sentences(ast.JoinedStr) == []
    for path in SPEAKING:
        for call in calls(path, "TapestryError", "Failed", "Remark", "Notice", "BrokenFileError"):
            put_together = [a for a in call.args if isinstance(a, ast.JoinedStr | ast.BinOp)]
            assert not put_together, f"{path.name}:{call.lineno}"


@pytest.mark.parametrize("sentence", sorted({*whole_sentences(ast.Constant), *said()}))
def test_errors_are_told_in_german(sentence: str) -> None:
    """With their numbers and names."""
    values = dict.fromkeys(places(sentence), "7")
    told = Sentence(sentence, **values)
    assert translate(told) == told
    choose_language(["en"])
    assert translate(told) == told
    assert sentence in catalogue("en")
    choose_language(["de"])
    assert translate(told).count("7") == told.count("7")
    assert translate(told) != told or sentence in SAME_IN_GERMAN


def test_every_sentence_of_the_catalogue_is_said() -> None:
    """Or a part of one."""
    texts = {words(node) for path in SPEAKING for node in strings(path)} | set(get_args(Stage))
    sentences = json.loads(
        (PLUGIN / "i18n" / "texts" / "en-sentences.json").read_text(encoding="utf-8")
    )
    assert set(sentences) - texts == set()


def test_the_parts_of_a_sentence_are_told_in_german_too() -> None:
    """In whatever sentence they are filled in; names stay, numbers get their comma."""
    choose_language(["de"])
    told = translate(
        Sentence(
            "There was not enough memory for {what} while {stage}: {free} of {total} GiB were "
            "free.",
            what=Sentence("a picture of {width} x {height} pixels", width=8, height=9),
            stage=Sentence("denoising"),
            free="0.5",
            total="2.0",
        )
    )
    assert told == (
        "F\u00fcr ein Bild von 8 x 9 Pixeln war beim Malen nicht genug Speicher da: 0,5 von 2,0 "
        "GiB waren frei."
    )
    called = Sentence("There is no model {name}.", name="denoising {name} <b>")
    assert translate(called) == "Es gibt kein Modell denoising {name} <b>."


def test_notices_of_a_report_are_told_in_german() -> None:
    """One after the other; what is no sentence is left out."""
    hidden = Sentence("The region {name} lies wholly underneath others: nothing shows.", name="“a”")
    listed = [hidden.to_json(), "Unheard of.", {"id": 7}, {"values": {}}, None, ["no"]]
    report = report_text({"notices": [hidden, "Unheard of."], "seed": 7})
    assert json.loads(report) == {"notices": listed[:2], "seed": 7}
    choose_language(["de"])
    told = notice_in(json.dumps({"notices": listed})).message
    assert (
        told == "Der Bereich „a“ liegt ganz unter anderen: Nichts ist von ihm zu sehen. Unheard of."
    )
    assert notice_in(json.dumps({"notices": listed[2:]})) is None


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
    assert choose_language(wanted) == code
    assert tr("Fill") == {"de": "F\u00fcllen", "en": "Fill"}[code]


def test_an_unknown_text_stays_as_it_is() -> None:
    """A sentence of a newer backend."""
    choose_language(["de"])
    assert tr("unheard of") == translate("unheard of") == "unheard of"
