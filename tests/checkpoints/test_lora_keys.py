"""How LoRA files call their tensors: every spelling, and what else stands in such files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tapestry_backend.checkpoints.adapter_recognition import read_adapter
from tapestry_backend.checkpoints.lora_keys import read_name
from tapestry_protocol.errors import TapestryError

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
        (f"transformer._orig_mod.{FLUX}.lora_A.weight", "transformer", FLUX),
        (f"_orig_mod.{FLUX}.lora_A.weight", "transformer", FLUX),
        (f"module.unet.{UNET}.lora_A.weight", "unet", UNET),
        (
            "double_blocks.0.img_attn.qkv.lora_A.weight",
            "transformer",
            "double_blocks.0.img_attn.qkv",
        ),
        ("conv_out.lora_A.weight", "unet", "conv_out"),
        ("conv_in.lora_down.weight", "unet", "conv_in"),
        ("out.2.lora_down.weight", "unet", "out.2"),
        ("add_embedding.linear_1.lora_A.weight", "unet", "add_embedding.linear_1"),
        ("proj_out.lora_A.weight", "transformer", "proj_out"),
        ("norm_out.linear.lora_A.weight", "transformer", "norm_out.linear"),
        ("text_model.encoder.x.lora_A.weight", "text_encoder", "text_model.encoder.x"),
        ("text_encoder.text_model.x.lora_A.weight", "text_encoder", "text_model.x"),
        ("text_encoders.clip_l.transformer.x.lora_down.weight", "text_encoder", "x"),
        ("text_encoders.clip_g.transformer.x.lora_down.weight", "text_encoder_2", "x"),
        ("lora_te2_text_model_x.lora_down.weight", "text_encoder_2", "text_model.x"),
        ("text_encoder.x.self_attn.to_k_lora.down.weight", "text_encoder", "x.self_attn.k_proj"),
        (
            "text_encoder.x.self_attn.to_out_lora.down.weight",
            "text_encoder",
            "x.self_attn.out_proj",
        ),
        ("unet.x.attn1.processor.to_out_lora.down.weight", "unet", "x.attn1.to_out.0"),
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
    """Or lies in an unknown place."""
    assert read_name(name) is None


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
