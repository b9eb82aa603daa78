"""When memory runs out: first with less of it, then a sentence with numbers; the next job works."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.recognition import recognise
from tapestry_backend.tasks.run import run
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Edit, Request
from tests.models.allocator import Allocator
from tests.models.live_tensors import Costs
from tests.models.tiny_checkpoints import save_checkpoint

SHARES = (100, 50, 25, 12)
"""Of what the picture takes where there is plenty, in percent."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelCache:
    """A model cache with a tiny checkpoint, loaded."""
    folder = str(save_checkpoint(tmp_path_factory.mktemp("tiny") / "model"))
    model_cache = ModelCache(Catalogue([folder]))
    model_cache.load(folder)
    return model_cache


def request(model_cache: ModelCache, width: int) -> Request:
    """A picture of as many windows as its width has; one step."""
    model = model_cache.catalogue.models[-1].id
    return Request("generate", 64, width, "snow", num_inference_steps=1, model=model)


def paint(model_cache: ModelCache, width: int, memory: Costs) -> np.ndarray:
    """A picture that is painted in this memory."""
    with memory:
        *_, finished = run(request(model_cache, width), {}, model_cache)
    return np.frombuffer(finished.pixels.data, np.uint8).astype(int)


def try_painting(model_cache: ModelCache, width: int, memory: Allocator) -> np.ndarray | None:
    """The same; None when it fails for lack of memory."""
    try:
        return paint(model_cache, width, memory)
    except TapestryError as error:
        if error.code is not ErrorCode.OUT_OF_MEMORY or not memory.refusals:
            raise
        return None


@pytest.mark.promise("R6")
def test_less_memory_is_less_at_a_time(tiny: ModelCache, measured) -> None:
    """The same picture, or a sentence; and whatever came of it, a small picture after it."""
    plenty = Costs()
    picture = paint(tiny, 1024, plenty)
    outcomes = []
    for share in SHARES:
        memory = Allocator(plenty.peak_bytes * share // 100)
        painted = try_painting(tiny, 1024, memory)
        assert painted is None or abs(painted - picture).max() <= 1
        how = "a sentence" if painted is None else "painted"
        outcomes.append(f"{share} %: {how} after {memory.refusals} refusals")
        paint(tiny, 64, Allocator(plenty.peak_bytes * share // 100))
    assert all("painted" in outcome for outcome in outcomes[:2])
    measured("; ".join(outcomes) + "; the next small job worked each time")


@pytest.mark.promise("R6")
def test_no_memory_is_a_sentence_with_numbers(tiny: ModelCache, measured) -> None:
    """Sizes, what was free, and what to do; the worker goes on."""
    with pytest.raises(TapestryError) as raised:
        paint(tiny, 320, Allocator(100_000))
    assert raised.value.code is ErrorCode.OUT_OF_MEMORY
    assert "320 x 64 pixels" in raised.value.message
    assert re.search(r"\d+\.\d of \d+\.\d GiB", raised.value.message)
    assert "smaller" in raised.value.advice
    assert paint(tiny, 64, Costs()).size == 64 * 64 * 4
    measured(raised.value.message)


@pytest.mark.promise("R6")
def test_a_model_that_does_not_fit_is_a_sentence(
    tiny: ModelCache, catalogue: Catalogue, measured
) -> None:
    """Memory that runs out while a model is loaded, and another model after it."""
    model_cache = ModelCache(tiny.catalogue)
    with pytest.raises(TapestryError, match="not enough memory for the model") as raised:
        paint(model_cache, 64, Allocator(50_000))
    assert raised.value.code is ErrorCode.OUT_OF_MEMORY
    assert paint(model_cache, 64, Costs()).size == 64 * 64 * 4
    measured("while loading: a sentence; loaded at the next job")


@pytest.mark.promise("R6")
def test_windows_are_painted_fewer_at_a_time(
    tiny: ModelCache, monkeypatch: pytest.MonkeyPatch, measured
) -> None:
    """A model that takes three rows at a time gives the same picture, and the artist hears why."""
    model = tiny.load(tiny.catalogue.models[-1].id)
    *_, plain = run(request(tiny, 320), {}, tiny)
    predict, sizes = model.predict, []

    def fails_above_three(latents, timestep, conditions, contexts):
        sizes.append(len(latents))
        if len(latents) > 3:
            raise torch.OutOfMemoryError("more than three rows")
        return predict(latents, timestep, conditions, contexts)

    monkeypatch.setattr(model, "predict", fails_above_three)
    *_, short = run(request(tiny, 320), {}, tiny)
    pictures = [np.frombuffer(each.pixels.data, np.uint8).astype(int) for each in (plain, short)]
    assert abs(pictures[0] - pictures[1]).max() <= 1
    assert plain.report["notices"] == []
    (notice,) = short.report["notices"]
    assert "2 at a time instead of 16" in notice
    measured(f"rows that were tried: {', '.join(map(str, sizes))}")


@pytest.mark.parametrize("method", ["diffedit", "p2p", "ddib"])
def test_an_edit_with_fewer_windows_at_a_time_says_so(
    tiny: ModelCache, monkeypatch: pytest.MonkeyPatch, scene, method: str
) -> None:
    """In any of its stages."""
    model = tiny.load(tiny.catalogue.models[-1].id)
    predict = model.predict

    def fails_above_three(latents, timestep, conditions, contexts):
        if len(latents) > 3:
            raise torch.OutOfMemoryError("more than three rows")
        return predict(latents, timestep, conditions, contexts)

    monkeypatch.setattr(model, "predict", fails_above_three)
    image, words = scene.picture(64, 320), Edit(method, "snow", threshold=0.0)
    asked = replace(request(tiny, 320), task="edit", prompt="lava", image=image, edit=words)
    *_, finished = run(asked, scene.blobs, tiny)
    (notice,) = finished.report["notices"]
    assert "at a time instead of 16" in notice


@pytest.mark.promise("R6")
def test_names_that_cannot_be_compared_for_want_of_memory(tiny: ModelCache, scene) -> None:
    """A sentence, as for a picture; the next one works."""
    asked = replace(request(tiny, 320), task="edit", image=scene.picture(64, 320), edit=Edit())
    with Allocator(100_000), pytest.raises(TapestryError, match="not enough memory") as raised:
        list(recognise(asked, ["snow", "lava"], scene.blobs, tiny))
    assert raised.value.code is ErrorCode.OUT_OF_MEMORY
    *_, found = recognise(asked, ["snow", "lava"], scene.blobs, tiny)
    assert sorted(found.names) == ["lava", "snow"]


def test_the_store_of_a_checkpoint_is_where_it_was_saved(tiny: ModelCache) -> None:
    """The tiny checkpoint is what these tests paint with, not the bundled one."""
    assert Path(tiny.catalogue.models[-1].id).name == "model"
