"""Weights inside prompts, `(word:1.2)`: from the text to the conditions; knows no checkpoint.

As A1111's web UI reads them: `(words)` count 1.1 times as much, `((words))` 1.1 times 1.1,
`[words]` 1 / 1.1, `(words:1.5)` 1.5 times, also inside each other; a bracket after a backslash is
the sign itself. What is no group stays as it is: a bracket without its partner, and a ratio or a
time of day, `(16:9)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

MOST = 4.0
"""Beyond this a word destroys the picture; larger weights count as this much."""

_STRONGER = 1.1
"""What a pair of parentheses without a number means; square brackets divide by it."""

_SIGNS = re.compile(r"\\[\\()\[\]]|[()\[\]]|[^\\()\[\]]+|\\")
_NUMBER = re.compile(r"(.*):\s*([+-]?(?:\d{1,3}(?:\.\d{0,6})?|\.\d{1,6}))\s*", re.DOTALL)
_RATIO = re.compile(r"\s*\d+(?:[.,]\d+)?\s*:\s*\d+\s*")
_TIME = re.compile(r".*\b\d+:\d+\s*", re.DOTALL)
_CLOSES = {")": "(", "]": "["}


@dataclass(frozen=True)
class WeightedPrompt:
    """A prompt without its marks, and where in it something has a weight: (start, end, weight)."""

    text: str
    spans: tuple[tuple[int, int, float], ...] = ()

    def weight_at(self, start: int, end: int) -> float:
        """The weight of a token that lies there; a token without a place counts 1."""
        inside = (weight for s, e, weight in self.spans if start < end and s <= start < e)
        return next(inside, 1.0)


@dataclass
class _Group:
    """What stands in a bracket: pieces of text with their weights, as far as they are read."""

    bracket: str
    pieces: list[tuple[str, float]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.pieces)

    def closed(self) -> list[tuple[str, float]]:
        """The pieces with the weight that the group gives them."""
        if self.bracket == "[":
            return [(text, weight / _STRONGER) for text, weight in self.pieces]
        if _RATIO.fullmatch(self.text):
            return [("(", 1.0), *self.pieces, (")", 1.0)]
        factor, pieces = _STRONGER, self.pieces
        last, weight = pieces[-1] if pieces else ("", 1.0)
        number = None if _TIME.fullmatch(last) else _NUMBER.fullmatch(last)
        if number:
            factor, pieces = float(number[2]), [*pieces[:-1], (number[1], weight)]
        return [(text, weight * factor) for text, weight in pieces]


def read_weights(prompt: str) -> WeightedPrompt:
    """A prompt's text, and the weights of its parts."""
    groups = [_Group("")]
    for sign in _SIGNS.findall(prompt):
        if sign in "([":
            groups.append(_Group(sign))
        elif sign in _CLOSES and groups[-1].bracket == _CLOSES[sign]:
            closed = groups.pop().closed()
            groups[-1].pieces += [*closed, ("", 1.0)]  # whose number is not that of what is around
        else:
            text = sign[1:] if len(sign) > 1 and sign.startswith("\\") else sign
            groups[-1].pieces.append((text, 1.0))
    while len(groups) > 1:  # a bracket that nobody closed is a sign as any other
        open_one = groups.pop()
        groups[-1].pieces += [(open_one.bracket, 1.0), *open_one.pieces]
    return _joined(groups[0].pieces)


def _joined(pieces: Sequence[tuple[str, float]]) -> WeightedPrompt:
    """Pieces side by side that count alike are one."""
    text, spans = "", []
    for part, weight in pieces:
        bounded = round(min(max(weight, -MOST), MOST), 6)
        if part and bounded != 1:
            start = len(text)
            if spans and spans[-1][1] == start and spans[-1][2] == bounded:
                start = spans.pop()[0]
            spans.append((start, len(text) + len(part), bounded))
        text += part
    return WeightedPrompt(text, tuple(spans))


def weigh(
    conditions: Tensor,
    nothing: Tensor,
    prompts: Sequence[WeightedPrompt],
    offsets: Sequence[Sequence[tuple[int, int]]],
) -> Tensor:
    """Move each weighted token away from the empty prompt, or towards it.

    conditions [N, T, D], nothing [1, T / K, D] (the empty prompt, of one of K chunks), offsets: the
    place of each of the T tokens in its prompt's text -> [N, T, D]: nothing + weight x (conditions
    - nothing). A prompt without weights is left alone, bit for bit.
    """
    weights = torch.tensor(
        [
            [prompt.weight_at(start, end) for start, end in places]
            for prompt, places in zip(prompts, offsets, strict=True)
        ]
    ).to(conditions)[..., None]
    nothing = nothing.repeat(1, conditions.shape[1] // nothing.shape[1], 1)
    return torch.where(weights == 1, conditions, torch.lerp(nothing, conditions, weights))
