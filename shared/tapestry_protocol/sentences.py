"""Sentences for people: English with places for names and numbers, put into words by the reader.

The English text with its places is the sentence's id, as in gettext. It travels with what fills the
places, so that the other side can look it up in the language that is read there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .limits import MAX_SENTENCE_CHARACTERS, MAX_SENTENCE_VALUE_CHARACTERS, MAX_SENTENCE_VALUES

_PLACE = re.compile(r"\{([A-Za-z_]\w{0,39})\}", re.ASCII)

_MOST_DEPTH = 3
"""A value may be a sentence, whose values may be sentences; those have texts alone."""


class Sentence(str):
    """English text that knows what was filled into which places.

    template  the text with its places: "The file {name} is damaged."
    values    what fills each of them: plain text, or a sentence that has words of its own

    A text without values is taken as it is. Values are cut after MAX_SENTENCE_VALUE_CHARACTERS.
    Raises KeyError for a place that nothing fills.
    """

    __slots__ = ("template", "values")

    template: str
    values: Mapping[str, str]

    def __new__(cls, template: str, /, **values: object) -> Sentence:  # noqa: PYI034  Self is 3.11's
        template = _travelling(template)
        kept = {name: _value(value) for name, value in values.items()}
        sentence = super().__new__(cls, filled(template, kept))
        sentence.template, sentence.values = template, kept
        return sentence

    def to_json(self) -> str | dict[str, Any]:
        """As it travels."""
        return _part(self) if self.values else self.template


def as_sentence(text: str) -> Sentence:
    """A text as a sentence; what is one stays one."""
    return text if isinstance(text, Sentence) else Sentence(text)


def filled(template: str, values: Mapping[str, str]) -> str:
    """The text with its places filled in."""
    if not values:
        return template
    return _PLACE.sub(lambda place: values[place[1]], template)


def sentence_from_json(found: object) -> Sentence:
    """The sentence that has travelled; raises ValueError for what is none."""
    if isinstance(found, str):
        found = {"id": found}
    return _sentence(found, _MOST_DEPTH)


def _sentence(found: object, depth: int) -> Sentence:
    if not isinstance(found, dict) or not depth or found.keys() - {"id", "values"}:
        raise ValueError("must be a sentence: its id, and its values")
    template, values = found.get("id"), found.get("values", {})
    if not isinstance(template, str) or len(template) > MAX_SENTENCE_CHARACTERS:
        raise ValueError(f"must have an id of {MAX_SENTENCE_CHARACTERS} characters at most")
    if not isinstance(values, dict):
        raise ValueError("must have values by their names")  # noqa: TRY004  it is what came
    if len(values) > MAX_SENTENCE_VALUES:
        raise ValueError(f"must have no more than {MAX_SENTENCE_VALUES} values")
    if values and set(_PLACE.findall(template)) != set(values):
        raise ValueError("must have a value for each of its places")
    made = Sentence(template, **{name: _found_value(v, depth) for name, v in values.items()})
    if len(made) > MAX_SENTENCE_CHARACTERS:
        raise ValueError(f"must be no longer than {MAX_SENTENCE_CHARACTERS}")
    return made


def _found_value(found: object, depth: int) -> str:
    return found if isinstance(found, str) else _sentence(found, depth - 1)


def _part(value: str) -> str | dict[str, Any]:
    """Another sentence inside one is told from a text that may be anything, such as a name."""
    if not isinstance(value, Sentence):
        return value
    values = {name: _part(inner) for name, inner in value.values.items()}
    return {"id": value.template, **({"values": values} if values else {})}


def _value(value: object) -> str:
    if isinstance(value, Sentence):
        return value
    text = _travelling(str(value))
    if len(text) <= MAX_SENTENCE_VALUE_CHARACTERS:
        return text
    return f"{text[: MAX_SENTENCE_VALUE_CHARACTERS - 1]}\u2026"


def _travelling(text: str) -> str:
    # A name of a file may hold what is no text: a sentence must be able to travel all the same.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


NO_ADVICE = Sentence("")
