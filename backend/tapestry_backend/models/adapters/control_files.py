"""Loads ControlNets of one file, for a U-Net of whose build they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import safetensors
import torch
from accelerate import init_empty_weights
from torch import Tensor

from ...checkpoints.controlnet_keys import TYPES, ControlNetKeys, read_control_marks
from ...checkpoints.lora_keys import original_name
from ...checkpoints.safetensors_header import read_header

_ORIGINALS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "controlnet_mid_block": "middle_block_out.0",
}
_EYES = "controlnet_cond_embedding"


def load_control_file(path: Path, unet: Any, dtype: torch.dtype) -> Any:
    """The network in a file; None when it is of another build than the U-Net.

    Raises whatever safetensors does over a damaged file.
    """
    marks = read_control_marks(read_header(path))
    if marks is None:  # it was changed meanwhile
        return None
    content = _read(path, marks.prefix)
    eyes = _channels_of_eyes(content, marks)
    with init_empty_weights():
        network = diffusers.ControlNetModel.from_unet(
            unet, conditioning_embedding_out_channels=eyes, load_weights_from_unet=False
        )
        first = content["input_blocks.0.0.weight" if marks.original else "conv_in.weight"]
        # A U-Net for inpainting sees more than its latents.
        config = {**network.config, "in_channels": first.shape[1]}
        if marks.type_count:
            network = diffusers.ControlNetUnionModel.from_config(config | _sizes_of_union(content))
        else:
            network = diffusers.ControlNetModel.from_config(config)
    state = {}
    for key, wanted in network.state_dict().items():
        tensor = content.get(_spelled(key, network.config, len(eyes)) if marks.original else key)
        if tensor is None or tensor.shape != wanted.shape:
            return None
        state[key] = tensor.to(dtype)
    network.load_state_dict(state, assign=True)
    return network


def _read(path: Path, prefix: str) -> dict[str, Tensor]:
    """A file's tensors whose names begin like that; it may hold a whole model besides."""
    with safetensors.safe_open(path, framework="pt") as file:
        return {
            name.removeprefix(prefix): file.get_tensor(name)
            for name in file.keys()  # noqa: SIM118  it is no mapping
            if name.startswith(prefix)
        }


def _sizes_of_union(content: Mapping[str, Tensor]) -> dict[str, int]:
    """What a network that is several in one has besides; its heads no shape tells: 8, as usual."""
    layers = {name.split(".")[1] for name in content if name.startswith("transformer_layes.")}
    types, width = content[TYPES].shape
    return {
        "num_control_type": types,
        "num_trans_channel": width,
        "num_trans_layer": len(layers),
        "num_proj_channel": len(content["spatial_ch_projs.weight"]),
    }


def _channels_of_eyes(content: Mapping[str, Tensor], marks: ControlNetKeys) -> tuple[int, ...]:
    """Channels of the conditioning embedding: after its first convolution, and each that halves."""
    pattern = (
        r"input_hint_block\.(\d+)\.weight" if marks.original else rf"{_EYES}\.blocks\.(\d+)\.weight"
    )
    found = {int(m[1]): len(t) for name, t in content.items() if (m := re.fullmatch(pattern, name))}
    numbers = sorted(found)
    if marks.original:  # every second number is a convolution; the last one is no part of this
        return tuple(found[number] for number in numbers[:-1][::2])
    first = len(content[f"{_EYES}.conv_in.weight"])
    return (first, *(found[number] for number in numbers[1::2]))


def _spelled(key: str, config: Any, eyes: int) -> str:
    """A tensor of diffusers' network by the name that its authors' code gives it."""
    module, _, kind = key.rpartition(".")
    if module.startswith(_EYES):
        number = {"conv_in": 0, "conv_out": 2 * (eyes - 1) + 1}.get(module.rpartition(".")[2])
        place = number if number is not None else int(module.rpartition(".")[2]) + 1
        return f"input_hint_block.{2 * place}.{kind}"
    if found := re.fullmatch(r"controlnet_down_blocks\.(\d+)", module):
        return f"zero_convs.{found[1]}.0.{kind}"
    return f"{_ORIGINALS.get(module) or original_name(module, config)}.{kind}"
