"""Which parts of a checkpoint are on their device: all, or one at a time where memory is short."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import nn

from ..engine.out_of_memory import attempt, release

T = TypeVar("T")

_HOME = torch.device("cpu")


class Residency:
    """The parts of a checkpoint, for a device; a part that is asked for is there.

    All parts stay on the device as long as that goes well. When they do not fit, or when one of
    them runs out of memory at its work, only the part at work is there from then on. On a device
    without memory of its own nothing is gained by that, and nothing is moved.
    """

    def __init__(self, parts: Mapping[str, nn.Module], device: torch.device) -> None:
        self._parts = {name: part.eval() for name, part in parts.items()}
        self._device = device
        self.one_at_a_time = False
        self._alone = ""
        for part in self._parts.values():
            if attempt(lambda part=part: part.to(device)) is None:
                self._share_no_more()
                return

    def use(self, name: str) -> nn.Module:
        """A part, on the device."""
        if self.one_at_a_time and self._alone != name:
            self._alone = ""
            for other, part in self._parts.items():
                if other != name:
                    part.to(_HOME)
            release()
            self._parts[name].to(self._device)
            self._alone = name
        return self._parts[name]

    def run(self, name: str, compute: Callable[[nn.Module], T]) -> T:
        """What `compute` makes of this part; a second time, alone, when memory ran out."""
        if self.one_at_a_time or self._device == _HOME:
            return compute(self.use(name))
        done = attempt(lambda: compute(self.use(name)))
        if done is not None:
            return done[0]
        self._share_no_more()
        return compute(self.use(name))

    def _share_no_more(self) -> None:
        self.one_at_a_time, self._alone = True, ""
        for part in self._parts.values():
            part.to(_HOME)  # also the half of a part that came before memory ran out
        release()
