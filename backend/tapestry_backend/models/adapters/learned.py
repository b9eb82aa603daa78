"""What is learned here: a LoRA, a word, or both, and how a model runs with it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .factors import Gated, LowRank
from .lora import Delta, Deltas, laid_on

PICTURE_LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.2", "conv1", "conv2")
"""How the layers' names end: attention, what follows it, and the residual blocks."""

ATTENTION_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")
KEY_LAYERS, VALUE_LAYERS = ("attn2.to_k",), ("attn2.to_v",)
"""Those that read the text."""


class LearnedLora:
    """Low-rank changes of a network's layers; as it is made, it changes nothing.

    tensors: the factors in single precision on the device, called as diffusers calls them in a
    file. The same network gives the same ones every time.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        rank: int,
        device: torch.device,
        layers: tuple[str, ...] = PICTURE_LAYERS,
    ) -> None:
        generator = torch.Generator("cpu").manual_seed(0)
        self.tensors: dict[str, Tensor] = {}
        self._layers: dict[str, nn.Module] = {}
        for path, layer in _layers_of(network, layers):
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


class KeyLocked:
    """A rank-one edit of the layers that read the text, open for one word alone (Perfusion).

    After Tewel et al. 2023: where a layer's input looks like the word, its values become what is
    learned, and its keys those of another word, which are locked. As it is made, it changes
    nothing. The paper takes what the word was away from every input, and adds what it becomes
    through a gate; here both go through the gate, so that where it is closed nothing changes.

    tensors    what is learned: what is added to the values, [out, 1] for each layer
    """

    def __init__(self, name: str, network: nn.Module, device: torch.device) -> None:
        self._keys = dict(_layers_of(network, KEY_LAYERS))
        self._values = dict(_layers_of(network, VALUE_LAYERS))
        self._name = name
        self._down: Tensor | None = None
        self._locked: dict[str, Tensor] = {}
        self.tensors = {
            self._called(path, "B"): torch.zeros(layer.weight.shape[0], 1, device=device)
            for path, layer in self._values.items()
        }

    def _called(self, path: str, side: str) -> str:
        return f"{self._name}.{path}.lora_{side}.weight"

    @torch.no_grad()
    def look_at(self, word: Tensor, other: Tensor, whitened: Tensor) -> None:
        """Open for this word; the keys are those of the other.

        word, other [D]: as the text encoder says them. whitened [D, D]: the inverse of how inputs
        vary together, by which they are compared.
        """
        direction = whitened @ word
        self._down = (direction / (word @ direction))[None]
        self._locked = {
            self._called(path, "B"): (layer.weight.float() @ (other - word))[:, None]
            for path, layer in self._keys.items()
        }

    def laid_on(self) -> AbstractContextManager[None]:
        """Inside, the network runs with it, and gradients reach its tensors."""
        deltas = Deltas()
        ups = {**self._locked, **self.tensors}
        if self._down is not None:
            for path, layer in {**self._keys, **self._values}.items():
                parts = {"down": self._down, "up": ups[self._called(path, "B")]}
                deltas.append(Delta(layer, Gated(parts), 1.0))
        return laid_on([(deltas, 1.0)])

    def kept(self) -> dict[str, Tensor]:
        """All of it as a LoRA of rank one, which it is where the gate is open."""
        if self._down is None:
            raise ValueError("it looks at no word yet")
        paths = {**self._keys, **self._values}
        downs = {self._called(path, "A"): self._down for path in paths}
        return {**downs, **self._locked, **self.tensors}


class LearnedWord:
    """Vectors of a word that is being learned, for each text encoder that reads it.

    places     of each encoder by its name: the tokens that stand for it
    tensors    by the same names: their vectors [n, D] in single precision
    """

    def __init__(
        self,
        token: str,
        encoders: Mapping[str, Any],
        places: Mapping[str, Sequence[int]],
        tensors: Mapping[str, Tensor],
    ) -> None:
        self.token = token
        self.tensors = dict(tensors)
        self._encoders = encoders
        self._places = places

    @contextmanager
    def laid_on(self) -> Iterator[None]:
        """Inside, the encoders read it, and gradients reach its tensors."""
        handles = []
        try:
            for name, encoder in self._encoders.items():
                hook = self._hook(self._places[name], self.tensors[name])
                handles.append(encoder.get_input_embeddings().register_forward_hook(hook))
            yield
        finally:
            for handle in handles:
                handle.remove()

    @staticmethod
    def _hook(places: Sequence[int], vectors: Tensor) -> Any:
        def put_in(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            for place, vector in zip(places, vectors, strict=True):
                output = torch.where((inputs[0] == place)[..., None], vector.to(output), output)
            return output

        return put_in


def _layers_of(network: nn.Module, ends: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for path, layer in network.named_modules():
        if path.endswith(ends) and isinstance(layer, nn.Linear | nn.Conv2d):
            yield path, layer
