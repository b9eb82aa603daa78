"""LoRAs in memory, and how they are laid on a network's modules for a while.

A LoRA adds `weight * alpha / rank * change(x)` to what a layer makes of x (Hu et al. 2021). It is
added beside the layer, never into its weights: rows of one step may run with different LoRAs, what
is laid on is taken off without a trace, and weights may lie in any precision, or on another device.

A DoRA (Liu et al. 2024) also says how long each row of the changed weights is, or each column: what
that makes of the layer differs from the layer by more than the change, and by the weight times that
difference at other weights than 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from ...checkpoints.adapter_catalogue import misfit
from ...checkpoints.adapter_recognition import Adapter
from ...checkpoints.left_out import listed
from ...checkpoints.lora_keys import read_name, repeated_in, targets
from ...checkpoints.original_names import layers_of
from ...checkpoints.safetensors_header import BrokenFileError, read_header
from ..loading.networks import check_finite_weights
from ..loading.packed_linear import weights_of
from .factors import NORMS, Factors, Gated, Kept, LowRank, NormShift, factors_of


class Lengths(NamedTuple):
    """The gain that a DoRA gives rows or columns of the changed weights, [out] or [in].

    bias: the layer's
    """

    gain: Tensor
    of_rows: bool
    bias: Tensor | None


class Delta(NamedTuple):
    """What is added beside a layer: its factors, alpha / rank, and what a DoRA says besides."""

    module: nn.Module
    factors: Factors
    scale: float
    lengths: Lengths | None = None


class Deltas(list[Delta]):
    """All of a LoRA's; unused: what of its file this model has no place for, in words."""

    unused: Sentence | None = None


_SHORTEST = torch.finfo(torch.float32).eps
"""Least length of a row or column of weights, so that nothing is divided by zero."""

_MOST_KEPT_BYTES = 128 * 2**20
"""Limit of one file's changes that are kept multiplied out."""

_BESIDES = {"alpha", "magnitude", "dora_scale"}
"""What may stand beside a layer's factors."""


def load_lora(
    adapter: Adapter,
    networks: Mapping[str, nn.Module],
    model_id: str,
    device: torch.device,
    dtype: torch.dtype,
) -> Deltas:
    """The deltas of a LoRA for these networks, on their device.

    Layers of the file that cannot be used are left out and named in `unused`. Raises TapestryError
    when those are more than the others: then it was made for another kind of model.
    """
    metadata = read_header(adapter.path).notes
    grouped = _grouped(_finite(adapter, safetensors.torch.load_file(adapter.path)))
    deltas, unused = Deltas(), _UnusedLayers()
    for network in sorted(grouped):
        module = networks.get(network)
        known = {} if module is None else targets(dict(module.named_modules()), _config_of(module))
        settings = _notes_of(adapter, metadata, network)
        for target, parts in grouped[network].items():
            name = f"{network}.{target}"
            meant = [[known.get(one) for one in each] for each in (*layers_of(target), (target,))]
            names = next((each for each in meant if None not in each), meant[0])
            layers = [module.get_submodule(name) for name in names if module and name is not None]
            if not all(part.numel() for part in parts.values()):
                unused.empty.append(name)
            elif len(layers) < len(names) or (_is_norm(parts) and not _takes(parts, layers)):
                unused.missing.append(name)
            else:
                try:
                    deltas += _deltas(adapter, model_id, layers, parts, settings, device, dtype)
                except TapestryError as error:
                    unused.unfit.append((name, error))
    _keep_changes(deltas)
    if len(unused.missing) + len(unused.unfit) > len(deltas):
        raise unused.unfit[0][1] if unused.unfit else misfit(adapter, model_id)
    deltas.unused = unused.in_words()
    return deltas


class _UnusedLayers:
    """Names of a file's layers that are not used.

    missing   the model has no such layer
    empty     their rank is 0
    unfit     they do not fit, with the error of each
    """

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.empty: list[str] = []
        self.unfit: list[tuple[str, TapestryError]] = []

    def in_words(self) -> Sentence | None:
        broken = [name for name, error in self.unfit if error.code is ErrorCode.MODEL_BROKEN]
        others = [name for name, _ in self.unfit if name not in broken]
        parts = []
        if n := len(self.missing):
            first = quoted(self.missing[0])
            parts.append(
                Sentence("{n} layers that this model lacks, such as {first}", n=n, first=first)
            )
        if n := len(self.empty):
            first = quoted(self.empty[0])
            parts.append(Sentence("{n} layers of rank 0, such as {first}", n=n, first=first))
        if n := len(broken):
            first = quoted(broken[0])
            parts.append(
                Sentence("{n} layers that are not whole, such as {first}", n=n, first=first)
            )
        if n := len(others):
            first = quoted(others[0])
            parts.append(
                Sentence(
                    "{n} layers that do not fit this model's, such as {first}", n=n, first=first
                )
            )
        return listed(parts)


