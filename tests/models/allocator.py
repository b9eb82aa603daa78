"""An allocator that fails above so many bytes, for whatever real model runs inside it."""

from __future__ import annotations

import torch

from tests.models.live_tensors import Costs


class Allocator(Costs):
    """Inside this context, living tensors never take more than `most_bytes` together."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self._most_bytes = most_bytes
        self.refusals = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Run an operation, unless its result is one too many."""
        before = self.peak_bytes
        result = super().__torch_dispatch__(function, types, args, kwargs)
        if self.peak_bytes > self._most_bytes:
            self.peak_bytes = before
            self.refusals += 1
            raise torch.OutOfMemoryError(f"more than {self._most_bytes} bytes")
        return result
