"""The one way from a text in the code to the artist's language.

The code holds the English texts; `texts/en.json` and `texts/en-*.json` list them for whoever
translates, `texts/de.json` and `texts/de-*.json` give the same ones in German, and so on. Names in
braces stay as they are, and are filled in after translation:
`tr("{count} regions").format(count=3)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

_TEXTS = Path(__file__).with_name("texts")
_TONGUE: dict[str, Mapping[str, str]] = {"texts": {}}


def tr(text: str) -> str:
    """The text in the artist's language; as it is where that language has none for it."""
    return _TONGUE["texts"].get(text, text)


def spoken() -> Mapping[str, str]:
    """English text -> text in the artist's language; empty where that one is not there."""
    return _TONGUE["texts"]


def languages() -> list[str]:
    """The codes of all languages there are texts in, e.g. "de"."""
    return sorted({path.stem.partition("-")[0] for path in _TEXTS.glob("*.json")})


def speak(wanted: Iterable[str]) -> str:
    """Take the first of these languages ("de_AT.UTF-8", "de-DE", ...) that is there; its code."""
    known = languages()
    for name in wanted:
        code = name.replace("-", "_").partition("_")[0].partition(".")[0].lower()
        if code in known:
            _TONGUE["texts"] = catalogue(code)
            return code
    _TONGUE["texts"] = {}
    return "en"


@lru_cache
def catalogue(code: str) -> Mapping[str, str]:
    """English text -> text in this language, out of all files of that language."""
    texts: dict[str, str] = {}
    for path in sorted([*_TEXTS.glob(f"{code}.json"), *_TEXTS.glob(f"{code}-*.json")]):
        texts |= json.loads(path.read_text(encoding="utf-8"))
    return texts
