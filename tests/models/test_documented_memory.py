"""The sizes in docs/models.md are those of the true networks, which exist here without memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tapestry_backend.bench.card.full_models import FULL_MODELS
from tapestry_backend.models.step_cache import blocks_of

_DOC = Path(__file__).parents[2] / "docs" / "models.md"
_STEP_CACHE = _DOC.with_name("performance.md")


@pytest.mark.parametrize("name", FULL_MODELS)
def test_the_table_says_how_large_a_family_is(name: str) -> None:
    """In 16 bits: the transformer, and the text encoder that weighs most."""
    row = re.search(
        rf"^\| {re.escape(name)} \| ([\d.]+) \| ([\d.]+) \|", _DOC.read_text("utf-8"), re.MULTILINE
    )
    assert row is not None
    weights = FULL_MODELS[name].weights()
    texts = [count for part, count in weights.items() if part.startswith("text_encoder")]
    sizes = [2 * count for count in (weights["transformer"], max(texts))]
    assert [f"{size / 2**30:.1f}" for size in sizes] == [row[1], row[2]]


TOKENS = {"Qwen-Image": 83**2}
"""Of a window, where they are not those of 1024 pixels."""


@pytest.mark.parametrize("name", FULL_MODELS)
def test_the_step_cache_keeps_and_computes_what_its_table_says(name: str) -> None:
    """In 16 bits: two numbers for each of a token's; and all weights but those of later blocks."""
    row = re.search(
        rf"^\| {re.escape(name)} \| (\d+) % \| (\d+) MiB \|",
        _STEP_CACHE.read_text("utf-8"),
        re.MULTILINE,
    )
    assert row is not None
    with torch.device("meta"):
        transformer: Any = FULL_MODELS[name].makers["transformer"]()
    later = sum(_count(block) for block in blocks_of(transformer)[1:])
    config = transformer.config
    width = config.get("dim") or config.num_attention_heads * config.attention_head_dim
    kept = 2 * 2 * TOKENS.get(name, 4096) * width

    assert f"{1 - later / _count(transformer):.0%}" == f"{row[1]}%"
    assert f"{kept / 2**20:.0f}" == row[2]


def _count(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())
