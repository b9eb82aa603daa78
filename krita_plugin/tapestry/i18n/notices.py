"""What the artist is told, and how errors become that."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.sentences import Sentence, sentence_from_json

from ..common.stored_json import read_kept
from .messages import in_own_words

_log = logging.getLogger("tapestry")


@dataclass(frozen=True)
class Notice:
    """A sentence for the artist, and what to do next."""

    message: str
    advice: str = ""
    is_error: bool = True


def notice_in(report: str) -> Notice | None:
    """What a run has to say about its picture (`notices` of its JSON report), if anything."""
    kept = read_kept(report)
    found = kept.get("notices") if isinstance(kept, dict) else None
    listed = found if isinstance(found, list) else []
    sentences = [sentence for sentence in map(_sentence, listed) if sentence]
    told = " ".join(map(in_own_words, sentences))
    return Notice(told, is_error=False) if sentences else None


def _sentence(found: object) -> Sentence | None:
    try:
        return sentence_from_json(found)
    except ValueError:
        return None


def notice_of(error: Exception) -> Notice:
    """What to tell about an error; an unexpected one goes to the log with its traceback."""
    if isinstance(error, TapestryError):
        return Notice(error.message, error.advice)
    _log.error("unforeseen", exc_info=error)
    return Notice(
        "Something went wrong inside Tapestry.",
        "Please try again; the file plugin.log in Tapestry's data folder says more.",
    )
