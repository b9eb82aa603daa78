"""Files that were found and cannot be used, with the reason, as the artist reads it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_ID_CHARACTERS, MAX_LEFT_OUT
from tapestry_protocol.sentences import Sentence, as_sentence, quoted

T = TypeVar("T")

_log = logging.getLogger("tapestry.models")

_MAX_SENTENCE_CHARACTERS = 600
_MAX_LIST_BYTES = 400_000
"""Size of all ids of a list on the wire: the message with both lists stays below its limit."""


class LeftOut(TapestryError):  # noqa: N818  it is read far more often than raised
    """Why a file or folder is not offered; one of many, and no reason to stop for the others."""

    def __init__(self, path: Path, reason: TapestryError) -> None:
        super().__init__(reason.code, reason.message, reason.advice)
        self.path = path

    @classmethod
    def broken(cls, path: Path, message: str, advice: str = "") -> LeftOut:
        """For what is there, and not what it should be."""
        return cls(path, TapestryError(ErrorCode.MODEL_BROKEN, message, advice))

    @classmethod
    def missing(cls, path: Path, message: str, advice: str = "") -> LeftOut:
        """For what is not there, or has no usable name."""
        return cls(path, TapestryError(ErrorCode.MODEL_NOT_FOUND, message, advice))

    @classmethod
    def too_many(cls, path: Path, message: str, advice: str = "") -> LeftOut:
        """For what is more, or lies deeper, than is looked at."""
        return cls(path, TapestryError(ErrorCode.TOO_LARGE, message, advice))

    @property
    def sentence(self) -> Sentence:
        """The reason, without the advice and short enough for a list."""
        text = self.message
        if len(text) <= _MAX_SENTENCE_CHARACTERS:
            return text
        return as_sentence(f"{text[: _MAX_SENTENCE_CHARACTERS - 1]}\u2026")


def unreadable(path: Path, error: OSError) -> LeftOut:
    """For a file or folder that the system does not let us read."""
    reason = error.strerror or Sentence("the system does not say why")
    return LeftOut.broken(
        path,
        Sentence("{path} cannot be read ({reason}).", path=quoted(path), reason=reason),
        "Give yourself the right to read it, or name another place.",
    )


def unforeseen(path: Path, error: Exception) -> LeftOut:
    """For an unexpected error; the log has its traceback."""
    _log.warning("%r could not be read", str(path), exc_info=error)
    return LeftOut.broken(
        path,
        Sentence(
            "{path} could not be read: it is written in a way that Tapestry does not know.",
            path=quoted(path),
        ),
        "Move it to another place if you do not need it; the backend's log has the particulars.",
    )


def why_no_id(name: str) -> Sentence | None:
    """What keeps a name from being an id, as the end of "Its name ..."; None for a good one."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return Sentence("is not written in UTF-8")
    if len(name) > MAX_ID_CHARACTERS:
        return Sentence(
            "has {count} characters, more than {most}", count=len(name), most=MAX_ID_CHARACTERS
        )
    if not name.isprintable() or not name.strip():
        return Sentence("holds signs that cannot be shown")
    return None


def choose_id(path: Path, names: Iterable[str], taken: Callable[[str], bool]) -> str | LeftOut:
    """The first of these names that is free and good as an id; why there is none otherwise."""
    reason = None
    for name in names:
        problem = why_no_id(name)
        if problem is None and taken(name):
            problem = Sentence("is that of another one already")
        if problem is None:
            return name
        reason = reason or problem
    return LeftOut.missing(
        path,
        Sentence("{path} is left out: its name {problem}.", path=quoted(path), problem=reason),
        "Give it a short, plain name of its own.",
    )


def fitting(
    found: Sequence[T],
    most: int,
    id_of: Callable[[T], str],
    path_of: Callable[[T], Path],
    what: Sentence,
) -> tuple[Sequence[T], list[LeftOut]]:
    """As many of these as a list holds that is sent to a client, and a word about the others."""
    bytes_left = _MAX_LIST_BYTES
    for number, each in enumerate(found):
        bytes_left -= len(json.dumps(id_of(each), ensure_ascii=False).encode("utf-8"))
        if number == most or bytes_left < 0:
            rest = found[number:]
            return found[:number], [_too_many(rest, id_of, path_of, what)]
    return found, []


def _too_many(
    rest: Sequence[T], id_of: Callable[[T], str], path_of: Callable[[T], Path], what: Sentence
) -> LeftOut:
    names = quoted(id_of(rest[0]))
    if len(rest) > 1:
        names = Sentence("{first} to {last}", first=names, last=quoted(id_of(rest[-1])))
    return LeftOut.too_many(
        path_of(rest[0]),
        Sentence(
            "{count} {what} more than a list holds are left out: {names}.",
            count=len(rest),
            what=what,
            names=names,
        ),
        "Name the folders that you need, or move what you do not use to another place.",
    )


def listed(parts: Sequence[Sentence]) -> Sentence | None:
    """Up to four parts of a sentence as one, "a, b and c"; None where there are none."""
    match parts:
        case []:
            return None
        case [a]:
            return a
        case [a, b]:
            return Sentence("{a} and {b}", a=a, b=b)
        case [a, b, c]:
            return Sentence("{a}, {b} and {c}", a=a, b=b, c=c)
        case [a, b, c, d]:
            return Sentence("{a}, {b}, {c} and {d}", a=a, b=b, c=c, d=d)
    raise ValueError("too many parts for a sentence")


def without_repeats(
    left_out: Iterable[LeftOut], offered: Iterable[Path] = ()
) -> tuple[LeftOut, ...]:
    """Each path once, and none that is offered all the same by another list."""
    known = {os.path.realpath(path) for path in offered}
    kept = []
    for each in left_out:
        real = os.path.realpath(each.path)
        if real not in known:
            known.add(real)
            kept.append(each)
    return tuple(kept)


def sentences(left_out: Sequence[LeftOut]) -> tuple[Sentence, ...]:
    """The reasons for a client: the first ones, and how many more there are."""
    sentences = [each.sentence for each in left_out[:MAX_LEFT_OUT]]
    if len(left_out) > MAX_LEFT_OUT:
        rest = len(left_out) - MAX_LEFT_OUT + 1
        sentences[-1] = Sentence(
            "{count} more are left out; the backend's log names them.", count=rest
        )
    return tuple(sentences)
