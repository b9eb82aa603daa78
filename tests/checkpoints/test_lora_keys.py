"""How LoRA files call their tensors: every spelling, and what else stands in such files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tapestry_backend.checkpoints.adapter_catalogue import AdapterCatalogue
from tapestry_backend.checkpoints.adapter_recognition import read_adapter
from tapestry_backend.checkpoints.lora_keys import read_name
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import TapestryError
from tests.models.adapters.conftest import LatentsOf

UNET = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
FLUX = "single_transformer_blocks.0.attn.to_q"


@pytest.mark.parametrize(
    ("name", "network", "module"),
    [
        (f"unet.{UNET}.lora_A.weight", "unet", UNET),
        (f"unet.{UNET}.lora_A.default.weight", "unet", UNET),
        (f"unet.{UNET}.lora_A.default_0.weight", "unet", UNET),
        (f"unet.{UNET}.lora_A.my-style.weight", "unet", UNET),
        (f"unet.base_model.model.{UNET}.lora_A.weight", "unet", UNET),
        (f"base_model.model.{UNET}.lora_A.weight", "unet", UNET),
        (f"base_model.model.unet.{UNET}.lora_A.weight", "unet", UNET),
        (f"{UNET}.lora_A.weight", "unet", UNET),
        (f"{UNET}.lora_down.weight", "unet", UNET),
        (f"lora_unet_{UNET.replace('.', '_')}.lora_down.weight", "unet", UNET),
        (f"lycoris_{UNET.replace('.', '_')}.lora_down.weight", "unet", UNET),
        (f"diffusion_model.{FLUX}.lora_A.weight", "transformer", FLUX),
        (f"model.diffusion_model.{FLUX}.lora_A.weight", "transformer", FLUX),
        (f"transformer.{FLUX}.lora_A.default_0.weight", "transformer", FLUX),
        (f"base_model.model.transformer.{FLUX}.lora_A.weight", "transformer", FLUX),
        (f"base_model.model.{FLUX}.lora_A.weight", "transformer", FLUX),
        (f"{FLUX}.lora_A.weight", "transformer", FLUX),
        (
            "double_blocks.0.img_attn.qkv.lora_A.weight",
            "transformer",
            "double_blocks.0.img_attn.qkv",
        ),
        ("text_model.encoder.x.lora_A.weight", "text_encoder", "text_model.encoder.x"),
        ("text_encoder.text_model.x.lora_A.weight", "text_encoder", "text_model.x"),
        ("lora_te2_text_model_x.lora_down.weight", "text_encoder_2", "text_model.x"),
    ],
)
def test_every_spelling_of_a_tensors_place(name: str, network: str, module: str) -> None:
    """With and without what libraries write before it, and an adapter's name in the middle."""
    part = read_name(name)
    assert part == (network, module.replace(".", "_"), "down")


@pytest.mark.parametrize(
    "name",
    ["unet.a.weight", "first_stage_model.a.weight", "a.lora_A.weight", "unet.a.lora_A.bias", "x"],
)
def test_what_belongs_to_no_lora_is_none(name: str) -> None:
    """Or lies where nobody knows."""
    assert read_name(name) is None


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
    """Embeddings, changes of norms, what nobody knows, and layers that the model lacks."""
    content = load_file(adapters / "peft.safetensors")
    first = next(name for name in content if name.endswith("lora_A.weight"))
    ending = first.rpartition(".lora_A")[0].rpartition(".")[2]
    strange = {
        "bundle_emb.mood.clip_l": torch.zeros(1, 8),
        "bundle_emb.mood.clip_g": torch.zeros(1, 8),
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
    wardrobe = adapted_store.load(str(checkpoint)).wardrobe
    told = " ".join(wardrobe.notices_about(known.find("more", "lora")))
    (listed,) = known.left_out_beside([])

    assert torch.equal(plain, more)
    assert "the embeddings in it ('mood')" in told
    assert "its 2 changes of norms" in told
    assert "1 tensors that nobody knows, such as 'unet.a.set_weight'" in told
    assert "1 layers that this model lacks" in told
    assert "is used without the embeddings in it" in str(listed)


NONE = {
    "LoRA": {"lora_A.weight": (0, 8), "lora_B.weight": (8, 0)},
    "LoHa": {"hada_w1_a": (8, 0), "hada_w1_b": (0, 8), "hada_w2_a": (8, 0), "hada_w2_b": (0, 8)},
}


@pytest.mark.parametrize("kind", NONE)
def test_a_lora_of_rank_nought_is_refused_by_its_header(tmp_path: Path, kind: str) -> None:
    """With a sentence, before anything waits for it."""
    tensors = {f"unet.{UNET}.{role}": torch.zeros(shape) for role, shape in NONE[kind].items()}
    save_file(tensors, tmp_path / "none.safetensors")
    with pytest.raises(TapestryError, match="of rank 0, which changes nothing") as raised:
        read_adapter(tmp_path / "none.safetensors")
    assert "another file" in raised.value.advice
