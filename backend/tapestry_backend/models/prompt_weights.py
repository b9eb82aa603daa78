"""Weights inside prompts, `(word:1.2)`: from the text to the conditions; knows no checkpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_WEIGHTED = re.compile(r"\(([^()]*):\s*(\d{0,3}(?:\.\d{1,6})?)\s*\)")

MOST = 4.0
"""Beyond this a word destroys the picture; larger weights count as this much."""


@dataclass(frozen=True)
class WeightedPrompt:
    """A prompt without its marks, and where in it something has a weight: (start, end, weight)."""

    text: str
    spans: tuple[tuple[int, int, float], ...] = ()

    def weight_at(self, start: int, end: int) -> float:
        """The weight of a token that lies there; a token without a place counts 1."""
        inside = (weight for s, e, weight in self.spans if start < end and s <= start < e)
        return next(inside, 1.0)


def read_weights(prompt: str) -> WeightedPrompt:
    """Take `(words:weight)` out of a prompt; parentheses without a number stay as they are."""
    text, spans, last = "", [], 0
    for found in _WEIGHTED.finditer(prompt):
        if found[2] in {"", "."}:
            continue
        text += prompt[last : found.start()]
        spans.append((len(text), len(text) + len(found[1]), min(float(found[2]), MOST)))
        text += found[1]
        last = found.end()
    return WeightedPrompt(text + prompt[last:], tuple(spans))


def weigh(
    conditions: Tensor,
    nothing: Tensor,
    prompts: Sequence[WeightedPrompt],
    offsets: Sequence[Sequence[tuple[int, int]]],
) -> Tensor:
    """Move each weighted token away from the empty prompt, or towards it.

    conditions [N, T, D], nothing [1, T, D] (the empty prompt), offsets: the place of each of the T
    tokens in its prompt's text -> [N, T, D]: nothing + weight x (conditions - nothing). A prompt
    without weights is left alone, bit for bit.
    """
    weights = torch.tensor(
        [
            [prompt.weight_at(start, end) for start, end in places]
            for prompt, places in zip(prompts, offsets, strict=True)
        ]
    ).to(conditions)[..., None]
    return torch.where(weights == 1, conditions, torch.lerp(nothing, conditions, weights))
