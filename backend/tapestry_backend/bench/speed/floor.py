"""What a run costs at the least: the evaluations it needs and one decode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from statistics import median

import torch

from ...engine.windows import Size
from .metered import Metered

_SIZES = (2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_NO_BETTER = 2
"""Larger batches are not tried after so many in a row that took no less time for a row."""

_ROUNDS = 3


class Floor:
    """Times single evaluations and decodes of one model, where and when they are asked for."""

    def __init__(self, metered: Metered, clock: Callable[[], float]) -> None:
        self._model = metered
        self._now = clock
        self._conditions = metered.encode_prompts([""])
        self._timestep = torch.tensor(500, device=metered.device)

    @cached_property
    def batch_size(self) -> int:
        """The size at which one evaluation takes the least time."""
        best, best_s, worse = 1, self._row_s(1), 0
        for size in _SIZES:
            try:
                row_s = self._row_s(size)
            except torch.OutOfMemoryError:
                break
            worse = 0 if row_s < best_s else worse + 1
            if worse == _NO_BETTER:
                break
            if row_s < best_s:
                best, best_s = size, row_s
        return best

    def seconds(self, evaluations: int, canvas: Size) -> float:
        """So many evaluations at the best batch size, and the decode of a canvas, in cells."""
        latents = torch.zeros(1, self._model.channels, *canvas, device=self._model.device)
        return evaluations * self._row_s(self.batch_size) + self._timed(
            lambda: self._model.decode(latents)
        )

    def in_batches(self, batches: Mapping[int, int]) -> float:
        """Seconds of so many batches of each size; nothing is decoded."""
        return sum(count * size * self._row_s(size) for size, count in batches.items())

    def _row_s(self, size: int) -> float:
        side, channels = self._model.window, self._model.channels
        if self._model.inpaints:
            channels = 2 * channels + 1
        latents = torch.zeros(size, channels, side, side, device=self._model.device)
        conditions = self._conditions.expand(size, -1, -1)
        return self._timed(lambda: self._model.predict(latents, self._timestep, conditions)) / size

    def _timed(self, compute: Callable[[], object]) -> float:
        compute()
        taken = []
        for _ in range(_ROUNDS):
            start = self._now()
            compute()
            taken.append(self._now() - start)
        return median(taken)
