"""What tensors of GGUF files are called, in the names of transformers where those differ.

Files of transformers that paint keep their own names. Those of language models have the names of
llama.cpp, and say in a note which one it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_T5 = (
    (r"token_embd\.weight", "shared.weight"),
    (r"enc\.blk\.(\d+)\.attn_([qkvo])\.", r"encoder.block.\1.layer.0.SelfAttention.\2."),
    (
        r"enc\.blk\.(\d+)\.attn_rel_b\.",
        r"encoder.block.\1.layer.0.SelfAttention.relative_attention_bias.",
    ),
    (r"enc\.blk\.(\d+)\.attn_norm\.", r"encoder.block.\1.layer.0.layer_norm."),
    (r"enc\.blk\.(\d+)\.ffn_norm\.", r"encoder.block.\1.layer.1.layer_norm."),
    (r"enc\.blk\.(\d+)\.ffn_gate\.", r"encoder.block.\1.layer.1.DenseReluDense.wi_0."),
    (r"enc\.blk\.(\d+)\.ffn_up\.", r"encoder.block.\1.layer.1.DenseReluDense.wi_1."),
    (r"enc\.blk\.(\d+)\.ffn_down\.", r"encoder.block.\1.layer.1.DenseReluDense.wo."),
    (r"enc\.output_norm\.", "encoder.final_layer_norm."),
)
_QWEN = (
    (r"token_embd\.", "model.embed_tokens."),
    (r"blk\.(\d+)\.attn_([qkv])\.", r"model.layers.\1.self_attn.\2_proj."),
    (r"blk\.(\d+)\.attn_output\.", r"model.layers.\1.self_attn.o_proj."),
    (r"blk\.(\d+)\.attn_([qk])_norm\.", r"model.layers.\1.self_attn.\2_norm."),
    (r"blk\.(\d+)\.attn_norm\.", r"model.layers.\1.input_layernorm."),
    (r"blk\.(\d+)\.ffn_norm\.", r"model.layers.\1.post_attention_layernorm."),
    (r"blk\.(\d+)\.ffn_(gate|up|down)\.", r"model.layers.\1.mlp.\2_proj."),
    (r"output_norm\.", "model.norm."),
)
_NAMES = {"t5": _T5, "t5encoder": _T5, "qwen3": _QWEN, "qwen2vl": _QWEN}
"""By what a file's note `general.architecture` says."""


def named_as_elsewhere(names: Sequence[str], notes: Mapping[str, str]) -> list[str]:
    """The names of a file's tensors as safetensors files of the same network have them."""
    rules = _NAMES.get(notes.get("general.architecture", ""), ())
    return [_renamed(name, rules) for name in names]


def _renamed(name: str, rules: Sequence[tuple[str, str]]) -> str:
    for pattern, new in rules:
        if re.match(pattern, name):
            return re.sub(f"^{pattern}", new, name)
    return name
