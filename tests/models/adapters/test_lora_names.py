"""LoRA files as other programs write them: the same picture, and what else stands in such files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tapestry_backend.checkpoints.adapter_catalogue import AdapterCatalogue
from tapestry_protocol.adapters import Lora
from tests.models.adapters.conftest import LatentsOf

SPELLINGS = {
    "default_0": lambda name: name.replace(".weight", ".default_0.weight"),
    "no prefix": lambda name: name.removeprefix("unet."),
    "wrapped": lambda name: f"base_model.model.{name}",
    "wrapped without a network": lambda name: f"base_model.model.{name.removeprefix('unet.')}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_each_spelling_paints_the_same(
    adapters: Path, adapted_cache, latents_of: LatentsOf, tmp_path: Path, spelling: str
) -> None:
    """As the file it was made from, to the last bit."""
    content = {k: v for k, v in load_file(adapters / "peft.safetensors").items() if "unet." in k}
    save_file(content, tmp_path / "plain.safetensors")
    respelled = {SPELLINGS[spelling](name): tensor for name, tensor in content.items()}
    save_file(respelled, tmp_path / "other.safetensors")
    kept = adapted_cache.catalogue.adapters
    adapted_cache.catalogue.adapters = AdapterCatalogue([str(tmp_path)])
    try:
        plain, other = (latents_of(loras=(Lora(name),)) for name in ("plain", "other"))
    finally:
        adapted_cache.catalogue.adapters = kept
    assert torch.equal(plain, other)


def test_usable_tensors_are_taken_and_the_rest_is_named(
    adapters: Path, adapted_cache, latents_of: LatentsOf, checkpoint: Path, tmp_path: Path
) -> None:
    """Norms and layers that the model lacks, and unknown tensors."""
    content = load_file(adapters / "peft.safetensors")
    first = next(name for name in content if name.endswith("lora_A.weight"))
    ending = first.rpartition(".lora_A")[0].rpartition(".")[2]
    strange = {
        "bundle_emb.mood.emb_params": torch.zeros(1, 8),
        "lora_unet_down_blocks_0_norm1.w_norm": torch.zeros(8),
        "lora_unet_down_blocks_0_norm1.b_norm": torch.zeros(8),
        "unet.a.set_weight": torch.zeros(8),
        f"unet.nowhere.{ending}.lora_A.weight": torch.zeros(4, 8),
        f"unet.nowhere.{ending}.lora_B.weight": torch.zeros(8, 4),
    }
    save_file(content, tmp_path / "whole.safetensors")
    save_file({**content, **strange}, tmp_path / "more.safetensors")
    known = AdapterCatalogue([str(tmp_path)])
    kept, adapted_cache.catalogue.adapters = adapted_cache.catalogue.adapters, known
    try:
        plain, more = (latents_of(loras=(Lora(name),)) for name in ("whole", "more"))
    finally:
        adapted_cache.catalogue.adapters = kept
    adapter_manager = adapted_cache.load(str(checkpoint)).adapter_manager
    told = " ".join(adapter_manager.notices_about(known.find("more", "lora")))
    (listed,) = known.left_out_beside([])

    assert torch.equal(plain, more)
    assert "1 unknown tensors, such as “unet.a.set_weight”" in told
    assert "2 layers that this model lacks" in told
    assert "is used without 1 unknown" in str(listed)
    assert known.find("mood", "embedding").token == "<mood>"


def spoiled(content: dict[str, torch.Tensor], how: str) -> dict[str, torch.Tensor]:
    """The same file, with one layer that cannot be laid on."""
    down = next(name for name in content if name.endswith("lora_A.weight"))
    up = down.replace("lora_A", "lora_B")
    shape = content[down].shape
    changes = {
        "inputs": {down: torch.zeros(shape[0], shape[1] + 5)},
        "ranks": {down: torch.zeros(shape[0] + 1, *shape[1:])},
        "empty": {down: content[down][:0], up: content[up][:, :0]},
    }
    return {**content, **{name: part.clone() for name, part in changes[how].items()}}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("inputs", "1 layers that do not fit this model's, such as “"),
        ("ranks", "1 layers that do not fit this model's, such as “"),
        ("empty", "1 layers of rank 0, such as “"),
    ],
)
def test_one_layer_that_cannot_be_laid_on_keeps_no_other_away(
    adapters: Path, adapted_cache, checkpoint: Path, tmp_path: Path, how: str, words: str
) -> None:
    """It is reported by its name."""
    content = load_file(adapters / "peft.safetensors")
    save_file(spoiled(content, how), tmp_path / f"{how}.safetensors")
    found = AdapterCatalogue([str(tmp_path)]).find(how, "lora")
    manager = adapted_cache.load(str(checkpoint)).adapter_manager
    with manager.activated([(found, 1.0)]):
        told = " ".join(manager.notices_about(found))

    assert words in told


def test_what_stands_beside_changes_that_are_missing_is_not_whole(
    adapters: Path, adapted_cache, checkpoint: Path, tmp_path: Path
) -> None:
    """It is not said that the model lacks that layer."""
    content = load_file(adapters / "peft.safetensors")
    down = next(name for name in content if name.endswith("lora_A.weight"))
    layer = down.removesuffix(".lora_A.weight")
    del content[down], content[f"{layer}.lora_B.weight"]
    save_file({**content, f"{layer}.alpha": torch.ones(())}, tmp_path / "alone.safetensors")
    found = AdapterCatalogue([str(tmp_path)]).find("alone", "lora")
    manager = adapted_cache.load(str(checkpoint)).adapter_manager
    with manager.activated([(found, 1.0)]):
        told = " ".join(manager.notices_about(found))

    assert "1 layers that are not whole, such as" in told


def test_a_second_lora_in_a_file_is_told_of(
    adapters: Path, adapted_cache, latents_of: LatentsOf, tmp_path: Path
) -> None:
    """The first one is laid on, to the last bit, wherever it stands in the file."""
    content = {k: v for k, v in load_file(adapters / "peft.safetensors").items() if "unet." in k}
    save_file(content, tmp_path / "one-of-two.safetensors")
    both = {
        name.replace(".weight", f".default_{number}.weight"): tensor * (number + 1)
        for number in (1, 0)
        for name, tensor in content.items()
    }
    save_file(both, tmp_path / "both.safetensors")
    known = AdapterCatalogue([str(tmp_path)])
    kept, adapted_cache.catalogue.adapters = adapted_cache.catalogue.adapters, known
    try:
        first, laid = (latents_of(loras=(Lora(name),)) for name in ("one-of-two", "both"))
    finally:
        adapted_cache.catalogue.adapters = kept

    assert torch.equal(first, laid)
    (told,) = known.left_out_beside([])
    assert f"{len(content)} tensors of a second LoRA in it, such as" in told.message


def test_hooks_stay_while_loras_are_used(
    adapters: Path, adapted_cache, checkpoint: Path, latents_of: LatentsOf
) -> None:
    """A thousand of them are not made anew for every step; without LoRAs nothing is different."""
    manager = adapted_cache.load(str(checkpoint)).adapter_manager
    without = latents_of()
    found = adapted_cache.catalogue.adapters.find("peft", "lora")
    with manager.activated([(found, 1.0)]):
        hooks = dict(manager._hooks._handles)
    for weight in (0.5, 1.0):
        with manager.activated([(found, weight)]):
            assert manager._hooks._handles == hooks
            with manager.activated([]):
                assert not manager._hooks._now
    assert hooks
    assert torch.equal(latents_of(), without)
    assert not any(module._forward_hooks for module in hooks)  # a picture without pays nothing
