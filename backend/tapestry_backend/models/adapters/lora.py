"""LoRAs in memory, and how they are laid on a network's modules for a while; finds no files.

A LoRA adds `weight * alpha / rank * up(down(x))` to what a layer makes of x (Hu et al. 2021). It is
added beside the layer, never into its weights: rows of one step may run with different LoRAs, what
is laid on is taken off without a trace, and weights may lie in any precision, or on another device.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from tapestry_protocol.errors import ErrorCode, TapestryError

from .catalogue import Adapter, misfit
from .header import read_header
from .lora_names import read_name, targets


class Delta(NamedTuple):
    """What is added beside a layer: down [r, ...], up [..., r], and alpha / rank."""

    module: nn.Module
    down: Tensor
    up: Tensor
    scale: float


Deltas = Sequence[Delta]


def load_lora(
    adapter: Adapter,
    networks: Mapping[str, nn.Module],
    model_id: str,
    device: torch.device,
    dtype: torch.dtype,
) -> Deltas:
    """The deltas of a LoRA for these networks, on their device.

    Raises TapestryError when it was made for another build, or uses what we do not know.
    """
    notes = read_header(adapter.path).notes
    grouped = _grouped(safetensors.torch.load_file(adapter.path))
    deltas = []
    for network in sorted({name for name, _ in grouped}):
        module = networks.get(network)
        if module is None:
            raise misfit(adapter, model_id)
        known = targets(dict(module.named_modules()), _config_of(module))
        told = _notes_of(adapter, notes, network)
        for (of, target), parts in grouped.items():
            if of == network:
                name = known.get(target)
                layer = None if name is None else module.get_submodule(name)
                deltas.append(_delta(adapter, model_id, layer, parts, told, device, dtype))
    return deltas


@contextmanager
def laid_on(loras: Sequence[tuple[Deltas, float]]) -> Iterator[None]:
    """Inside, the layers of these deltas run with them, each with its weight."""
    with ExitStack() as stack:
        for deltas, weight in loras:
            for delta in deltas:
                handle = delta.module.register_forward_hook(_adding(delta, weight))
                stack.callback(handle.remove)
        yield


def _adding(delta: Delta, weight: float) -> Callable[..., Tensor]:
    apply = _beside_convolution if isinstance(delta.module, nn.Conv2d) else _beside_linear

    def add(_module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return output + apply(delta, inputs[0]).to(output.dtype) * (weight * delta.scale)

    return add


def _beside_linear(delta: Delta, given: Tensor) -> Tensor:
    return functional.linear(functional.linear(given.to(delta.down.dtype), delta.down), delta.up)


def _beside_convolution(delta: Delta, given: Tensor) -> Tensor:
    """The first of the two does what the layer does: its steps and its padding."""
    layer: Any = delta.module
    low = functional.conv2d(
        given.to(delta.down.dtype), delta.down, None, layer.stride, layer.padding, layer.dilation
    )
    return functional.conv2d(low, delta.up)


def _config_of(network: Any) -> Mapping[str, Any]:
    """That of diffusers' networks; those of transformers need none here."""
    return network.config if isinstance(network.config, Mapping) else {}


def _grouped(tensors: Mapping[str, Tensor]) -> dict[tuple[str, str], dict[str, Tensor]]:
    """(network, target) -> its tensors by role."""
    grouped: dict[tuple[str, str], dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part = read_name(name)
        if part is not None:  # the catalogue has seen to that
            grouped.setdefault((part.network, part.target), {})[part.role] = tensor
    return grouped


def _delta(
    adapter: Adapter,
    model_id: str,
    layer: nn.Module | None,
    parts: Mapping[str, Tensor],
    told: Mapping[str, Any],
    device: torch.device,
    dtype: torch.dtype,
) -> Delta:
    if not isinstance(layer, nn.Linear | nn.Conv2d):
        raise misfit(adapter, model_id)
    if not {"down", "up"} <= parts.keys():
        raise _broken(adapter, "one of two tensors that belong together is missing")
    down, up = parts["down"], parts["up"]
    if isinstance(layer, nn.Linear):
        down, up = (part.flatten(1) if part.ndim == 4 else part for part in (down, up))
    else:
        down, up = (part[..., None, None] if part.ndim == 2 else part for part in (down, up))
    rank = down.shape[0]
    wanted = layer.weight.shape
    inner = wanted[1:2] if up.ndim == 2 else (wanted[1], *wanted[2:])
    outer = (wanted[0], rank) if up.ndim == 2 else (wanted[0], rank, 1, 1)
    if tuple(down.shape) != (rank, *inner) or tuple(up.shape) != outer:
        raise misfit(adapter, model_id)
    alpha = float(parts["alpha"]) if "alpha" in parts else float(told.get("lora_alpha") or rank)
    scale = alpha / rank**0.5 if told.get("use_rslora") else alpha / rank
    return Delta(layer, down.to(device, dtype), up.to(device, dtype), scale)


def _notes_of(adapter: Adapter, notes: Mapping[str, str], network: str) -> dict[str, Any]:
    """What diffusers writes about a network's LoRA beside its tensors."""
    try:
        told = json.loads(notes.get("lora_adapter_metadata", "{}"))
        own = {key.removeprefix(f"{network}."): value for key, value in told.items()}
        if own.get("use_dora") or own.get("alpha_pattern") or own.get("lora_bias"):
            raise _broken(adapter, "it uses DoRA, a bias, or an alpha for each layer")
        return {
            "lora_alpha": float(own.get("lora_alpha") or 0),
            "use_rslora": own.get("use_rslora") is True,
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise _broken(adapter, "its notes are no JSON object of settings") from None


def _broken(adapter: Adapter, problem: str) -> TapestryError:
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        f"The LoRA {adapter.id!r} cannot be used: {problem}.",
        "Get it again from where it came from, or leave it out.",
    )
