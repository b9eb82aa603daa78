"""Sentences that come from the protocol or the backend, in the artist's language.

Their English text is their id, for which `texts/de-sentences.json` has the German one; both have
the same places. One that the catalogue does not know, of a newer backend, stays English.
"""

from __future__ import annotations

from tapestry_protocol.sentences import Sentence, fill_in

from .translation import spoken


def in_own_words(text: str) -> str:
    """The sentence in the artist's language, and so are those inside it; names stay as they are."""
    known = spoken()
    if not isinstance(text, Sentence):
        return known.get(text, text)
    values = {
        name: in_own_words(value) if isinstance(value, Sentence) else value
        for name, value in text.values.items()
    }
    return fill_in(known.get(text.template, text.template), values)
