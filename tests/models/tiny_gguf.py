"""Tiny GGUF files, written with gguf's own writer; tests nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from torch import Tensor

WRITTEN = (Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1, Kind.Q8_0)
"""Those that gguf packs as well as it unpacks them."""

_BLOCK = 32


def save_gguf(
    tensors: Mapping[str, Tensor],
    path: Path,
    kind: Kind = Kind.Q8_0,
    architecture: str = "flux",
    notes: Mapping[str, object] | None = None,
) -> dict[str, Tensor]:
    """Matrices packed as far as their rows allow, the rest in 16 or 32 bits; what was meant."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    for name, value in (notes or {}).items():
        add = writer.add_array if isinstance(value, list) else writer.add_string
        add(name, value)
    meant = {}
    for name, tensor in tensors.items():
        numbers = tensor.detach().float().numpy()
        if tensor.ndim == 2 and tensor.shape[1] % _BLOCK == 0:
            packed, stored = gguf.quantize(numbers, kind), kind
        elif tensor.ndim == 2:
            packed, stored = gguf.quantize(numbers, Kind.BF16), Kind.BF16
        else:
            packed, stored = numbers, Kind.F32
        writer.add_tensor(name, packed, raw_dtype=stored)
        meant[name] = torch.from_numpy(np.array(gguf.dequantize(packed, stored)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return meant


def llama_names(tensors: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The tensors of T5's encoder, or of a Qwen, by the names of llama.cpp."""
    return {_LLAMA[kind](name): tensor for name, tensor in tensors.items()}


def _t5(name: str) -> str:
    if name == "shared.weight":
        return "token_embd.weight"
    if name.startswith("encoder.final"):
        return "enc.output_norm.weight"
    _, _, block, _, layer, inner = name.removesuffix(".weight").split(".", 5)
    names = {
        "SelfAttention.relative_attention_bias": "attn_rel_b",
        **{f"SelfAttention.{which}": f"attn_{which}" for which in "qkvo"},
        "DenseReluDense.wi_0": "ffn_gate",
        "DenseReluDense.wi_1": "ffn_up",
        "DenseReluDense.wo": "ffn_down",
        "layer_norm": "attn_norm" if layer == "0" else "ffn_norm",
    }
    return f"enc.blk.{block}.{names[inner]}.weight"


def _qwen(name: str) -> str:
    plain = name.removeprefix("model.")
    if not plain.startswith("layers."):
        return {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}[
            plain
        ]
    _, block, inner = plain.split(".", 2)
    stem, _, end = inner.rpartition(".")
    names = {
        **{f"self_attn.{which}_proj": f"attn_{which}" for which in "qkv"},
        "self_attn.o_proj": "attn_output",
        **{f"self_attn.{which}_norm": f"attn_{which}_norm" for which in "qk"},
        **{f"mlp.{which}_proj": f"ffn_{which}" for which in ("gate", "up", "down")},
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    return f"blk.{block}.{names[stem]}.{end}"


_LLAMA = {"t5": _t5, "qwen": _qwen}
