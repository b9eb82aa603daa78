"""Scaled fp8: every weight is what it was meant to be, and nothing of its packing is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tapestry_backend.checkpoints.catalogue import read_checkpoint_at, read_file
from tapestry_backend.checkpoints.checkpoint_file import read_checkpoint
from tapestry_backend.checkpoints.component_files import ComponentFiles
from tapestry_backend.checkpoints.families import FAMILIES
from tapestry_backend.models.loading.file_loading import load_modules
from tapestry_backend.models.loading.fp8_dequantize import in_precision, unscaled
from tapestry_protocol.errors import ErrorCode, TapestryError
from tests.models.live_tensors import Costs
from tests.models.tiny_files import State, build, same_weights

BACKBONE = "model.diffusion_model."
FP8_MOST = 448.0


def packed(tensors: State, prefix: str, style: str) -> tuple[State, State]:
    """Its linear layers in 8 bits as ComfyUI stores them, and what that means in full."""
    stored, meant = dict(tensors), dict(tensors)
    for name, weight in tensors.items():
        if not name.startswith(prefix) or not name.endswith(".weight") or weight.ndim != 2:
            continue
        layer = name.removesuffix(".weight")
        most = weight.abs().amax(dim=1, keepdim=True) if style == "rows" else weight.abs().max()
        scale = (most.float() / FP8_MOST).clamp(min=1e-8)
        stored[name] = (weight / scale).to(torch.float8_e4m3fn)
        meant[name] = stored[name].float() * scale
        if style == "old":
            stored[f"{layer}.scale_weight"] = scale.reshape(1)
            stored[f"{layer}.scale_input"] = torch.ones(1)
        else:
            stored[f"{layer}.weight_scale"] = scale
            stored[f"{layer}.input_scale"] = torch.tensor(0.5)
            told = b'{"format": "float8_e4m3fn"}'
            stored[f"{layer}.comfy_quant"] = torch.frombuffer(bytearray(told), dtype=torch.uint8)
    if style == "old":
        stored[f"{prefix}scaled_fp8"] = torch.zeros(2).to(torch.float8_e4m3fn)
    return stored, meant


def saved(tensors: State, path: Path) -> Path:
    """In one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


@pytest.mark.parametrize("style", ["old", "new", "rows"])
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "sd2"])
def test_a_packed_network_holds_what_was_meant(tmp_path: Path, family: str, style: str) -> None:
    """As if the numbers had been stored in full, in every family's names."""
    stored, meant = packed(build(family).tensors, BACKBONE, style)
    path = saved(stored, tmp_path / "packed.safetensors")
    networks = load_modules(read_file(path), torch.float32)
    expected = load_modules(read_file(saved(meant, tmp_path / "full.safetensors")), torch.float32)

    assert read_checkpoint_at("packed", path).family == family
    for name, network in networks.items():
        assert same_weights(network, expected[name]), name


def test_scaled_weights_are_computed_in_the_precision_of_their_device(tmp_path: Path) -> None:
    """Multiplied first, and rounded then."""
    stored, meant = packed(build("flux").tensors, BACKBONE, "old")
    path = saved(stored, tmp_path / "packed.safetensors")
    name = "double_blocks.0.img_mlp.0.weight"
    transformer = load_modules(read_file(path), torch.bfloat16)["transformer"]
    weight: Tensor = transformer.transformer_blocks[0].ff.net[0].proj.weight

    assert torch.equal(weight, meant[f"{BACKBONE}{name}"].to(torch.bfloat16))


def test_a_text_encoder_beside_it_may_be_packed(tmp_path: Path) -> None:
    """T5's, as ComfyUI offers it for FLUX.1."""
    built = build("flux")
    prefix = "text_encoders.t5xxl.transformer."
    t5 = {
        name.removeprefix(prefix): tensor
        for name, tensor in built.tensors.items()
        if name.startswith(prefix)
    }
    rest = {name: tensor for name, tensor in built.tensors.items() if not name.startswith(prefix)}
    stored, meant = packed(t5, "", "old")
    encoder = saved(stored, tmp_path / "text_encoders" / "t5xxl_fp8_e4m3fn_scaled.safetensors")
    path = saved(rest, tmp_path / "flux.safetensors")
    found = ComponentFiles([encoder.parent]).of(path)
    networks = load_modules(read_file(path, found), torch.float32)

    weights = networks["text_encoder_2"].state_dict()
    assert found == {"text_encoder_2": encoder}
    name = "encoder.block.0.layer.0.SelfAttention.q.weight"
    assert torch.equal(weights[name], meant[name])
    assert not torch.equal(weights[name], t5[name])


LAYER = f"{BACKBONE}double_blocks.0.img_mlp.0"
OTHERWISE: dict[str, Any] = {
    "whole numbers": {f"{LAYER}.weight": torch.int8, f"{LAYER}.weight_scale": torch.ones(1)},
    "blocks": {f"{LAYER}.weight": torch.float8_e4m3fn, f"{LAYER}.weight_scale": torch.ones(2, 2)},
    "two scales": {
        f"{LAYER}.weight": torch.float8_e4m3fn,
        f"{LAYER}.weight_scale": torch.ones(1),
        f"{LAYER}.weight_scale_2": torch.ones(1),
    },
    "not said how": {f"{LAYER}.comfy_quant": torch.zeros(4, dtype=torch.uint8)},
    "of no weight": {f"{BACKBONE}nowhere.scale_weight": torch.ones(1)},
}


@pytest.mark.parametrize("case", OTHERWISE)
def test_weights_packed_otherwise_are_refused_at_once(tmp_path: Path, case: str) -> None:
    """With what we can read instead."""
    tensors = build("flux").tensors
    for name, value in OTHERWISE[case].items():
        tensors[name] = value if isinstance(value, Tensor) else tensors[name].to(value)
    path = saved(tensors, tmp_path / "packed.safetensors")
    with pytest.raises(TapestryError, match="packed in a way that Tapestry cannot read") as raised:
        read_file(path)

    assert raised.value.code is ErrorCode.MODEL_BROKEN
    assert "fp8 with one scale for each layer or row" in raised.value.message


def test_a_network_that_is_not_used_may_be_packed_in_any_way(tmp_path: Path) -> None:
    """Only what is read is looked at."""
    tensors = build("sd1").tensors | {"model_ema.a.weight_scale_2": torch.ones(1)}
    assert read_checkpoint(saved(tensors, tmp_path / "a.safetensors")) is not None


def test_packed_weights_and_what_they_mean_are_never_all_in_memory() -> None:
    """Each is let go of as soon as it is multiplied, or has become 16 bits."""
    count, size = 16, 2**18
    with Costs() as costs:
        state = {
            f"{n}.weight": torch.zeros(2, size // 2).to(torch.float8_e4m3fn) for n in range(count)
        }
        state |= {f"{n}.scale_weight": torch.ones(()) for n in range(count)}
        made = in_precision(unscaled(state, torch.half), torch.half)
    packed, meant = count * size, 2 * count * size

    assert len(made) == count
    assert not state
    assert costs.peak_bytes < meant + packed // 2
