"""Loads the networks of single files: tensors, their names, and the tokenizers they lack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import safetensors
import torch
import transformers
from accelerate import init_empty_weights
from torch import Tensor, nn

from ...checkpoints.checkpoint_file import FileModel, NetworkSource
from ...checkpoints.families import FAMILIES
from ...checkpoints.folders import is_gguf
from .conversion import StateDict, convert
from .fp8_dequantize import in_precision, unscaled
from .gguf_tensors import read_gguf
from .packed_linear import pack_layers
from .tokenizers import clip_tokenizer, sought_tokenizer


def load_modules(model: FileModel, dtype: torch.dtype) -> dict[str, nn.Module]:
    """The networks of a file, on the processor; raises ValueError when tensors are missing."""
    family = FAMILIES[model.family]
    return {
        part: _load_module(source, family.modules[part][0], dtype)
        for part, source in model.parts.items()
    }


def load_tokenizers(model: FileModel, near: Path) -> dict[str, Any]:
    """The tokenizers that its text encoders were trained with; others' are looked for near it."""
    family = FAMILIES[model.family]
    found = {}
    for name, kind in family.tokenizers.items():
        encoder = model.parts.get(name.replace("tokenizer", "text_encoder"))
        if encoder is None:
            continue
        words = int(encoder.config["vocab_size"])
        if kind == "CLIPTokenizer":
            found[name] = clip_tokenizer(words, open_clip=encoder.kind not in _CLIP_L)
        else:
            found[name] = sought_tokenizer(kind, encoder.kind, near)
    return found


def load_scheduler(model: FileModel) -> Any:
    """The one it was made for."""
    name, settings = model.scheduler
    return getattr(diffusers, name)(**settings)


_CLIP_L = {"clip_l", "clip_l_unprojected"}


def _load_module(source: NetworkSource, name: str, dtype: torch.dtype) -> nn.Module:
    state = convert(source.kind, unscaled(_read(source), dtype), source.config)
    with init_empty_weights():
        network = _empty(name, source.config)
    if hasattr(network, "text_model"):
        state = {
            key if key.startswith("text_projection") else f"text_model.{key}": tensor
            for key, tensor in state.items()
        }
    wanted = network.state_dict().keys()
    missing = sorted(wanted - state.keys())
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, such as {missing[0]}")
    for key in state.keys() - wanted:
        del state[key]
    state = in_precision(state, dtype)
    pack_layers(network, state, dtype)
    network.load_state_dict(state, assign=True)
    return network.requires_grad_(False)  # noqa: FBT003  torch's own name for it


def _empty(name: str, config: Mapping[str, Any]) -> Any:
    """A network without memory for its weights yet."""
    if hasattr(diffusers, name):
        return getattr(diffusers, name)(**config)
    kind = getattr(transformers, name)
    return kind(kind.config_class(**config))


def _read(source: NetworkSource) -> StateDict:
    """A network's tensors, without what all their names begin with."""
    if is_gguf(source.path.name):
        whole = read_gguf(source.path)
        return {
            name.removeprefix(source.prefix): tensor
            for name, tensor in whole.items()
            if name.startswith(source.prefix)
        }
    above = source.prefix.removesuffix("text_model.")
    with safetensors.safe_open(source.path, framework="pt") as file:
        state: dict[str, Tensor] = {
            name.removeprefix(source.prefix): file.get_tensor(name)
            for name in file.keys()  # noqa: SIM118  it is no mapping
            if name.startswith(source.prefix)
        }
        if source.kind == "clip_g":
            state["text_projection.weight"] = file.get_tensor(f"{above}text_projection.weight")
    return state
