"""Weights inside prompts, `(word:1.2)`; `models/text/prompt_weights.py` weighs the conditions.

As A1111's web UI reads them: `(words)` count 1.1 times as much, `((words))` 1.1 times 1.1,
`[words]` 1 / 1.1, `(words:1.5)` 1.5 times, also nested. A bracket that is never closed reaches to
the end if a word follows it; one after a backslash is the character itself. Other brackets without
a partner stay as they are, and so does a ratio or a time of day, `(16:9)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tapestry_protocol.sentences import Sentence, quoted

MOST = 4.0
"""Beyond this a word destroys the picture; larger weights count as this much."""

_STRONGER = 1.1
"""What a pair of parentheses without a number means; square brackets divide by it."""

_SIGNS = re.compile(r"\\[\\()\[\]]|[()\[\]]|[^\\()\[\]]+|\\")
_NUMBER = re.compile(r"(.*?):+\s*([+-]?(?:\d{1,3}(?:\.\d{0,6})?|\.\d{1,6}))\s*", re.DOTALL)
_RATIO = re.compile(r"\s*\d+(?:[.,]\d+)?\s*:\s*\d+\s*")
_TIME = re.compile(r".*\b\d{1,2}:(\d{1,2})\s*", re.DOTALL)
_CLOSES = {")": "(", "]": "["}
_EMOTICON = re.compile(r"[:;=8][-']?$")
_BEGINS = re.compile(r"\s*[^\W\d]")
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class WeightedPrompt:
    """A prompt without its marks, and where in it something has a weight: (start, end, weight).

    notices: sentences about marks that do not mean what they may look like
    """

    text: str
    spans: tuple[tuple[int, int, float], ...] = ()
    notices: tuple[str, ...] = field(default=(), compare=False)

    def weight_at(self, start: int, end: int) -> float:
        """The weight of a token that lies there; a token without a place counts 1."""
        inside = (weight for s, e, weight in self.spans if start < end and s <= start < e)
        return next(inside, 1.0)


@dataclass
class _Bracket:
    """What stands in a bracket: pieces of text with their weights, as far as they are read."""

    bracket: str
    pieces: list[tuple[str, float]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.pieces)

    def closed(self, notices: list[str]) -> list[tuple[str, float]]:
        """The pieces with the weight that the group gives them."""
        if self.bracket == "[":
            return [(text, weight / _STRONGER) for text, weight in self.pieces]
        if _RATIO.fullmatch(self.text):
            return [("(", 1.0), *self.pieces, (")", 1.0)]
        factor, pieces = _STRONGER, self.pieces
        last, weight = pieces[-1] if pieces else ("", 1.0)
        time, number = _TIME.fullmatch(last), _NUMBER.fullmatch(last)
        if number and not time:
            factor, pieces = float(number[2]), [*pieces[:-1], (number[1], weight)]
        elif time and float(time[1]) <= MOST:
            notices.append(
                Sentence(
                    "{words} was read with a time or a ratio at its end: write {weight} if "
                    "it shall be a weight.",
                    words=_shown(f"({self.text})"),
                    weight=float(time[1]),
                )
            )
        if abs(factor) > MOST:
            notices.append(
                Sentence(
                    "{words} counts {most} times, which is the most.",
                    words=_shown(f"({self.text})"),
                    most=f"{MOST:g}",
                )
            )
        return [(text, weight * factor) for text, weight in pieces]


def read_weights(prompt: str) -> WeightedPrompt:
    """A prompt's text, and the weights of its parts."""
    groups, notices = [_Bracket("")], list[str]()
    for sign in _SIGNS.findall(prompt):
        if sign in "([":
            groups.append(_Bracket(sign))
        elif sign in _CLOSES and groups[-1].bracket == _CLOSES[sign]:
            closed = groups.pop().closed(notices)
            groups[-1].pieces += [*closed, ("", 1.0)]  # whose number is not that of what is around
        else:
            text = sign[1:] if len(sign) > 1 and sign.startswith("\\") else sign
            if sign in _CLOSES and not _EMOTICON.search(groups[-1].text[-2:]):
                notices.append(
                    Sentence("A {sign} without its partner was read as a sign.", sign=quoted(sign))
                )
            groups[-1].pieces.append((text, 1.0))
    while len(groups) > 1:
        open_one = groups.pop()
        groups[-1].pieces += _unclosed(open_one, groups[-1].text[-2:], notices)
    return _joined(groups[0].pieces, tuple(dict.fromkeys(notices)))


def _unclosed(group: _Bracket, before: str, notices: list[str]) -> list[tuple[str, float]]:
    """The pieces after a bracket that is never closed; it reaches to the end if a word follows."""
    if _BEGINS.match(group.text) and not _EMOTICON.search(before):
        notices.append(
            Sentence(
                "The bracket in {words} is never closed: it reaches to the end.",
                words=_shown(group.bracket + group.text),
            )
        )
        return group.closed(notices)
    if not _EMOTICON.search(before):
        notices.append(
            Sentence("A {sign} without its partner was read as a sign.", sign=quoted(group.bracket))
        )
    return [(group.bracket, 1.0), *group.pieces]


def _shown(text: str) -> str:
    return quoted(text[:_SHOWN_CHARACTERS])


def _joined(pieces: Sequence[tuple[str, float]], notices: tuple[str, ...]) -> WeightedPrompt:
    """Pieces side by side that count alike are one."""
    text = ""
    spans: list[tuple[int, int, float]] = []
    for part, weight in pieces:
        bounded = round(min(max(weight, -MOST), MOST), 6)
        if part and bounded != 1:
            start = len(text)
            if spans and spans[-1][1] == start and spans[-1][2] == bounded:
                start = spans.pop()[0]
            spans.append((start, len(text) + len(part), bounded))
        text += part
    return WeightedPrompt(text, tuple(spans), notices)
