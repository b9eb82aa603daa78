"""Weights inside prompts as the conditions have them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...prompts.weights import WeightedPrompt


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
