"""How LoRA files call their tensors, and which module of a network each belongs to.

A target is a module's name with "_" for every dot, as kohya writes it: of all spellings it is the
one that each of the others can be brought to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tapestry_protocol.sentences import Sentence, quoted

from .left_out import listed

Role = str
"""Of a LoRA: "down", "up", perhaps "mid" between; of others, what LyCORIS calls it.

Besides: "alpha"; what is added to a norm's weight and bias, "w_norm" and "b_norm"; and how long a
DoRA's rows or columns are: "magnitude" as peft writes it, and "dora_scale" as LyCORIS does.
"""

_PLAIN_ROLES = (
    *(f"hada_{name}" for name in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")),
    *(f"lokr_{name}" for name in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")),
    "alpha",
    "dora_scale",
    "w_norm",
    "b_norm",
)
"""These end a tensor's name as they are."""


BUNDLED = "bundle_emb."
"""How the embeddings begin that stand in a LoRA's file: bundle_emb.NAME.KEY."""


class TensorPlace(NamedTuple):
    """A tensor's place: the network, the module in it, and what it is there."""

    network: str
    target: str
    role: Role


_ENDS: tuple[tuple[str, Role], ...] = (
    (".lora_A.weight", "down"),
    (".lora_B.weight", "up"),
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
    *((f".{role}", role) for role in _PLAIN_ROLES),
)
_NETWORKS = (
    ("lora_unet_", "unet"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te3_", "text_encoder_3"),
    ("lora_te_", "text_encoder"),
    ("lora_transformer_", "transformer"),
    ("lycoris_", "transformer"),
    ("text_encoders.clip_l.transformer.", "text_encoder"),  # as ComfyUI saves what it extracts
    ("text_encoders.clip_g.transformer.", "text_encoder_2"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder.", "text_encoder"),
    ("transformer.", "transformer"),
    ("diffusion_model.", "unet"),
    ("unet.", "unet"),
)
"""How names begin; the longer ones of those that begin alike first."""

_WRAPPERS = ("module.", "_orig_mod.", "base_model.model.", "model.diffusion_model.")
"""What libraries write before a network's name, or in its place."""

_NAMED = re.compile(r"\.(lora_[AB]|lora_magnitude_vector)\.(?!weight$)[\w-]+(\.weight)?$")
"""peft's name of an adapter in the middle, such as "default_0"."""

_BLOCKS = (
    *("double_blocks", "single_blocks", "joint_blocks"),
    *(
        "distilled_guidance_layer",
        "double_stream_modulation",
        "single_stream_modulation",
        "time_guidance_embed",
    ),
    *(f"{name}_in" for name in ("img", "txt", "time", "vector", "guidance")),
)
"""How the layers of FLUX and Stable Diffusion 3 begin in their authors' own code."""

_Z_BLOCKS = (
    *("layers", "noise_refiner", "context_refiner", "cap_embedder", "t_embedder"),
    *("all_x_embedder", "all_final_layer"),
)
"""How those of Z-Image do, there and in diffusers."""

_STARTS = (
    *((name, "transformer") for name in (*_BLOCKS, *_Z_BLOCKS)),
    *((f"{name}transformer_blocks", "transformer") for name in ("", "single_")),
    *((name, "transformer") for name in ("x_embedder", "context_embedder", "time_text_embed")),
    *((name, "transformer") for name in ("norm_out", "proj_out", "pos_embed", "final_layer")),
    *((name, "unet") for name in ("conv_in", "conv_norm_out", "conv_out", "add_embedding")),
    *((name, "unet") for name in ("out.", "label_emb", "class_embedding")),
    *((name, "unet") for name in ("down_blocks", "mid_block", "up_blocks", "time_embedding")),
    *((name, "unet") for name in ("input_blocks", "middle_block", "output_blocks", "time_embed")),
    ("text_model", "text_encoder"),
)
"""How a network's modules begin, where a name does not say which network it is."""


def read_name(name: str) -> TensorPlace | None:
    """Where a tensor belongs; None when it is no part of a known LoRA."""
    name = _NAMED.sub(r".\1\2", name)
    ended = next(((end, role) for end, role in _ENDS if name.endswith(end)), None)
    if ended is None:
        return None
    end, role = ended
    network, module = _network_of(name.removesuffix(end))
    if not network:
        return None
    module = module.replace(".processor.", ".").removesuffix(".processor")
    if end.startswith("_lora") and network.startswith("text_encoder"):
        module = re.sub(r"\.to_(q|k|v|out)$", r".\1_proj", module)
    elif end.startswith("_lora") and module.endswith("to_out"):
        module += ".0"  # diffusers' attention before its processors were layers of their own
    return TensorPlace(network, module.replace(".", "_"), role)


def _network_of(module: str) -> tuple[str, str]:
    """The network that a module is in, "" where it is unknown, and the module's name there."""
    inside = _unwrapped(module)
    begun = next(((begin, of) for begin, of in _NETWORKS if inside.startswith(begin)), None)
    network = "unet" if inside != module else ""
    if begun is not None:
        begin, network = begun
        inside = _unwrapped(inside.removeprefix(begin))
    # Trainers write "unet" for every denoising network, or nothing at all.
    said = begun is not None and begun[1] != "unet" and begun[0] != "lycoris_"
    if not said:
        network = next((of for start, of in _STARTS if inside.startswith(start)), network)
    return network, inside


def _unwrapped(module: str) -> str:
    for wrapper in _WRAPPERS:
        module = module.removeprefix(wrapper)
    return module


def unused_in(names: Iterable[str]) -> Sentence | None:
    """What stands in a LoRA's file that we do not use; None where there is nothing."""
    names = list(names)
    unknown = [n for n in names if read_name(n) is None and not n.startswith(BUNDLED)]
    repeated = sorted(repeated_in(names))
    parts = []
    if unknown:
        parts.append(
            Sentence(
                "{count} unknown tensors, such as {name}",
                count=len(unknown),
                name=quoted(unknown[0][:60]),
            )
        )
    if repeated:
        parts.append(
            Sentence(
                "{count} tensors of a second LoRA in it, such as {name}",
                count=len(repeated),
                name=quoted(repeated[0][:60]),
            )
        )
    return listed(parts)


def repeated_in(names: Iterable[str]) -> set[str]:
    """Those whose place another tensor has already: a file may hold several adapters of peft's."""
    placed: dict[TensorPlace, list[tuple[str, str]]] = {}
    for name in names:
        part, named = read_name(name), _NAMED.search(name)
        if part is not None:
            placed.setdefault(part, []).append((named[0] if named else "", name))
    return {name for same in placed.values() for _, name in sorted(same)[1:]}


def targets(names: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    """Every spelling of a target -> the module's own name; `names`: the network's modules.

    A U-Net is also known by the names of Stability's own code, which kohya's trainers use for
    Stable Diffusion XL, a text encoder by those of older versions of transformers.
    """
    known = {name.replace(".", "_"): name for name in names}
    known.update({f"text_model_{flat}": name for flat, name in known.items()})
    if "down_block_types" in config:
        known.update(
            {original_name(name, config).replace(".", "_"): name for name in names if name}
        )
    return known


_AROUND_BLOCKS = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}


def original_name(name: str, config: Mapping[str, Any]) -> str:
    """A module of diffusers' U-Net by the name that it has in Stability's own code."""
    found = re.fullmatch(r"(down|mid|up)_blocks?(?:\.(\d+))?\.(\w+)\.(\d+)(.*)", name)
    if not found:
        return _AROUND_BLOCKS.get(name, name)
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
