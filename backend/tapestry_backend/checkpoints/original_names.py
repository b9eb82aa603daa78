"""What the authors' own code calls the layers of transformers, and diffusers does.

Patterns of names, and what stands for them. Some layers of theirs are several in diffusers.
"""

from __future__ import annotations

import re

FLUX_NAMES = (
    (r"time_in\.in_layer", "time_text_embed.timestep_embedder.linear_1"),
    (r"time_in\.out_layer", "time_text_embed.timestep_embedder.linear_2"),
    (r"vector_in\.in_layer", "time_text_embed.text_embedder.linear_1"),
    (r"vector_in\.out_layer", "time_text_embed.text_embedder.linear_2"),
    (r"guidance_in\.in_layer", "time_text_embed.guidance_embedder.linear_1"),
    (r"guidance_in\.out_layer", "time_text_embed.guidance_embedder.linear_2"),
    (r"txt_in", "context_embedder"),
    (r"img_in", "x_embedder"),
    (r"final_layer\.linear", "proj_out"),
    (r"final_layer\.adaLN_modulation\.1", "norm_out.linear"),
    (r"double_blocks\.(\d+)\.img_mod\.lin", r"transformer_blocks.\1.norm1.linear"),
    (r"double_blocks\.(\d+)\.txt_mod\.lin", r"transformer_blocks.\1.norm1_context.linear"),
    (r"double_blocks\.(\d+)\.img_mlp\.0", r"transformer_blocks.\1.ff.net.0.proj"),
    (r"double_blocks\.(\d+)\.img_mlp\.2", r"transformer_blocks.\1.ff.net.2"),
    (r"double_blocks\.(\d+)\.txt_mlp\.0", r"transformer_blocks.\1.ff_context.net.0.proj"),
    (r"double_blocks\.(\d+)\.txt_mlp\.2", r"transformer_blocks.\1.ff_context.net.2"),
    (r"double_blocks\.(\d+)\.img_attn\.proj", r"transformer_blocks.\1.attn.to_out.0"),
    (r"double_blocks\.(\d+)\.txt_attn\.proj", r"transformer_blocks.\1.attn.to_add_out"),
    (r"single_blocks\.(\d+)\.modulation\.lin", r"single_transformer_blocks.\1.norm.linear"),
    (r"single_blocks\.(\d+)\.linear2", r"single_transformer_blocks.\1.proj_out"),
)
FLUX_NORMS = (
    (r"double_blocks\.(\d+)\.img_attn\.norm\.query_norm", r"transformer_blocks.\1.attn.norm_q"),
    (r"double_blocks\.(\d+)\.img_attn\.norm\.key_norm", r"transformer_blocks.\1.attn.norm_k"),
    (
        r"double_blocks\.(\d+)\.txt_attn\.norm\.query_norm",
        r"transformer_blocks.\1.attn.norm_added_q",
    ),
    (r"double_blocks\.(\d+)\.txt_attn\.norm\.key_norm", r"transformer_blocks.\1.attn.norm_added_k"),
    (r"single_blocks\.(\d+)\.norm\.query_norm", r"single_transformer_blocks.\1.attn.norm_q"),
    (r"single_blocks\.(\d+)\.norm\.key_norm", r"single_transformer_blocks.\1.attn.norm_k"),
)
FLUX_TOGETHER = (
    (
        r"double_blocks\.(\d+)\.img_attn\.qkv",
        "transformer_blocks.{}.attn",
        ("to_q", "to_k", "to_v"),
    ),
    (
        r"double_blocks\.(\d+)\.txt_attn\.qkv",
        "transformer_blocks.{}.attn",
        ("add_q_proj", "add_k_proj", "add_v_proj"),
    ),
)
"""Three layers in one."""

_FLUX_WITH_MLP = (
    r"single_blocks\.(\d+)\.linear1",
    "single_transformer_blocks.{}",
    ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
)

