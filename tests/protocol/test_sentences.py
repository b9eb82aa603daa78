"""Sentences that are put into words by their reader."""

from __future__ import annotations

import copy
import json
from pathlib import PureWindowsPath

import pytest

from tapestry_protocol.codec import decode, encode
from tapestry_protocol.errors import ErrorCode, ProtocolError, TapestryError
from tapestry_protocol.limits import (
    MAX_SENTENCE_CHARACTERS,
    MAX_SENTENCE_VALUE_CHARACTERS,
    MAX_SENTENCE_VALUES,
)
from tapestry_protocol.messages import Failed
from tapestry_protocol.sentences import Sentence, as_sentence, quoted, sentence_from_json

DAMAGED = Sentence("The file {name} is damaged.", name="sky.png")
LONG = Sentence(
    "There is no room for {what} at {step} %.",
    what=Sentence("a picture {width} wide in {where}", width=8, where=Sentence("the layer")),
    step=7,
)


def travelled(sentence: Sentence) -> Sentence:
    """As it comes out on the other side of the wire."""
    message = decode(encode(Failed("job", ErrorCode.INTERNAL, sentence)))
    assert isinstance(message, Failed)
    return message.message


def test_a_sentence_is_its_english_text() -> None:
    """For logs, the terminal, and code that expects a string."""
    assert DAMAGED == "The file sky.png is damaged."
    assert LONG == "There is no room for a picture 8 wide in the layer at 7 %."
    error = TapestryError(ErrorCode.INTERNAL, DAMAGED)
    assert (str(error), error.message.template) == (DAMAGED, "The file {name} is damaged.")
    assert json.dumps([DAMAGED]) == '["The file sky.png is damaged."]'


@pytest.mark.parametrize("sentence", [DAMAGED, LONG, as_sentence("Nothing to fill in: {this}.")])
def test_a_sentence_travels_with_its_places(sentence: Sentence) -> None:
    """Parts as well; and it may be copied."""
    for other in (travelled(sentence), copy.deepcopy(sentence)):
        assert other == sentence
        assert (other.template, other.values) == (sentence.template, sentence.values)
        assert [type(v) for v in other.values.values()] == [
            type(v) for v in sentence.values.values()
        ]


def test_a_plain_text_travels_as_it_did() -> None:
    """So that messages without places, and older ones, are read."""
    text = encode(Failed("job", ErrorCode.INTERNAL, as_sentence("It is damaged.")))
    assert '"message": "It is damaged."' in text
    assert as_sentence(DAMAGED) is DAMAGED


def test_values_are_text_and_nothing_else() -> None:
    """Whatever an artist, or a file, is called."""
    name = "{name} {name.__class__} %s <b>\u202e"
    assert Sentence("{name}: {why}.", name=name, why="{name}") == f"{name}: {{name}}."
    assert Sentence("{name.__class__} {0} {} {name}", name="x") == "{name.__class__} {0} {} x"
    assert Sentence("{name}", name="a\udcff") == "a\\udcff"
    assert travelled(Sentence("{name}", name="a\udcff")) == "a\\udcff"


def test_a_value_that_is_too_long_is_cut() -> None:
    """Where it is filled in, and where it arrives."""
    most = MAX_SENTENCE_VALUE_CHARACTERS
    assert Sentence("{name}", name="x" * most) == "x" * most
    cut = "x" * (most - 1) + "\u2026"
    assert Sentence("{name}", name="x" * (most + 1)) == cut
    assert sentence_from_json({"id": "{name}", "values": {"name": "x" * 10**6}}) == cut


@pytest.mark.parametrize("values", [{}, {"name": "x"}, {"name": "x", "other": "x", "third": "x"}])
def test_each_placeholder_has_a_value(values: dict[str, str]) -> None:
    """And each value a placeholder: anything else would be refused on the other side."""
    with pytest.raises(KeyError):
        Sentence("{name} and {other}", **values)


def test_a_sentence_that_would_be_refused_is_not_made() -> None:
    """The sender allows as many sentences inside each other as the receiver."""
    deepest = Sentence("{a}", a=Sentence("{a}", a=Sentence("{a}", a="x")))
    assert travelled(deepest) == "x"
    with pytest.raises(ValueError, match="too deeply"):
        Sentence("{a}", a=deepest)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("sky", "“sky”"),
        (PureWindowsPath("C:/models/loras"), r"“C:\models\loras”"),
        ('it\'s "so"', '“it\'s "so"”'),
        ("a\nb\0c\u202ed", r"“a\nb\x00c\u202ed”"),
        ("b\udcffd", r"“b\udcffd”"),
    ],
)
def test_a_name_is_quoted_as_it_is(name: object, shown: str) -> None:
    """No backslash is doubled; only what cannot be seen is spelled."""
    assert quoted(name) == shown


DEEP: dict = {"id": "{a}", "values": {"a": "x"}}
for _ in range(3):
    DEEP = {"id": "{a}", "values": {"a": DEEP}}


@pytest.mark.parametrize(
    "found",
    [
        7,
        None,
        [],
        {},
        {"id": 7},
        {"id": "x", "other": 1},
        {"id": "{a}", "values": {"a": 7}},
        {"id": "{a}", "values": ["a"]},
        {"id": "{a}", "values": {"b": "x"}},
        {"id": "{a}", "values": {"a": "x", "b": "x"}},
        {"id": "{a}", "values": {"a": {"id": 7}}},
        {"id": "x" * (MAX_SENTENCE_CHARACTERS + 1)},
        {"id": "{a}" * 9, "values": {"a": "x" * MAX_SENTENCE_VALUE_CHARACTERS}},
        {
            "id": "".join(f"{{a{n}}}" for n in range(MAX_SENTENCE_VALUES + 1)),
            "values": {f"a{n}": "x" for n in range(MAX_SENTENCE_VALUES + 1)},
        },
        DEEP,
    ],
)
def test_what_is_no_sentence_is_refused(found: object) -> None:
    """As every other value that is not what its field wants."""
    text = json.dumps({"kind": "failed", "job_id": "", "code": "internal", "message": found})
    with pytest.raises(ProtocolError, match=r"failed\.message"):
        decode(text)
