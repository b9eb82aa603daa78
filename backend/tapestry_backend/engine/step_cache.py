"""What the rows of a canvas remember from one step to the next, each for itself.

Between two steps the most of a transformer's layers often change a row by nearly as much as they
did before. Whether they do is seen by its first layers (first-block cache, of ParaAttention, after
TeaCache, Liu et al. 2024). A window's region, and its negative prompt, are rows of their own: one
memory for all of them would add to each what the others wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor


class RowMemory:
    """What a model kept of a row when it last evaluated it whole: [T, D] each, on its device.

    first    what the first layers changed; None: it was never evaluated
    rest     what all others changed
    """

    def __init__(self, cache: StepCache) -> None:
        self.cache = cache
        self.first: Tensor | None = None
        self.rest: Tensor | None = None

    def remember(self, first: Tensor, rest: Tensor) -> None:
        """Take what an evaluation of the whole model changed."""
        self.first, self.rest = first, rest

    def change(self, first: Tensor) -> Tensor:
        """How much of what the first layers change is new, beside what they changed then: []."""
        if self.first is None:
            return torch.full((), torch.inf, device=first.device)
        before = self.first.float()
        return (first.float() - before).abs().mean() / before.abs().mean()


class StepCache:
    """The memories of all rows of one canvas, from its first step to its last.

    threshold    0..1: rows that change by no more are not evaluated to the end
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.left_out = 0
        """Evaluations that went no further than the first layers."""
        self.gave_up = False
        """Whether the memories had to make room."""
        self._memories: dict[Hashable, RowMemory] = {}

    def memories(self, rows: Sequence[Hashable]) -> list[RowMemory] | list[None]:
        """That of each row; None for each after `give_up`."""
        if self.gave_up:
            return [None] * len(rows)
        return [self._memories.setdefault(row, RowMemory(self)) for row in rows]

    def forget(self, is_over: Callable[[Any], bool]) -> None:
        """Forget the rows that are not evaluated any more."""
        for row in [row for row in self._memories if is_over(row)]:
            del self._memories[row]

    def give_up(self) -> bool:
        """Let all memories go, and remember nothing from now on; False where that was done."""
        self._memories.clear()
        had, self.gave_up = not self.gave_up, True
        return had
