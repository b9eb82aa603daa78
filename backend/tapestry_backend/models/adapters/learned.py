"""A LoRA that is learned here: its factors, and the layers of the network that they lie beside."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from .factors import LowRank
from .lora import Delta, Deltas, laid_on

_LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.2", "conv1", "conv2")
"""How the layers' names end: attention, what follows it, and the residual blocks."""


class LearnedLora:
    """Low-rank changes of a network's layers; as it is made, it changes nothing.

    tensors: the factors in single precision on the device, called as diffusers calls them in a
    file. The same network gives the same ones every time.
    """

    def __init__(self, name: str, network: nn.Module, rank: int, device: torch.device) -> None:
        generator = torch.Generator("cpu").manual_seed(0)
        self.tensors: dict[str, Tensor] = {}
        self._layers: dict[str, nn.Module] = {}
        for path, layer in network.named_modules():
            if not path.endswith(_LAYERS) or not isinstance(layer, nn.Linear | nn.Conv2d):
                continue
            out, into, *kernel = layer.weight.shape
            down = torch.randn(rank, into, *kernel, generator=generator)
            up = torch.zeros(out, rank, *(1 for _ in kernel))
            called = f"{name}.{path}"
            self._layers[called] = layer
            self.tensors[f"{called}.lora_A.weight"] = (down / down[0].numel() ** 0.5).to(device)
            self.tensors[f"{called}.lora_B.weight"] = up.to(device)

    def laid_on(self) -> AbstractContextManager[None]:
        """Inside, the network runs with it, and gradients reach its tensors."""
        deltas = Deltas()
        for called, layer in self._layers.items():
            factors = LowRank(
                {
                    "down": self.tensors[f"{called}.lora_A.weight"],
                    "up": self.tensors[f"{called}.lora_B.weight"],
                }
            )
            deltas.append(Delta(layer, factors, 1.0))
        return laid_on([(deltas, 1.0)])
