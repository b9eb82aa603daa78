"""Which parts of a checkpoint are on their device: all, one at a time, or layer by layer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TypeVar

import torch
from diffusers.hooks import apply_group_offloading
from torch import nn

from ...engine.out_of_memory import attempt, release
from .memory import free_for_weights

T = TypeVar("T")

_HOME = torch.device("cpu")

WeightStream = Callable[[nn.Module, torch.device], None]


def stream_layers(part: nn.Module, device: torch.device) -> None:
    """Let each layer of a part come to a device when it is computed, and go home after it."""
    ahead = device.type == "cuda"  # the next layer is on its way while one is computed
    apply_group_offloading(
        part,
        onload_device=device,
        offload_device=_HOME,
        offload_type="leaf_level",
        use_stream=ahead,
        low_cpu_mem_usage=ahead,
    )


def _size(part: nn.Module) -> int:
    """What a part's weights take, in bytes; none for those that are there already."""
    return sum(weight.nbytes for weight in part.parameters() if weight.device.type == _HOME.type)


class Offloader:
    """The parts of a checkpoint, for a device; a part in use is on it.

    All parts stay on the device as long as that goes well. When they do not fit, or when one of
    them runs out of memory at its work, only the part at work is there from then on; a part that is
    too large even so comes layer by layer, if it is `streamable`. On a device without memory of its
    own nothing is gained by that, and nothing is moved.

    Whether parts fit is reckoned before they are moved (`room`: bytes for weights): a driver that
    swaps a card's memory to the computer's, as that of Windows does, raises nothing and is slow
    without end. in_layers: what can come layer by layer does so from the start.
    """

    def __init__(
        self,
        parts: Mapping[str, nn.Module],
        device: torch.device,
        *,
        streamable: Collection[str] = (),
        stream: WeightStream = stream_layers,
        room: Callable[[], float] | None = None,
        in_layers: bool = False,
    ) -> None:
        self._parts = {name: part.eval() for name, part in parts.items()}
        self._device = device
        self._streamable = streamable
        self._stream = stream
        self._streamed: set[str] = set()
        self._beside: dict[str, list[nn.Module]] = {}
        self._streamed_beside: list[nn.Module] = []
        self.one_at_a_time = False
        self._alone = ""
        self._room = room or (lambda: free_for_weights(device))
        if in_layers and device != _HOME:
            self.share_no_more()
            for name in streamable:
                self.come_in_layers(name)
            return
        if sum(map(_size, self._parts.values())) > self._room():
            self.share_no_more()
            return
        for part in self._parts.values():
            if attempt(partial(part.to, device)) is None:
                self.share_no_more()
                return

    def use(self, name: str) -> nn.Module:
        """A part, on the device."""
        if self.one_at_a_time and self._alone != name:
            self._send_home()
            part = self._parts[name]
            if name in self._streamable and name not in self._streamed:
                fits = _size(part) <= self._room()
                if not fits or attempt(lambda: part.to(self._device)) is None:
                    self.come_in_layers(name)
            elif name not in self._streamed:
                part.to(self._device)
            self._alone = name
            for beside in self._beside.get(name, ()):
                self._bring(beside)
        return self._parts[name]

    def is_streamed(self, name: str) -> bool:
        """Whether a part comes layer by layer."""
        return name in self._streamed

    def join(self, name: str, part: nn.Module) -> None:
        """Have another network work beside a part from now on: there when that one is."""
        part.eval()
        self._beside.setdefault(name, []).append(part)
        if self.one_at_a_time:
            if self._alone == name:
                self._bring(part)
        elif _size(part) > self._room() or attempt(lambda: part.to(self._device)) is None:
            self.share_no_more()

    def leave(self, part: nn.Module) -> None:
        """Forget a network that joined."""
        for beside in self._beside.values():
            beside[:] = [each for each in beside if each is not part]
        part.to(_HOME)

    def visit(self, part: nn.Module, compute: Callable[[nn.Module], T]) -> T:
        """The result of `compute` with a network that is used once: loaded, then offloaded."""
        if _size(part) > self._room() or attempt(lambda: part.to(self._device)) is None:
            self.share_no_more()
            part.to(self._device)
        try:
            return compute(part)
        finally:
            part.to(_HOME)
            release()

    def run(self, name: str, compute: Callable[[nn.Module], T]) -> T:
        """What `compute` makes of this part; again with less of it there, when memory ran out."""
        if self._device == _HOME:
            return compute(self.use(name))
        if not self.one_at_a_time:
            done = attempt(lambda: compute(self.use(name)))
            if done is not None:
                return done[0]
            self.share_no_more()
        if name in self._streamable and name not in self._streamed:
            done = attempt(lambda: compute(self.use(name)))
            if done is not None:
                return done[0]
            self.come_in_layers(name)
        return compute(self.use(name))

    def _bring(self, part: nn.Module) -> None:
        """A network beside the part at work; layer by layer where there is no room for both."""
        if any(part is each for each in self._streamed_beside):
            return
        fits = _size(part) <= self._room()
        if not fits or attempt(lambda: part.to(self._device)) is None:
            part.to(_HOME)
            self._streamed_beside.append(part)
            self._stream(part, self._device)

    def come_in_layers(self, name: str) -> None:
        """Have a part come layer by layer from now on."""
        self._send_home()
        if name not in self._streamed:
            self._streamed.add(name)
            self._stream(self._parts[name], self._device)

    def share_no_more(self) -> None:
        """Have one part at a time on the device from now on."""
        self.one_at_a_time = True
        self._send_home()

    def _send_home(self) -> None:
        """Also the half of a part that came before memory ran out."""
        self._alone = ""
        for name, part in self._parts.items():
            if name not in self._streamed:  # whose layers go home by themselves
                part.to(_HOME)
        for part in itertools.chain(*self._beside.values()):
            if not any(part is each for each in self._streamed_beside):
                part.to(_HOME)
        release()
