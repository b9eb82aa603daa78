"""Blocks that are left out: each row by its own memory, equal to diffusers' own for one row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FirstBlockCacheConfig
from torch import Tensor

from tapestry_backend.checkpoints.catalogue import Catalogue, read_checkpoint_at
from tapestry_backend.engine.multidiffusion import WindowContext
from tapestry_backend.engine.step_cache import RowMemory, StepCache
from tapestry_backend.engine.windows import Size, Window
from tapestry_backend.models.device.card_settings import CardSettings
from tapestry_backend.models.model_cache import ModelCache
from tests.models.tiny_checkpoints import (
    WINDOW,
    save_3,
    save_chroma,
    save_flux,
    save_flux_2,
    save_qwen_image,
    save_z_image,
)

TIMES = [torch.tensor(time) for time in (900.0, 800.0, 700.0)]
TINY = 1e-9
"""A threshold that nothing stays below."""
PROMPTS = ("lava", "a forest of long old trees")
FAMILIES = {
    "sd3": save_3,
    "flux": save_flux,
    "z_image": save_z_image,
    "qwen_image": save_qwen_image,
    "chroma": save_chroma,
    "flux2": save_flux_2,
}


def load(family: str, folder: Path) -> Any:
    """A tiny transformer of a family."""
    path = FAMILIES[family](folder / "checkpoint")
    return ModelCache(Catalogue([str(path)]), "cpu").load(str(path))


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny transformer of each family in turn."""
    return load(request.param, tmp_path_factory.mktemp("family"))


def latents_of(model: Any, count: int, seed: int = 0) -> Tensor:
    """So many windows of noise."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, model.channels, model.window, model.window, generator=generator)


def prompts_of(model: Any, prompts: Sequence[str] = PROMPTS) -> Tensor:
    """Encoded, as a distilled model and any other takes them."""
    return model.encode_prompts(list(prompts), [4.0 if model.distilled else 1.0] * len(prompts))


def contexts_of(
    memories: Sequence[RowMemory | None], references: tuple[Tensor, ...] = ()
) -> list[WindowContext]:
    """A window for each memory, shown these pictures."""
    window = Window(0, 0, WINDOW, WINDOW)
    return [
        WindowContext(window, Size(WINDOW, WINDOW), references=references, memory=memory)
        for memory in memories
    ]


def run(
    model: Any, latents: Tensor, conditions: Tensor, memories: Sequence[RowMemory | None]
) -> Tensor:
    """What a model predicts at all times, of latents that change from one to the next."""
    made = [
        model.predict(latents * (1 - number / 10), time, conditions, contexts_of(memories))
        for number, time in enumerate(TIMES)
    ]
    return torch.stack(made)


def test_where_everything_changes_the_numbers_are_as_ever(model: Any) -> None:
    """To the bit, in one batch and for texts of different length."""
    latents, conditions = latents_of(model, 2), prompts_of(model)
    cache = StepCache(TINY)

    plain = run(model, latents, conditions, [None, None])
    assert torch.equal(run(model, latents, conditions, cache.memories("ab")), plain)
    assert cache.left_out == 0


def test_rows_do_not_mix(model: Any) -> None:
    """Together in a batch each is what it is alone; another's memory would change it."""
    latents, conditions = latents_of(model, 2), prompts_of(model)
    latents[1] = -latents[0]  # what is added to the one is what the other does not want
    together, alone = StepCache(2.0), [StepCache(2.0), StepCache(2.0)]

    both = run(model, latents, conditions, together.memories("ab"))
    each = [
        run(model, latents[[row]], conditions[[row]], cache.memories("a"))
        for row, cache in enumerate(alone)
    ]
    torch.testing.assert_close(both, torch.cat(each, dim=1), atol=1e-5, rtol=1e-5)
    assert together.left_out == 4 == sum(cache.left_out for cache in alone)

    swapped = together.memories("ba")
    last = latents * 0.8, TIMES[-1], conditions
    mixed = model.predict(*last, contexts_of(swapped))
    assert (mixed - both[-1]).abs().max() > 1e-3


