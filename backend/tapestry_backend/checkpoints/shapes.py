"""A network's configuration, read off the shapes of its tensors.

Files of other programs hold weights alone. What shapes do not say (how many heads, how norms are
grouped) is the same in every checkpoint of a family, and stands here as a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

Shapes = Mapping[str, tuple[int, ...]]

_HEAD = 64
"""Channels of a head, where a family does not say otherwise."""
_GROUPS = 32
_MAX_BLOCKS = 8
"""Each halves a picture's sides; Stable Diffusion's autoencoders have four."""


class NetworkKind(NamedTuple):
    """A kind of network in a file: a tensor that none is without, and how its shapes are read."""

    mark: str
    config: Callable[[Shapes], dict[str, Any]]


def within(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    """The tensors whose names begin like that, without the beginning."""
    return {name[len(prefix) :]: s for name, s in shapes.items() if name.startswith(prefix)}


def count(shapes: Shapes, beginning: str) -> int:
    """Number of numbered parts: those of "blocks." are blocks.0, blocks.1 ..."""
    pattern = re.compile(re.escape(beginning) + r"(\d+)\.")
    return len({found[1] for name in shapes if (found := pattern.match(name))})


def unet_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of a U-Net by its original names (input_blocks ...), as diffusers writes it.

    Stable Diffusion 1 has eight heads at every level, its successors heads of 64 channels.
    """
    levels: list[list[int]] = [[]]
    for number in range(1, count(shapes, "input_blocks.")):
        if f"input_blocks.{number}.0.op.weight" in shapes:
            levels.append([])
        else:
            levels[-1].append(number)
    channels = [shapes[f"input_blocks.{level[0]}.0.in_layers.2.weight"][0] for level in levels]
    depths = [_depth(shapes, f"input_blocks.{level[0]}.1") for level in levels]
    attention = next(n for n in shapes if n.endswith(".attn2.to_k.weight"))
    kinds = ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths]
    projected = next(n for n in shapes if n.endswith(".1.proj_in.weight"))
    linear = len(shapes[projected]) == 2
    config = {
        "in_channels": shapes["input_blocks.0.0.weight"][1],
        "out_channels": shapes["out.2.weight"][0],
        "block_out_channels": channels,
        "layers_per_block": len(levels[0]),
        "down_block_types": kinds,
        "up_block_types": [kind.replace("Down", "Up") for kind in reversed(kinds)],
        "cross_attention_dim": shapes[attention][1],
        "transformer_layers_per_block": [max(depth, 1) for depth in depths],
        "attention_head_dim": [max(1, c // _HEAD) for c in channels] if linear else 8,
        "use_linear_projection": linear,
        "norm_num_groups": _GROUPS,
    }
    if "label_emb.0.0.weight" in shapes:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": shapes["label_emb.0.0.weight"][1],
        }
    return config


def _depth(shapes: Shapes, attention: str) -> int:
    return count(shapes, f"{attention}.transformer_blocks.")


def autoencoder_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of an autoencoder by its original names; its scale is the family's."""
    blocks = count(shapes, "encoder.down.")
    return {
        "block_out_channels": [
            shapes[f"encoder.down.{i}.block.0.conv2.weight"][0] for i in range(blocks)
        ],
        "layers_per_block": count(shapes, "encoder.down.0.block."),
        "down_block_types": ["DownEncoderBlock2D"] * blocks,
        "up_block_types": ["UpDecoderBlock2D"] * blocks,
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "norm_num_groups": _GROUPS,
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
    }


def vae_channels(config: Mapping[str, Any]) -> int:
    """Channels of an autoencoder's latents, by its configuration; KeyError where it says none."""
    return int(config["z_dim"] if "z_dim" in config else config["latent_channels"])


def vae_cell_px(config: Mapping[str, Any]) -> int:
    """Pixels on a side of a cell; raises ValueError when no autoencoder has so many blocks."""
    blocks = (
        config.get("block_out_channels")
        or config.get("encoder_block_out_channels")
        or config["dim_mult"]
    )
    if not 0 < len(blocks) <= _MAX_BLOCKS:
        raise ValueError("blocks")
    return int(2 ** (len(blocks) - 1))


def autoencoder_qwen_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of Qwen-Image's autoencoder by the names of its authors' code."""
    return {
        "base_dim": shapes["encoder.conv1.weight"][0],
        "z_dim": shapes["conv2.weight"][0],
        "dim_mult": [1, 2, 4, 4],
    }


def clip_config(shapes: Shapes, *, act: str) -> dict[str, Any]:
    """Configuration of CLIP's text model by the names of transformers, from embeddings.* on."""
    words, width = shapes["embeddings.token_embedding.weight"]
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": shapes["encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": count(shapes, "encoder.layers."),
        "num_attention_heads": width // _HEAD,
        "max_position_embeddings": shapes["embeddings.position_embedding.weight"][0],
        "hidden_act": act,
        "projection_dim": shapes.get("../text_projection.weight", (width,))[0],
        "bos_token_id": words - 2,
        "eos_token_id": words - 1,
    }


