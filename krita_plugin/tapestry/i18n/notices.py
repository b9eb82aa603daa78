"""Notices for the artist: made of errors and reports, and translated here."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.sentences import Sentence, sentence_from_json

from ..common.stored_json import read_kept
from .translation import translate

_log = logging.getLogger("tapestry")


@dataclass(frozen=True)
class Notice:
    """A sentence for the artist, and what to do next, in the artist's language."""

    message: str
    advice: str = ""
    is_error: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", translate(self.message))
        object.__setattr__(self, "advice", translate(self.advice))


def notice_in(report: str) -> Notice | None:
    """What a run has to say about its picture (`notices` of its JSON report), if anything."""
    kept = read_kept(report)
    received = kept.get("notices") if isinstance(kept, dict) else None
    listed = received if isinstance(received, list) else []
    sentences = [sentence for sentence in map(_sentence, listed) if sentence]
    return Notice(" ".join(map(translate, sentences)), is_error=False) if sentences else None


def _sentence(received: object) -> Sentence | None:
    try:
        return sentence_from_json(received)
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