def test_each_row_decides_for_itself(model: Any) -> None:
    """One that changed is evaluated whole beside one that did not."""
    first, other = latents_of(model, 2), latents_of(model, 2, seed=1)
    conditions = prompts_of(model)
    cache = StepCache(0.01)
    contexts = contexts_of(cache.memories("ab"))

    before = model.predict(first, TIMES[0], conditions, contexts)
    now = torch.stack([first[0], other[1]])
    made = model.predict(now, TIMES[0], conditions, contexts)

    assert cache.left_out == 1
    plain = model.predict(now, TIMES[0], conditions)
    torch.testing.assert_close(made, plain, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(made[0], before[0], atol=1e-5, rtol=1e-5)
    # What it remembers is of now: the same again is left out for both.
    model.predict(now, TIMES[0], conditions, contexts)
    assert cache.left_out == 3


def test_a_memory_is_of_the_last_whole_evaluation(model: Any) -> None:
    """So small changes add up, and a row is evaluated again in time."""
    latents, conditions = latents_of(model, 1), prompts_of(model, PROMPTS[:1])
    cache = StepCache(0.0)
    contexts = contexts_of(cache.memories("a"))
    model.predict(latents, TIMES[0], conditions, contexts)
    kept = contexts[0].memory.first
    cache.threshold = 2.0
    model.predict(latents * 0.9, TIMES[1], conditions, contexts)

    assert cache.left_out == 1
    assert contexts[0].memory.first is kept


@pytest.mark.parametrize("family", ["flux", "qwen_image"])
def test_one_row_is_what_diffusers_own_cache_makes(family: str, tmp_path: Path) -> None:
    """Of the transformers that diffusers' hook can be put on; for a threshold in between."""
    model = load(family, tmp_path)
    other = ModelCache(Catalogue([str(tmp_path / "checkpoint")]), "cpu").load(model.id)
    latents, conditions = latents_of(model, 1), prompts_of(model, PROMPTS[:1])
    evaluated = []
    for threshold in (0.05, 0.1, 0.2, 0.4, 0.8):
        cache = StepCache(threshold)
        made = run(model, latents, conditions, cache.memories("a"))
        evaluated.append(cache.left_out)
        transformer = other.adapter_manager.networks["transformer"]
        transformer.enable_cache(FirstBlockCacheConfig(threshold))
        with transformer.cache_context("cond"):
            theirs = run(other, latents, conditions, [None])
        transformer.disable_cache()
        torch.testing.assert_close(made, theirs, atol=1e-5, rtol=1e-5)

    assert evaluated[0] == 0
    assert evaluated[-1] == len(TIMES) - 1


EDITORS = {
    "kontext": lambda folder: save_flux(folder, edits=True),
    "qwen": lambda folder: save_qwen_image(folder, edits="QwenImageEditPipeline"),
    "flux2": save_flux_2,
}


@pytest.mark.parametrize("editor", EDITORS)
def test_shown_pictures_are_seen_and_not_remembered(editor: str, tmp_path: Path) -> None:
    """What is remembered is as long as what is painted."""
    path = EDITORS[editor](tmp_path / "checkpoint")
    model: Any = ModelCache(Catalogue([str(path)]), "cpu").load(str(path))
    latents = latents_of(model, 1)
    conditions = prompts_of(model, PROMPTS[:1])
    cache = StepCache(0.01)
    (memory,) = cache.memories("a")
    contexts = contexts_of([memory], (latents_of(model, 1, seed=1),))

    made = model.predict(latents, TIMES[0], conditions, contexts)
    again = model.predict(latents, TIMES[0], conditions, contexts)

    assert cache.left_out == 1
    torch.testing.assert_close(again, made, atol=1e-5, rtol=1e-5)
    alone = model.predict(latents, TIMES[0], conditions)
    assert (made - alone).abs().max() > 1e-4
    assert memory.rest.shape == memory.first.shape
    assert memory.rest.shape[0] == model._tokens


def test_layers_that_come_one_by_one_are_all_asked(tmp_path: Path) -> None:
    """They are fetched in a fixed order: nothing is remembered."""
    model = load("flux", tmp_path)
    model._parts.come_in_layers("transformer")
    cache = StepCache(2.0)
    run(model, latents_of(model, 1), prompts_of(model, PROMPTS[:1]), cache.memories("a"))

    assert cache.left_out == 0


def test_a_model_that_has_remembered_is_as_before(tmp_path: Path) -> None:
    """Rows without memories go through it as ever."""
    model = load("chroma", tmp_path)
    latents, conditions = latents_of(model, 2), prompts_of(model)
    before = run(model, latents, conditions, [None, None])
    run(model, latents, conditions, StepCache(2.0).memories("ab"))

    assert torch.equal(run(model, latents, conditions, [None, None]), before)


def test_weights_in_8_bits_remember_likewise(tmp_path: Path) -> None:
    """Each layer is widened by a hook of its own, beside those of the blocks."""
    path = save_flux(tmp_path / "checkpoint")
    cache = ModelCache(Catalogue([str(path)]), "cpu", CardSettings(fp8=True))
    model: Any = cache.load(str(path))
    latents, conditions = latents_of(model, 2), prompts_of(model)
    plain = run(model, latents, conditions, [None, None])
    remembered = StepCache(2.0)

    assert torch.equal(run(model, latents, conditions, StepCache(TINY).memories("ab")), plain)
    run(model, latents, conditions, remembered.memories("ab"))
    assert remembered.left_out == 4


def test_transformers_remember_and_u_nets_do_not(model: Any, model_cache: ModelCache) -> None:
    """These are no blocks in a row. The docker is told the same without loading them."""
    assert model.remembers_steps
    assert read_checkpoint_at("x", Path(model.id)).info.step_cache
    assert not model_cache.catalogue.find("sample").info.step_cache
    assert not model_cache.load("sample").remembers_steps
