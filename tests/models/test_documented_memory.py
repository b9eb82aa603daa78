"""The sizes in docs/models.md are those of the true networks, which exist here without memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from torch import nn

from tapestry_backend.models.step_cache import blocks_of

_DOC = Path(__file__).parents[2] / "docs" / "models.md"
_STEP_CACHE = _DOC.with_name("performance.md")
_QWEN3 = {"vocab_size": 151936, "num_hidden_layers": 36, "num_key_value_heads": 8, "head_dim": 128}


def _qwen3(**sizes: int) -> nn.Module:
    return transformers.Qwen3Model(
        transformers.Qwen3Config(num_attention_heads=32, **_QWEN3, **sizes)
    )


def _qwen_vl() -> nn.Module:
    config = transformers.Qwen2_5_VLTextConfig(
        vocab_size=152064,
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
    )
    return transformers.Qwen2_5_VLTextModel(config)


def _t5() -> nn.Module:
    sizes = {"d_model": 4096, "d_ff": 10240, "num_heads": 64, "num_layers": 24}
    return transformers.T5EncoderModel(
        transformers.T5Config(feed_forward_proj="gated-gelu", **sizes)
    )


def _klein(double: int, single: int, heads: int, text: int) -> nn.Module:
    return diffusers.Flux2Transformer2DModel(
        num_layers=double,
        num_single_layers=single,
        num_attention_heads=heads,
        joint_attention_dim=text,
        guidance_embeds=False,
    )


NETWORKS = {
    "FLUX.1": (lambda: diffusers.FluxTransformer2DModel(guidance_embeds=True), _t5),
    "Chroma": (diffusers.ChromaTransformer2DModel, _t5),
    "FLUX.2 Klein 4B": (
        lambda: _klein(5, 20, 24, 7680),
        lambda: _qwen3(hidden_size=2560, intermediate_size=9728),
    ),
    "FLUX.2 Klein 9B": (
        lambda: _klein(8, 24, 32, 12288),
        lambda: _qwen3(hidden_size=4096, intermediate_size=12288),
    ),
    "Z-Image": (
        diffusers.ZImageTransformer2DModel,
        lambda: _qwen3(hidden_size=2560, intermediate_size=9728),
    ),
    "Qwen-Image": (diffusers.QwenImageTransformer2DModel, _qwen_vl),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_table_says_how_large_a_family_is(name: str) -> None:
    """In 16 bits: the transformer, and the text encoder that weighs most."""
    row = re.search(
        rf"^\| {re.escape(name)} \| ([\d.]+) \| ([\d.]+) \|", _DOC.read_text("utf-8"), re.MULTILINE
    )
    assert row is not None
    with torch.device("meta"):
        sizes = [2 * sum(p.numel() for p in make().parameters()) for make in NETWORKS[name]]
    assert [f"{size / 2**30:.1f}" for size in sizes] == [row[1], row[2]]


TOKENS = {"Qwen-Image": 83**2}
"""Of a window, where they are not those of 1024 pixels."""


@pytest.mark.parametrize("name", NETWORKS)
def test_the_step_cache_keeps_and_computes_what_its_table_says(name: str) -> None:
    """In 16 bits: two numbers for each of a token's; and all weights but those of later blocks."""
    row = re.search(
        rf"^\| {re.escape(name)} \| (\d+) % \| (\d+) MiB \|",
        _STEP_CACHE.read_text("utf-8"),
        re.MULTILINE,
    )
    assert row is not None
    with torch.device("meta"):
        transformer: Any = NETWORKS[name][0]()
    later = sum(_count(block) for block in blocks_of(transformer)[1:])
    config = transformer.config
    width = config.get("dim") or config.num_attention_heads * config.attention_head_dim
    kept = 2 * 2 * TOKENS.get(name, 4096) * width

    assert f"{1 - later / _count(transformer):.0%}" == f"{row[1]}%"
    assert f"{kept / 2**20:.0f}" == row[2]


def _count(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())
