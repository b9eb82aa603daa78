"""Models of the true size: as many weights as the published ones; a tiny one of each paints."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from tapestry_backend.bench.card import full_models
from tapestry_backend.bench.card import run as card_run
from tapestry_backend.bench.card.full_models import FULL_MODELS, FullModel
from tapestry_backend.bench.card.run import CardBench
from tapestry_backend.bench.card.small_models import small_parts
from tapestry_backend.bench.speed.random_models import ShapedModelCache
from tapestry_backend.cli.bench_card import FAMILIES

CPU = torch.device("cpu")

WEIGHTS = {
    "Stable Diffusion 3.5 Large": (8_056_627_520, 4_762_310_656, 83_819_683),
    "FLUX.1": (11_901_408_320, 4_762_310_656, 83_819_683),
    "Chroma": (8_899_983_424, 4_762_310_656, 83_819_683),
    "FLUX.2 Klein 4B": (3_875_544_576, 4_022_468_096, 84_046_115),
    "FLUX.2 Klein 9B": (9_078_581_248, 7_568_405_504, 84_046_115),
    "Z-Image": (6_154_908_736, 4_022_468_096, 83_819_683),
    "Qwen-Image": (20_430_401_088, 7_070_619_136, 126_892_531),
}
"""Numbers in the transformer, the largest text encoder and the autoencoder."""


@pytest.mark.parametrize("name", FULL_MODELS)
def test_true_sizes_are_counted_without_memory(name: str) -> None:
    """Of the checkpoints that are called so."""
    weights = FULL_MODELS[name].weights()
    texts = [count for part, count in weights.items() if part.startswith("text_encoder")]

    assert (weights["transformer"], max(texts), weights["vae"]) == WEIGHTS[name]


def test_every_family_has_one() -> None:
    """Or a U-Net of the true size."""
    assert {full.family for full in FULL_MODELS.values()} | {*card_run._SHAPE_OF} == {*FAMILIES}


def tiny(name: str) -> FullModel:
    """The same family with next to no numbers, as its maker makes it."""
    full = FULL_MODELS[name]
    parts = small_parts(full.family, torch.float32).modules

    def made(part: str) -> nn.Module:
        return small_parts(full.family, torch.get_default_dtype()).modules[part]

    return FullModel(full.family, {part: partial(made, part) for part in parts}, full.options)


@pytest.mark.parametrize("name", FULL_MODELS)
def test_a_tiny_one_paints_on_every_canvas(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a card is asked with models of the true size, and in its precision."""
    small = tiny(name)
    monkeypatch.setattr(FullModel, "window_px", card_run.WINDOW_PX)
    monkeypatch.setattr(card_run, "FULL_MODELS", {name: small})
    monkeypatch.setattr(card_run, "_CARD_CANVASES", card_run._SMALL_CANVASES)
    monkeypatch.setattr(card_run, "_LIVE_PX", 2 * card_run.WINDOW_PX)
    monkeypatch.setattr(CardBench, "_is_small", False)
    monkeypatch.setattr(ShapedModelCache, "_dtype", lambda *_: torch.bfloat16)

    rows = list(CardBench(CPU, [small.family])._at_full_size())

    assert [(row.part, row.problem) for row in rows] == [("canvas", "")] * 3 + [("live", "")]
    assert all(row.name.startswith(f"{name}, ") and row.seconds > 0 for row in rows)


def test_parts_are_made_in_their_own_precision() -> None:
    """Never in single precision first, which takes twice the memory."""
    made: list[torch.dtype] = []

    def layer() -> nn.Module:
        made.append(nn.Linear(2, 2).weight.dtype)
        return nn.Linear(2, 2)

    parts = FullModel("flux", {"transformer": layer}).parts(CPU, torch.bfloat16)

    assert made[-1] == torch.bfloat16 == parts.modules["transformer"].weight.dtype
    assert torch.get_default_dtype() == torch.float32


def test_what_fits_nowhere_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than end the process, or the card's other rows."""
    monkeypatch.setattr(full_models, "free_and_total_bytes", lambda _: (2**30, 2**30))
    monkeypatch.setattr(card_run, "_CARD_CANVASES", card_run._SMALL_CANVASES)
    bench = CardBench(CPU, ["qwen_image"])
    cache: Any = ShapedModelCache(FULL_MODELS["Qwen-Image"], "cpu")

    problems = [row.problem for row in bench._canvases("x", cache)]
    assert all(said.startswith("There was not enough memory for the model") for said in problems)