def open_clip_config(shapes: Shapes, *, layers: int | None = None) -> dict[str, Any]:
    """Configuration of OpenCLIP's text model; of its first `layers`, where not all are read."""
    words, width = shapes["token_embedding.weight"]
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": shapes["transformer.resblocks.0.mlp.c_fc.weight"][0],
        "num_hidden_layers": layers or count(shapes, "transformer.resblocks."),
        "num_attention_heads": width // _HEAD,
        "max_position_embeddings": shapes["positional_embedding"][0],
        "hidden_act": "gelu",
        "projection_dim": shapes.get("text_projection", (width, width))[1],
        "bos_token_id": words - 2,
        "eos_token_id": words - 1,
    }


def t5_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of T5's encoder (1.1, gated)."""
    words, width = shapes["shared.weight"]
    buckets, heads = shapes["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    return {
        "vocab_size": words,
        "d_model": width,
        "d_ff": shapes["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"][0],
        "d_kv": shapes["encoder.block.0.layer.0.SelfAttention.q.weight"][0] // heads,
        "num_heads": heads,
        "num_layers": count(shapes, "encoder.block."),
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu",
    }


def sd3_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of the transformer of Stable Diffusion 3 and 3.5 by its original names."""
    width, in_channels, patch, _ = shapes["x_embedder.proj.weight"]
    layers = count(shapes, "joint_blocks.")
    dual = [i for i in range(layers) if f"joint_blocks.{i}.x_block.attn2.qkv.weight" in shapes]
    normed = "joint_blocks.0.x_block.attn.ln_q.weight" in shapes
    return {
        "in_channels": in_channels,
        "out_channels": shapes["final_layer.linear.weight"][0] // patch**2,
        "patch_size": patch,
        "num_layers": layers,
        "attention_head_dim": _HEAD,
        "num_attention_heads": width // _HEAD,
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "caption_projection_dim": shapes["context_embedder.weight"][0],
        "pooled_projection_dim": shapes["y_embedder.mlp.0.weight"][1],
        "pos_embed_max_size": round(shapes["pos_embed"][1] ** 0.5),
        "dual_attention_layers": dual,
        "qk_norm": "rms_norm" if normed else None,
    }


def flux_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of FLUX.1's transformer by its original names."""
    width, taken = shapes["img_in.weight"]
    head = shapes["double_blocks.0.img_attn.norm.key_norm.scale"][0]
    return {
        "patch_size": 1,
        "in_channels": taken,
        "out_channels": shapes["final_layer.linear.weight"][0],
        "num_layers": count(shapes, "double_blocks."),
        "num_single_layers": count(shapes, "single_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["txt_in.weight"][1],
        "pooled_projection_dim": shapes["vector_in.in_layer.weight"][1],
        "guidance_embeds": "guidance_in.in_layer.weight" in shapes,
        # An eighth of a head for which picture it is, the rest for row and column.
        "axes_dims_rope": [head // 8, head * 7 // 16, head * 7 // 16],
    }


def autoencoder_flux2_config(shapes: Shapes) -> dict[str, Any]:
    """The same of FLUX.2's, some of whose layers lie inside others in its authors' code."""
    config = autoencoder_config(shapes)
    inside = {"use_quant_conv": "encoder.", "use_post_quant_conv": "decoder."}
    names = {setting: f"{setting.removeprefix('use_')}.weight" for setting in inside}
    return config | {
        setting: names[setting] in shapes or f"{where}{names[setting]}" in shapes
        for setting, where in inside.items()
    }


def flux2_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of FLUX.2 Klein's transformer by its original names.

    Raises ValueError for dev's, which is told a guidance scale and reads another language model.
    """
    if "guidance_in.in_layer.weight" in shapes:
        raise ValueError("FLUX.2 dev")
    width, taken = shapes["img_in.weight"]
    (head,) = shapes["double_blocks.0.img_attn.norm.key_norm.scale"]
    return {
        "patch_size": 1,
        "in_channels": taken,
        "num_layers": count(shapes, "double_blocks."),
        "num_single_layers": count(shapes, "single_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["txt_in.weight"][1],
        "mlp_ratio": shapes["double_blocks.0.img_mlp.2.weight"][1] / width,
        "axes_dims_rope": [head // 4] * 4,
        "guidance_embeds": False,
    }


def chroma_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of Chroma's transformer by its original names."""
    width, taken = shapes["img_in.weight"]
    head = shapes["double_blocks.0.img_attn.norm.key_norm.scale"][0]
    hidden, told = shapes["distilled_guidance_layer.in_proj.weight"]
    return {
        "patch_size": 1,
        "in_channels": taken,
        "num_layers": count(shapes, "double_blocks."),
        "num_single_layers": count(shapes, "single_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["txt_in.weight"][1],
        "axes_dims_rope": [head // 8, head * 7 // 16, head * 7 // 16],
        "approximator_num_channels": told,
        "approximator_hidden_dim": hidden,
        "approximator_layers": count(shapes, "distilled_guidance_layer.layers."),
    }


def z_image_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of Z-Image's transformer by its original names."""
    width, taken = shapes["x_embedder.weight"]
    (head,) = shapes["layers.0.attention.q_norm.weight"]
    return {
        "in_channels": taken // 4,
        "dim": width,
        "n_layers": count(shapes, "layers."),
        "n_refiner_layers": count(shapes, "noise_refiner."),
        "n_heads": width // head,
        "n_kv_heads": width // head,
        "cap_feat_dim": shapes["cap_embedder.1.weight"][1],
        # A quarter of a head for the place in the text, the rest for row and column.
        "axes_dims": [head // 4, head * 3 // 8, head * 3 // 8],
        "axes_lens": [1536, 512, 512],
    }


def qwen3_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of the language model Qwen3 by the names of transformers."""
    words, width = shapes[WORDS]
    (head,) = shapes["layers.0.self_attn.q_norm.weight"]
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": shapes["layers.0.mlp.gate_proj.weight"][0],
        "num_hidden_layers": count(shapes, "layers."),
        "num_attention_heads": shapes["layers.0.self_attn.q_proj.weight"][0] // head,
        "num_key_value_heads": shapes["layers.0.self_attn.k_proj.weight"][0] // head,
        "head_dim": head,
        "max_position_embeddings": 40960,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
    }


def qwen_image_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of Qwen-Image's transformer, whose names are those of diffusers."""
    width, taken = shapes["img_in.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "patch_size": 2,
        "in_channels": taken,
        "out_channels": shapes["proj_out.weight"][0] // 4,
        "num_layers": count(shapes, "transformer_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["txt_in.weight"][1],
        "axes_dims_rope": [head // 8, head * 7 // 16, head * 7 // 16],
    }


def qwen25_config(shapes: Shapes) -> dict[str, Any]:
    """Configuration of the language model inside Qwen2.5-VL, whose heads are all as wide."""
    words, width = shapes[WORDS]
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": shapes["layers.0.mlp.gate_proj.weight"][0],
        "num_hidden_layers": count(shapes, "layers."),
        "num_attention_heads": shapes["layers.0.self_attn.q_proj.weight"][0] // 128,
        "num_key_value_heads": shapes["layers.0.self_attn.k_proj.weight"][0] // 128,
        "max_position_embeddings": 128_000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "mrope_section": [16, 24, 24],
            "rope_theta": 1_000_000.0,
        },
    }


def _all_but_last(shapes: Shapes) -> dict[str, Any]:
    """Stable Diffusion 2 reads what comes before the last layer."""
    return open_clip_config(shapes, layers=count(shapes, "transformer.resblocks.") - 1)


WORDS = "embed_tokens.weight"
"""The words of a language model."""

LANGUAGE_MODELS = frozenset({"qwen3", "qwen25"})
"""Kinds that were made to speak, and read prompts here."""

_CLIP = "embeddings.token_embedding.weight"

KINDS = {
    "unet": NetworkKind("input_blocks.0.0.weight", unet_config),
    "autoencoder": NetworkKind("decoder.conv_in.weight", autoencoder_config),
    "clip_l": NetworkKind(_CLIP, partial(clip_config, act="quick_gelu")),
    "clip_l_unprojected": NetworkKind(_CLIP, partial(clip_config, act="quick_gelu")),
    "clip_g": NetworkKind(_CLIP, partial(clip_config, act="gelu")),
    "open_clip": NetworkKind("token_embedding.weight", open_clip_config),
    "open_clip_but_last": NetworkKind("token_embedding.weight", _all_but_last),
    "t5": NetworkKind("encoder.block.0.layer.0.SelfAttention.q.weight", t5_config),
    "sd3": NetworkKind("joint_blocks.0.context_block.adaLN_modulation.1.bias", sd3_config),
    "z_image": NetworkKind("cap_pad_token", z_image_config),
    "chroma": NetworkKind("distilled_guidance_layer.in_proj.weight", chroma_config),
    "flux2": NetworkKind("double_stream_modulation_img.lin.weight", flux2_config),
    "autoencoder_flux2": NetworkKind("bn.running_mean", autoencoder_flux2_config),
    "qwen_image": NetworkKind("txt_norm.weight", qwen_image_config),
    "autoencoder_qwen": NetworkKind("decoder.middle.0.residual.0.gamma", autoencoder_qwen_config),
    "qwen25": NetworkKind("layers.0.self_attn.q_proj.bias", qwen25_config),
    "qwen3": NetworkKind("layers.0.self_attn.q_norm.weight", qwen3_config),
    "flux": NetworkKind("double_blocks.0.img_attn.norm.key_norm.scale", flux_config),
}
