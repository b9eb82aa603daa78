"""How LoRA files call their tensors, and which module of a network each belongs to; no tensors.

A target is a module's name with "_" for every dot, as kohya writes it: of all spellings it is the
one that each of the others can be brought to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

Role = str
"""Of a LoRA: "down", "up", perhaps "mid" between; of others, what LyCORIS calls it.

Besides: "alpha", and how long a DoRA's rows or columns are: "magnitude" as peft writes it, and
"dora_scale" as LyCORIS does.
"""

_PLAIN_ROLES = (
    *(f"hada_{name}" for name in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")),
    *(f"lokr_{name}" for name in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")),
    "alpha",
    "dora_scale",
)
"""These end a tensor's name as they are."""


class Part(NamedTuple):
    """A tensor's place: the network, the module in it, and what it is there."""

    network: str
    target: str
    role: Role


_ENDS: tuple[tuple[str, Role], ...] = (
    (".lora_A.weight", "down"),
    (".lora_B.weight", "up"),
    (".lora_A.default.weight", "down"),
    (".lora_B.default.weight", "up"),
    (".lora_down.weight", "down"),
    (".lora_up.weight", "up"),
    (".lora.down.weight", "down"),
    (".lora.up.weight", "up"),
    (".lora_linear_layer.down.weight", "down"),
    (".lora_linear_layer.up.weight", "up"),
    ("_lora.down.weight", "down"),
    ("_lora.up.weight", "up"),
    (".lora_mid.weight", "mid"),
    (".lora_magnitude_vector", "magnitude"),
    (".lora_magnitude_vector.weight", "magnitude"),
    (".lora_magnitude_vector.default", "magnitude"),
    *((f".{role}", role) for role in _PLAIN_ROLES),
)
_NETWORKS = (
    ("lora_unet_", "unet"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te_", "text_encoder"),
    ("lora_transformer_", "transformer"),
    ("lycoris_", "transformer"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder.", "text_encoder"),
    ("transformer.", "transformer"),
    ("unet.", "unet"),
    ("base_model.model.", "unet"),
)
"""How names begin; the longer ones of those that begin alike first."""


def read_name(name: str) -> Part | None:
    """Where a tensor belongs; None when it is no part of a LoRA that we know."""
    ended = next(((end, role) for end, role in _ENDS if name.endswith(end)), None)
    begun = next(((begin, of) for begin, of in _NETWORKS if name.startswith(begin)), None)
    if ended is None or begun is None:
        return None
    (end, role), (begin, network) = ended, begun
    module = name.removesuffix(end).removeprefix(begin)
    module = module.replace(".processor.", ".").removesuffix(".processor")
    if end.startswith("_lora") and module.endswith("to_out"):
        module += ".0"  # diffusers' attention before its processors were layers of their own
    return Part(network, module.replace(".", "_"), role)


def targets(names: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    """Every spelling of a target -> the module's own name; `names`: the network's modules.

    A U-Net is also known by the names of Stability's own code, which kohya's trainers use for
    Stable Diffusion XL, a text encoder by those of older versions of transformers.
    """
    known = {name.replace(".", "_"): name for name in names}
    known.update({f"text_model_{flat}": name for flat, name in known.items()})
    if "down_block_types" in config:
        known.update(
            {original_name(name, config).replace(".", "_"): name for name in names if "." in name}
        )
    return known


def original_name(name: str, config: Mapping[str, Any]) -> str:
    """A module of diffusers' U-Net by the name that it has in Stability's own code."""
    found = re.fullmatch(r"(down|mid|up)_blocks?(?:\.(\d+))?\.(\w+)\.(\d+)(.*)", name)
    if not found:
        return name
    where, block, kind, number, inside = found.groups()
    row = config["layers_per_block"] + 1
    place, n = int(number), int(block or 0)
    if kind == "resnets":
        inside = _inside_resnet(inside)
    if where == "mid":
        return f"middle_block.{1 if kind == 'attentions' else 2 * place}{inside}"
    if where == "down":
        if kind == "downsamplers":
            return f"input_blocks.{(n + 1) * row}.0.op"
        return f"input_blocks.{1 + n * row + place}.{int(kind == 'attentions')}{inside}"
    if kind == "upsamplers":
        attends = "CrossAttn" in config["up_block_types"][n]
        return f"output_blocks.{(n + 1) * row - 1}.{1 + attends}.conv"
    return f"output_blocks.{n * row + place}.{int(kind == 'attentions')}{inside}"


def _inside_resnet(name: str) -> str:
    return {
        ".norm1": ".in_layers.0",
        ".norm2": ".out_layers.0",
        ".conv1": ".in_layers.2",
        ".conv2": ".out_layers.3",
        ".time_emb_proj": ".emb_layers.1",
        ".conv_shortcut": ".skip_connection",
    }.get(name, name)
