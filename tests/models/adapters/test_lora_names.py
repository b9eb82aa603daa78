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
    adapters: Path, adapted_store, latents_of: LatentsOf, tmp_path: Path, spelling: str
) -> None:
    """As the file it was made from, to the last bit."""
    content = {k: v for k, v in load_file(adapters / "peft.safetensors").items() if "unet." in k}
    save_file(content, tmp_path / "plain.safetensors")
    respelled = {SPELLINGS[spelling](name): tensor for name, tensor in content.items()}
    save_file(respelled, tmp_path / "other.safetensors")
    kept = adapted_store.catalogue.adapters
    adapted_store.catalogue.adapters = AdapterCatalogue([str(tmp_path)])
    try:
        plain, other = (latents_of(loras=(Lora(name),)) for name in ("plain", "other"))
    finally:
        adapted_store.catalogue.adapters = kept
    assert torch.equal(plain, other)


def test_what_is_good_is_taken_and_the_rest_is_named(
    adapters: Path, adapted_store, latents_of: LatentsOf, checkpoint: Path, tmp_path: Path
) -> None:
    """Norms and layers that the model lacks, and what nobody knows."""
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
    kept, adapted_store.catalogue.adapters = adapted_store.catalogue.adapters, known
    try:
        plain, more = (latents_of(loras=(Lora(name),)) for name in ("whole", "more"))
    finally:
        adapted_store.catalogue.adapters = kept
    adapter_manager = adapted_store.load(str(checkpoint)).adapter_manager
    told = " ".join(adapter_manager.notices_about(known.find("more", "lora")))
    (listed,) = known.left_out_beside([])

    assert torch.equal(plain, more)
    assert "1 tensors that nobody knows, such as 'unet.a.set_weight'" in told
    assert "2 layers that this model lacks" in told
    assert "is used without 1 tensors" in str(listed)
    assert known.find("mood", "embedding").token == "<mood>"
