"""The optimiser of teaching: AdamW, on a card in 8 bits where bitsandbytes is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

_FULL_BYTES = 8
"""Both moments of a number in single precision."""

_EIGHT_BITS_BYTES = 2 + 2 * 4 / 256
"""The same in 8 bits, with a scale for each 256 of them (Dettmers et al. 2022)."""

_LEAST_IN_EIGHT_BITS = 4096
"""Numbers of a tensor; bitsandbytes keeps the moments of smaller ones in full."""


class Optimiser(NamedTuple):
    """How tensors are moved, and in how many bits it remembers how.

    make    takes groups of tensors, each with its "lr", and `weight_decay`
    """

    name: str
    make: Callable[..., torch.optim.Optimizer]
    in_eight_bits: bool = False

    def moment_bytes(self, tensors: Mapping[str, Tensor]) -> float:
        """What its moments take."""
        return sum(
            each.numel()
            * (
                _EIGHT_BITS_BYTES
                if self.in_eight_bits and each.numel() >= _LEAST_IN_EIGHT_BITS
                else _FULL_BYTES
            )
            for each in tensors.values()
        )


def optimiser_for(device: torch.device) -> Optimiser:
    """That of a device; bitsandbytes is imported for a card of NVIDIA's alone."""
    if device.type == "cuda" and torch.version.cuda is not None:
        try:
            found = importlib.import_module("bitsandbytes.optim")
            return Optimiser("AdamW8bit", found.AdamW8bit, in_eight_bits=True)
        except Exception:  # noqa: BLE001, S110  one that does not load here is as good as none
            pass
    return Optimiser("AdamW", torch.optim.AdamW)
