"""Translation: from the English texts in the code to the artist's language.

tr          a text of the plugin; names in braces are filled in after translation:
            `tr("{count} regions").format(count=3)`
translate   a sentence of the protocol or the backend, which brings its values along

`texts/en.json` and `texts/en-*.json` list the English texts, `texts/de.json` and `texts/de-*.json`
hold the German ones, and so on. A text that is not in them, of a newer backend, stays English.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from tapestry_protocol.sentences import Sentence, fill_in

_TEXTS = Path(__file__).with_name("texts")
_QUOTED = re.compile("\u201c([^\u201c\u201d]*)\u201d")
_DECIMAL = re.compile(r"-?\d+\.\d+")
_active: dict[str, Mapping[str, str]] = {"texts": {}}


def tr(text: str) -> str:
    """The text in the artist's language; as it is where that language has none for it."""
    return _active["texts"].get(text, text)


def decimal(number: float | str) -> str:
    """A number as that language writes it: 2.9, or 2,9."""
    return str(number).replace(".", tr("0.5")[1])


def translate(text: str) -> str:
    """A sentence and the sentences among its values in the artist's language.

    Values that are plain text, such as names, stay as they are, but for the quotation marks around
    them and the decimal points of numbers.
    """
    if not isinstance(text, Sentence):
        return _active["texts"].get(text, text)
    values = {
        name: translate(value) if isinstance(value, Sentence) else _written(value)
        for name, value in text.values.items()
    }
    return fill_in(_active["texts"].get(text.template, text.template), values)


def _written(value: str) -> str:
    """A name in that language's quotation marks, a number with its decimal sign."""
    if _DECIMAL.fullmatch(value):
        return decimal(value)
    pattern = tr("\u201c{text}\u201d")
    return _QUOTED.sub(lambda found: pattern.format(text=found[1]), value)


def languages() -> list[str]:
    """The codes of all languages there are texts in, e.g. "de"."""
    return sorted({path.stem.partition("-")[0] for path in _TEXTS.glob("*.json")})


def choose_language(wanted: Iterable[str]) -> str:
    """Use the first of these languages ("de_AT.UTF-8", "de-DE", ...) that is there; its code."""
    known = languages()
    for name in wanted:
        code = name.replace("-", "_").partition("_")[0].partition(".")[0].lower()
        if code in known:
            _active["texts"] = catalogue(code)
            return code
    _active["texts"] = {}
    return "en"


@lru_cache
def catalogue(code: str) -> Mapping[str, str]:
    """English text -> text in this language, out of all files of that language."""
    texts: dict[str, str] = {}
    for path in sorted([*_TEXTS.glob(f"{code}.json"), *_TEXTS.glob(f"{code}-*.json")]):
        texts |= json.loads(path.read_text(encoding="utf-8"))
    return texts
