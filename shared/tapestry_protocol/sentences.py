"""Sentences for people: English with placeholders, translated where they are shown.

The English text with its placeholders is the sentence's id, as in gettext. It travels together with
the values, so that the other side can look it up in the language that is read there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .limits import MAX_SENTENCE_CHARACTERS, MAX_SENTENCE_VALUE_CHARACTERS, MAX_SENTENCE_VALUES

_PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w{0,39})\}", re.ASCII)

_MAX_DEPTH = 3
"""A sentence, those among its values, and those among theirs."""


class Sentence(str):
    """English text that remembers its placeholders and their values.

    template  the text with its placeholders: "The file {name} is damaged."
    values    a value for each of them: plain text, or a sentence that is translated itself

    Values are cut after MAX_SENTENCE_VALUE_CHARACTERS. Raises KeyError unless there is a value for
    each placeholder, and ValueError for sentences inside sentences inside sentences inside another.
    A text in which braces are only braces is made a sentence by `as_sentence`.
    """

    __slots__ = ("template", "values")

    template: str
    values: Mapping[str, str]

    def __new__(cls, template: str, /, **values: object) -> Sentence:  # noqa: PYI034  Self is 3.11's
        template = _encodable(template)
        unmatched = values.keys() ^ set(_PLACEHOLDER.findall(template))
        if unmatched:
            raise KeyError(f"{template!r}: {sorted(unmatched)}")
        kept = {name: _value(value) for name, value in values.items()}
        sentence = _made(fill_in(template, kept), template, kept)
        if _depth(sentence) > _MAX_DEPTH:
            raise ValueError(f"{template!r} is nested too deeply")
        return sentence

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (str(self), self.template, self.values)

    def to_json(self) -> str | dict[str, Any]:
        """As it travels."""
        return _to_json(self) if self.values else self.template


def as_sentence(text: str) -> Sentence:
    """A text as a sentence, its braces as they are; a sentence is returned unchanged."""
    if isinstance(text, Sentence):
        return text
    text = _encodable(text)
    return _made(text, text, {})


def quoted(name: object) -> str:
    """A name, path or prompt in quotation marks, as it is; only control characters are spelled.

    `repr` would double the backslashes of a path on Windows.
    """
    text = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in str(name))
    return f"\u201c{text}\u201d"


def _made(text: str, template: str, values: Mapping[str, str]) -> Sentence:
    sentence = str.__new__(Sentence, text)
    sentence.template, sentence.values = template, values
    return sentence


def fill_in(template: str, values: Mapping[str, str]) -> str:
    """The text with the values in place of their placeholders."""
    if not values:
        return template
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def sentence_from_json(received: object) -> Sentence:
    """The sentence that was received; raises ValueError when it is none."""
    if isinstance(received, str):
        received = {"id": received}
    return _from_json(received, _MAX_DEPTH)


def _from_json(received: object, depth: int) -> Sentence:
    if not isinstance(received, dict) or not depth or received.keys() - {"id", "values"}:
        raise ValueError("must be a sentence: its id, and its values")
    template, values = received.get("id"), received.get("values", {})
    if not isinstance(template, str) or len(template) > MAX_SENTENCE_CHARACTERS:
        raise ValueError(f"must have an id of {MAX_SENTENCE_CHARACTERS} characters at most")
    if not isinstance(values, dict):
        raise ValueError("must have values by their names")  # noqa: TRY004  it is what came
    if not values:
        return as_sentence(template)
    if len(values) > MAX_SENTENCE_VALUES:
        raise ValueError(f"must have no more than {MAX_SENTENCE_VALUES} values")
    if set(_PLACEHOLDER.findall(template)) != set(values):
        raise ValueError("must have a value for each of its placeholders")
    made = Sentence(template, **{name: _value_from_json(v, depth) for name, v in values.items()})
    if len(made) > MAX_SENTENCE_CHARACTERS:
        raise ValueError(f"must be no longer than {MAX_SENTENCE_CHARACTERS}")
    return made


def _value_from_json(received: object, depth: int) -> str:
    return received if isinstance(received, str) else _from_json(received, depth - 1)


def _to_json(value: str) -> str | dict[str, Any]:
    """A value as it travels: text as a string, a sentence as an object, even one without values.

    So a sentence, which is translated, differs from a name that happens to read like one.
    """
    if not isinstance(value, Sentence):
        return value
    values = {name: _to_json(inner) for name, inner in value.values.items()}
    return {"id": value.template, **({"values": values} if values else {})}


def _depth(value: str) -> int:
    inner = value.values.values() if isinstance(value, Sentence) else ()
    return isinstance(value, Sentence) + max(map(_depth, inner), default=0)


def _value(value: object) -> str:
    if isinstance(value, Sentence):
        return value
    text = _encodable(str(value))
    if len(text) <= MAX_SENTENCE_VALUE_CHARACTERS:
        return text
    return f"{text[: MAX_SENTENCE_VALUE_CHARACTERS - 1]}\u2026"


def _encodable(text: str) -> str:
    # A file's name may hold bytes that are not UTF-8, and the sentence must travel all the same.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


NO_ADVICE = Sentence("")
