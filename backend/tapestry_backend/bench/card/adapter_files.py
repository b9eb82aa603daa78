"""An adapter of every kind for the small Stable Diffusion 1.x, with random weights, in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor, nn

from .small_models import CELL_PX, WIDTH

_RANK = 4
_LINEAR = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v"
_CONVOLUTION = "down_blocks.0.resnets.0.conv1"
_NORM = "down_blocks.0.resnets.0.norm1"

LORAS = ("lora", "loha", "lokr", "dora", "norms")
CONTROLS = ("controlnet", "t2i_adapter", "ip_adapter")
EMBEDDING = "word"


def save_adapters(folder: Path, unet: Any) -> None:
    """One file or folder of each kind, each called by it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for name, make in _LORA_KINDS.items():
            tensors: dict[str, Tensor] = {}
            for layer in (_LINEAR, _CONVOLUTION):
                weight = unet.get_submodule(layer).weight
                flat = f"lora_unet_{layer.replace('.', '_')}"
                tensors |= {f"{flat}.{role}": part for role, part in make(weight).items()}
            save_file(tensors, folder / f"{name}.safetensors")
        shape = unet.get_submodule(_NORM).weight.shape
        flat = f"lora_unet_{_NORM.replace('.', '_')}"
        norms = {f"{flat}.{role}": torch.randn(shape) for role in ("w_norm", "b_norm")}
        save_file(norms, folder / "norms.safetensors")
        save_file({"emb_params": torch.randn(2, WIDTH)}, folder / f"{EMBEDDING}.safetensors")
        _save_controls(folder, unet)


def _lora(weight: Tensor) -> dict[str, Tensor]:
    out, wide, *kernel = weight.shape
    return {
        "lora_down.weight": torch.randn(_RANK, wide, *kernel) * 0.2,
        "lora_up.weight": torch.randn(out, _RANK, *[1] * len(kernel)) * 0.2,
    }


def _loha(weight: Tensor) -> dict[str, Tensor]:
    sides = {"a": (weight.shape[0], _RANK), "b": (_RANK, weight[0].numel())}
    return {
        f"hada_w{number}_{side}": torch.randn(shape) * 0.4
        for number in (1, 2)
        for side, shape in sides.items()
    }


def _lokr(weight: Tensor) -> dict[str, Tensor]:
    out, wide, *kernel = weight.shape
    return {
        "lokr_w1": torch.randn(4, 4) * 0.2,
        "lokr_w2": torch.randn(out // 4, wide // 4, *kernel) * 0.2,
    }


def _dora(weight: Tensor) -> dict[str, Tensor]:
    return {**_lora(weight), "dora_scale": torch.rand(weight.shape[0], *[1] * (weight.ndim - 1))}


_LORA_KINDS: Mapping[str, Callable[[Tensor], dict[str, Tensor]]] = {
    "lora": _lora,
    "loha": _loha,
    "lokr": _lokr,
    "dora": _dora,
}


def _save_controls(folder: Path, unet: Any) -> None:
    network = diffusers.ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=(8, 16, 16)
    )
    # A fresh one says nothing yet.
    for block in (*network.controlnet_down_blocks, network.controlnet_mid_block):
        nn.init.normal_(block.weight, std=0.1)
    nn.init.normal_(network.controlnet_cond_embedding.conv_out.weight, std=0.2)
    network.save_pretrained(folder / "controlnet")
    diffusers.T2IAdapter(
        channels=tuple(unet.config.block_out_channels),
        num_res_blocks=1,
        downscale_factor=CELL_PX,
        adapter_type="full_adapter",
    ).save_pretrained(folder / "t2i_adapter")
    sizes = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2}
    config = transformers.CLIPVisionConfig(
        **sizes, num_attention_heads=4, image_size=32, patch_size=8, projection_dim=24
    )
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    save_file(_reference(unet), folder / "ip_adapter.safetensors")


def _reference(unet: Any) -> dict[str, Tensor]:
    """The tensors of an IP-Adapter of the plain build."""
    tensors = {
        "image_proj.proj.weight": torch.randn(4 * WIDTH, 24),
        "image_proj.proj.bias": torch.randn(4 * WIDTH),
        "image_proj.norm.weight": torch.rand(WIDTH) + 0.5,
        "image_proj.norm.bias": torch.randn(WIDTH),
    }
    reading = [name for name in unet.attn_processors if "attn2" in name]
    for place, name in enumerate(reading):
        out = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
        for kind in "kv":
            key = f"ip_adapter.{2 * place + 1}.to_{kind}_ip.weight"
            tensors[key] = torch.randn(out, WIDTH) * 0.5
    return tensors
