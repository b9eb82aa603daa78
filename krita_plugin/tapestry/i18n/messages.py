"""Sentences that come ready made, from the protocol or the backend, in the artist's language.

Their catalogue, `texts/de-sentences.json`, has braces where a number, a name or a part with words
of its own stands: a sentence is recognised by the words around, and so are its parts. Nothing on
the wire but the English sentence is needed for it; one of a newer backend stays English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from .translation import spoken

_PLACE = re.compile(r"\{(\w+)\}")


def in_own_words(sentence: str) -> str:
    """The sentence in the artist's language; as it is where that language does not know it."""
    texts = spoken()
    if sentence in texts:
        return texts[sentence]
    for pattern, translated in _patterns(id(texts)):
        found = pattern.fullmatch(sentence)
        if found:
            parts = {name: in_own_words(part) for name, part in found.groupdict().items()}
            return translated.format(**parts)
    return sentence


@lru_cache(maxsize=2)
def _patterns(_texts_id: int) -> list[tuple[re.Pattern[str], str]]:
    texts: Mapping[str, str] = spoken()
    return [
        (_pattern(english), translated)
        for english, translated in texts.items()
        if _PLACE.search(english)
    ]


def _pattern(english: str) -> re.Pattern[str]:
    """The words as they are, anything where braces stand."""
    pieces = _PLACE.split(english)
    words = [re.escape(piece) for piece in pieces[::2]]
    places = [f"(?P<{name}>.+?)" for name in pieces[1::2]]
    places.append("")
    return re.compile("".join(w + p for w, p in zip(words, places, strict=True)), re.DOTALL)