_SD3_NAMES = tuple(
    (rf"joint_blocks\.(\d+)\.{theirs}", rf"transformer_blocks.\1.{ours}")
    for theirs, ours in (
        (r"x_block\.attn\.proj", "attn.to_out.0"),
        (r"x_block\.attn2\.proj", "attn2.to_out.0"),
        (r"x_block\.mlp\.fc1", "ff.net.0.proj"),
        (r"x_block\.mlp\.fc2", "ff.net.2"),
        (r"context_block\.attn\.proj", "attn.to_add_out"),
        (r"context_block\.mlp\.fc1", "ff_context.net.0.proj"),
        (r"context_block\.mlp\.fc2", "ff_context.net.2"),
    )
)
_SD3_TOGETHER = tuple(
    (rf"joint_blocks\.(\d+)\.{theirs}", "transformer_blocks.{}", ours)
    for theirs, ours in (
        (r"x_block\.attn\.qkv", ("attn.to_q", "attn.to_k", "attn.to_v")),
        (r"x_block\.attn2\.qkv", ("attn2.to_q", "attn2.to_k", "attn2.to_v")),
        (r"context_block\.attn\.qkv", ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")),
    )
)
_CHROMA_NAMES = tuple(
    (
        rf"distilled_guidance_layer\.layers\.(\d+)\.{theirs}_layer",
        rf"distilled_guidance_layer.layers.\1.linear_{ours}",
    )
    for theirs, ours in (("in", 1), ("out", 2))
)
_FLUX_2_NAMES = (
    (r"time_in\.in_layer", "time_guidance_embed.timestep_embedder.linear_1"),
    (r"time_in\.out_layer", "time_guidance_embed.timestep_embedder.linear_2"),
    (r"((?:double|single)_stream_modulation(?:_img|_txt)?)\.lin", r"\1.linear"),
    (r"double_blocks\.(\d+)\.img_mlp\.0", r"transformer_blocks.\1.ff.linear_in"),
    (r"double_blocks\.(\d+)\.img_mlp\.2", r"transformer_blocks.\1.ff.linear_out"),
    (r"double_blocks\.(\d+)\.txt_mlp\.0", r"transformer_blocks.\1.ff_context.linear_in"),
    (r"double_blocks\.(\d+)\.txt_mlp\.2", r"transformer_blocks.\1.ff_context.linear_out"),
    (r"single_blocks\.(\d+)\.linear1", r"single_transformer_blocks.\1.attn.to_qkv_mlp_proj"),
    (r"single_blocks\.(\d+)\.linear2", r"single_transformer_blocks.\1.attn.to_out"),
)
_Z_BLOCK = r"((?:layers|noise_refiner|context_refiner)\.\d+)"
_Z_NAMES = ((rf"{_Z_BLOCK}\.attention\.out", r"\1.attention.to_out.0"),)
_Z_TOGETHER = ((rf"{_Z_BLOCK}\.attention\.qkv", "{}.attention", ("to_q", "to_k", "to_v")),)
_TOGETHER = (*FLUX_TOGETHER, _FLUX_WITH_MLP, *_SD3_TOGETHER, *_Z_TOGETHER)
_UNLIKE = ("final_layer.linear", "final_layer.adaLN_modulation.1")
"""Whose rows are in another order, or which a file of adapters never has."""


def layers_of(flat: str) -> tuple[tuple[str, ...], ...]:
    """The layers in diffusers of one in the authors' code, with "_" for each dot in all names.

    FLUX.1 and FLUX.2 call theirs alike, which are others in diffusers: what each would mean.
    Several have their rows one after the other in it.
    """
    found = []
    for pattern, block, names in _TOGETHER:
        if match := re.fullmatch(_flat(pattern), flat):
            found.append(tuple(f"{block.format(match[1])}.{n}".replace(".", "_") for n in names))
    for pattern, new in (*FLUX_NAMES, *_SD3_NAMES, *_Z_NAMES, *_FLUX_2_NAMES, *_CHROMA_NAMES):
        if pattern.replace("\\", "") not in _UNLIKE and re.fullmatch(_flat(pattern), flat):
            found.append((re.sub(_flat(pattern), new.replace(".", "_"), flat),))
    return tuple(found)


def _flat(pattern: str) -> str:
    return pattern.replace(r"\.", "_")