def _is_norm(parts: Mapping[str, Tensor]) -> bool:
    return set() < parts.keys() - _BESIDES <= {"w_norm", "b_norm"}


def _takes(parts: Mapping[str, Tensor], layers: Sequence[nn.Module]) -> bool:
    """Whether a norm's change fits: many norms of newer models have no weights of their own."""
    factors = factors_of({role: parts[role] for role in parts.keys() - _BESIDES})
    return factors is not None and len(layers) == 1 and factors.fits(layers[0])


def _finite(adapter: Adapter, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    try:
        check_finite_weights(tensors)
    except BrokenFileError as error:
        raise _broken(adapter, error.problem) from None
    return tensors


def _keep_changes(deltas: Deltas) -> None:
    """Keep the small ones of the changes that are multiplied out at every call."""
    costly = [
        i for i, delta in enumerate(deltas) if not isinstance(delta.factors, LowRank | NormShift)
    ]
    left = _MOST_KEPT_BYTES

    def size(i: int) -> int:
        layer: Any = deltas[i].module
        return layer.weight.numel() * layer.weight.element_size()

    for i in sorted(costly, key=size):
        left -= size(i)
        if left < 0:
            return
        deltas[i] = deltas[i]._replace(factors=Kept.of(deltas[i].factors))


Changes = Mapping[nn.Module, Sequence[tuple[Delta, float]]]
"""What LoRAs change, by layers, each with its weight."""


def by_layer(loras: Sequence[tuple[Deltas, float]]) -> Changes:
    """The changes of LoRAs with their weights."""
    found: dict[nn.Module, list[tuple[Delta, float]]] = {}
    for deltas, weight in loras:
        for delta in deltas:
            found.setdefault(delta.module, []).append((delta, weight))
    return found


class Hooks:
    """Has a model's layers run with changes.

    A model has a thousand of them: their hooks stay until they are taken off, and add nothing while
    nothing is `on`.
    """

    def __init__(self) -> None:
        self._now: Changes = {}
        self._handles: dict[nn.Module, RemovableHandle] = {}

    @contextmanager
    def on(self, changes: Changes) -> Iterator[None]:
        """Inside, the layers run with these changes and no others."""
        for module in changes:
            if module not in self._handles:
                self._handles[module] = module.register_forward_hook(self._add)
        before, self._now = self._now, changes
        try:
            yield
        finally:
            self._now = before

    def remove(self) -> None:
        """Take the hooks off."""
        for handle in self._handles.values():
            handle.remove()
        self._handles.clear()

    def _add(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        """Each is added to what the layer itself makes of its input."""
        laid = self._now.get(module)
        if laid is None:
            return None
        total, given = output, inputs[0]
        for delta, weight in laid:
            if delta.lengths is None:
                added = delta.factors.beside(module, given).to(total.dtype)
                total = torch.add(total, added, alpha=weight * delta.scale)
            else:
                total = total + weight * _dora_change(delta, delta.lengths, given, output)
        return total


@contextmanager
def laid_on(loras: Sequence[tuple[Deltas, float]]) -> Iterator[None]:
    """Inside, the layers of these deltas run with them, each with its weight."""
    hooks = Hooks()
    try:
        with hooks.on(by_layer(loras)):
            yield
    finally:
        hooks.remove()


def _dora_change(delta: Delta, lengths: Lengths, given: Tensor, output: Tensor) -> Tensor:
    """How far the layer with a DoRA's weights is from the layer: g (W + s C) x - W x."""
    layer: Any = delta.module
    gain = _along_channels(layer, lengths.gain.to(output.dtype))
    bias = output.new_zeros(())
    if lengths.bias is not None:
        bias = _along_channels(layer, lengths.bias.to(output.dtype))
    if lengths.of_rows:  # a gain for each channel that comes out
        change = delta.scale * delta.factors.beside(layer, given).to(output.dtype)
        return (gain - 1) * (output - bias) + gain * change
    # A gain for each channel that goes in. `forward`, so that no hook adds to it once more.
    further = layer.forward((given * (gain - 1)).to(given.dtype)) - bias
    gained = (given * gain).to(given.dtype)
    return further + delta.scale * delta.factors.beside(layer, gained).to(output.dtype)


def _along_channels(layer: nn.Module, numbers: Tensor) -> Tensor:
    return numbers[:, None, None] if isinstance(layer, nn.Conv2d) else numbers


def _config_of(network: Any) -> Mapping[str, Any]:
    """That of diffusers' networks; those of transformers need none here."""
    return network.config if isinstance(network.config, Mapping) else {}


def _grouped(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, dict[str, Tensor]]]:
    """Network -> target -> its tensors by role."""
    grouped: dict[str, dict[str, dict[str, Tensor]]] = {}
    repeated = repeated_in(tensors)
    for name, tensor in tensors.items():
        part = read_name(name)
        if part is not None and name not in repeated:  # the catalogue names the repeated ones
            grouped.setdefault(part.network, {}).setdefault(part.target, {})[part.role] = tensor
    return grouped


def _deltas(
    adapter: Adapter,
    model_id: str,
    layers: Sequence[nn.Module],
    parts: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    device: torch.device,
    dtype: torch.dtype,
) -> list[Delta]:
    """The deltas of one layer, or of several that are one in the file."""
    factors = factors_of({role: parts[role] for role in parts.keys() - _BESIDES})
    if factors is None:
        raise _broken(adapter, Sentence("some of the tensors that belong together are missing"))
    if "alpha" in parts and parts["alpha"].numel() != 1:
        raise _broken(adapter, Sentence("its alpha is no number"))
    split = _split(factors, layers)
    if split is None:
        raise misfit(adapter, model_id)
    scale = _scale(factors, parts, settings)
    if adapter.gated:
        split = [Gated(own.parts) if _is_rank_one(own) else own for own in split]
    deltas = [
        Delta(layer, own.to(device, dtype), scale) for layer, own in zip(layers, split, strict=True)
    ]
    if not parts.keys() & {"magnitude", "dora_scale"}:
        return deltas
    if len(deltas) > 1:
        raise _broken(adapter, Sentence("it is a DoRA of layers that are several in this model"))
    lengths = _lengths(deltas[0], parts)
    if lengths is None:
        raise misfit(adapter, model_id)
    return [deltas[0]._replace(lengths=lengths)]


def _is_rank_one(factors: Factors) -> bool:
    return isinstance(factors, LowRank) and factors.rank == 1


def _split(factors: Factors, layers: Sequence[Any]) -> list[Factors] | None:
    """For each layer its own; None when they do not fit."""
    kinds = NORMS if isinstance(factors, NormShift) else nn.Linear | nn.Conv2d
    if not all(isinstance(layer, kinds) for layer in layers):
        return None
    try:
        rows = [layer.weight.shape[0] for layer in layers]
        split = [factors] if len(layers) == 1 else factors.split(rows)
    except (RuntimeError, IndexError):
        return None
    fitting = (own.fits(layer) for own, layer in zip(split, layers, strict=True))
    return split if all(fitting) else None


def _scale(factors: Factors, parts: Mapping[str, Tensor], settings: Mapping[str, Any]) -> float:
    """Alpha / rank, as the file says it; 1 where there is no rank."""
    if factors.rank is None:
        return 1.0
    alpha = (
        float(parts["alpha"]) if "alpha" in parts else settings.get("lora_alpha") or factors.rank
    )
    return alpha / (factors.rank**0.5 if settings.get("use_rslora") else factors.rank)


def _lengths(delta: Delta, parts: Mapping[str, Tensor]) -> Lengths | None:
    """A DoRA's gain for the layer's own weights; None when their sizes differ."""
    layer: Any = delta.module
    rows, columns = layer.weight.shape[:2]
    if "magnitude" in parts:  # as peft writes it
        magnitude, of_rows = parts["magnitude"], True
    else:
        magnitude = parts["dora_scale"]
        of_rows = magnitude.shape[:1] == (rows,)
    if magnitude.numel() != (rows if of_rows else columns):
        return None
    change = delta.factors.change().reshape(layer.weight.shape).float()
    whole = weights_of(layer).to(change) + delta.scale * change
    lengths = whole.transpose(0, int(not of_rows)).flatten(1).norm(dim=1).clamp(min=_SHORTEST)
    bias = None if layer.bias is None else layer.bias.detach().to(change)
    return Lengths(magnitude.to(change).flatten() / lengths, of_rows, bias)


def _notes_of(adapter: Adapter, notes: Mapping[str, str], network: str) -> dict[str, Any]:
    """What diffusers writes about a network's LoRA beside its tensors."""
    try:
        metadata = json.loads(notes.get("lora_adapter_metadata", "{}"))
        own = {key.removeprefix(f"{network}."): value for key, value in metadata.items()}
        if own.get("alpha_pattern") or own.get("lora_bias"):
            raise _broken(adapter, Sentence("it uses a bias, or an alpha for each layer"))
        return {
            "lora_alpha": float(own.get("lora_alpha") or 0),
            "use_rslora": own.get("use_rslora") is True,
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise _broken(adapter, Sentence("its notes are no JSON object of settings")) from None


def _broken(adapter: Adapter, problem: Sentence) -> TapestryError:
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence("The LoRA {name} cannot be used: {why}.", name=quoted(adapter.id), why=problem),
        "Get it again if it is smaller than where it came from; otherwise choose another one.",
    )
