"""Counts what a computation costs, exactly: bytes of living tensors, and multiplications."""

from __future__ import annotations

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class Costs(TorchDispatchMode):
    """What is made inside this context: the most bytes at once, and convolutions' multiplications.

    Storages that were there before do not count, views count once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self.multiplications = 0
        self._living: dict[int, int] = {}
        self._living_bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Run an operation and look at what came out."""
        result = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.convolution.default:
            self.multiplications += result.numel() * args[1][0].numel()
        for value in tree_iter(result):
            if isinstance(value, torch.Tensor):
                self._count(value.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._living:
            self._living[key] = storage.nbytes()
            self._living_bytes += storage.nbytes()
            weakref.finalize(storage, self._forget, key)
            self.peak_bytes = max(self.peak_bytes, self._living_bytes)

    def _forget(self, key: int) -> None:
        self._living_bytes -= self._living.pop(key)
