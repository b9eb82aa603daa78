"""Tensors by the names of other programs -> by those of diffusers and transformers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from diffusers.loaders import single_file_utils
from torch import Tensor

from ...checkpoints.original_names import FLUX_NAMES, FLUX_NORMS, FLUX_TOGETHER

StateDict = dict[str, Tensor]


def convert(kind: str, state: StateDict, config: Mapping[str, Any]) -> StateDict:
    """The tensors of a network of this kind (see `shapes.KINDS`), as its class names them."""
    return _CONVERSIONS[kind](state, config)


def _unet(state: StateDict, config: Mapping[str, Any]) -> StateDict:
    prefixed = {f"model.diffusion_model.{name}": tensor for name, tensor in state.items()}
    return single_file_utils.convert_ldm_unet_checkpoint(prefixed, config)


def _autoencoder(state: StateDict, config: Mapping[str, Any]) -> StateDict:
    return single_file_utils.convert_ldm_vae_checkpoint(state, config)


def _autoencoder_flux2(state: StateDict, config: Mapping[str, Any]) -> StateDict:
    """With what it has counted of its latents, which stands beside its layers."""
    beside = {name: tensor for name, tensor in state.items() if name.startswith("bn.")}
    plain = {re.sub(r"^(en|de)coder\.(?=\w*quant_conv)", "", n): t for n, t in state.items()}
    return _autoencoder(plain, config) | beside


def _clip(state: StateDict, _config: Mapping[str, Any]) -> StateDict:
    return {name: tensor for name, tensor in state.items() if not name.endswith("position_ids")}


def _clip_unprojected(state: StateDict, config: Mapping[str, Any]) -> StateDict:
    """CLIP-L whose word about the whole text is taken as it is."""
    return {**_clip(state, config), "text_projection.weight": torch.eye(config["hidden_size"])}


def _open_clip(state: StateDict, config: Mapping[str, Any]) -> StateDict:
    width = config["hidden_size"]
    beyond = f"transformer.resblocks.{config['num_hidden_layers']}."
    converted: StateDict = {}
    for name, tensor in state.items():
        if name.startswith(beyond):
            continue
        if name == "text_projection":
            converted["text_projection.weight"] = tensor.T.contiguous()
        elif name in _OPEN_CLIP_NAMES:
            converted[_OPEN_CLIP_NAMES[name]] = tensor
        elif found := re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)", name):
            layer, inner = f"encoder.layers.{found[1]}", found[2]
            if inner.startswith("attn.in_proj_"):
                suffix = inner.removeprefix("attn.in_proj_")
                for which, part in zip("qkv", tensor.split(width), strict=True):
                    converted[f"{layer}.self_attn.{which}_proj.{suffix}"] = part
            else:
                for old, new in _OPEN_CLIP_LAYERS.items():
                    inner = inner.replace(old, new)
                converted[f"{layer}.{inner}"] = tensor
    return converted


_OPEN_CLIP_NAMES = {
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_OPEN_CLIP_LAYERS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


def _t5(state: StateDict, _config: Mapping[str, Any]) -> StateDict:
    return {**state, "encoder.embed_tokens.weight": state["shared.weight"]}


def _sd3(state: StateDict, _config: Mapping[str, Any]) -> StateDict:
    return single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers(dict(state))


def _flux(state: StateDict, config: Mapping[str, Any]) -> StateDict:
    """By names of our own: diffusers' conversion supports one width alone."""
    width = config["num_attention_heads"] * config["attention_head_dim"]
    converted: StateDict = {}
    for name, tensor in state.items():
        stem, _, suffix = name.rpartition(".")
        if found := re.fullmatch(r"single_blocks\.(\d+)\.linear1", stem):
            block = f"single_transformer_blocks.{found[1]}"
            names = [f"{block}.attn.to_{which}" for which in "qkv"] + [f"{block}.proj_mlp"]
            parts = tensor.split([width, width, width, len(tensor) - 3 * width])
            converted |= {f"{n}.{suffix}": p for n, p in zip(names, parts, strict=True)}
        elif together := _flux_together(stem):
            parts = tensor.chunk(3)
            converted |= {f"{n}.{suffix}": p for n, p in zip(together, parts, strict=True)}
        elif suffix == "scale":
            converted[_renamed(stem, FLUX_NORMS) + ".weight"] = tensor
        else:
            if stem == "final_layer.adaLN_modulation.1":
                tensor = torch.cat(list(tensor.chunk(2)[::-1]))  # noqa: PLW2901  shift, scale -> scale, shift
            converted[f"{_renamed(stem, FLUX_NAMES)}.{suffix}"] = tensor
    return converted


def _chroma(state: StateDict, config: Mapping[str, Any]) -> StateDict:
    """FLUX.1's names, and those of the layers that stand in for its modulations."""
    plain = {}
    for name, tensor in state.items():
        if name.startswith("distilled_guidance_layer."):
            name = name.replace(".in_layer.", ".linear_1.").replace(".out_layer.", ".linear_2.")  # noqa: PLW2901
        plain[name] = tensor
    return _flux(plain, config)


def _z_image(state: StateDict, _config: Mapping[str, Any]) -> StateDict:
    return single_file_utils.convert_z_image_transformer_checkpoint_to_diffusers(dict(state))


def _flux2(state: StateDict, _config: Mapping[str, Any]) -> StateDict:
    return single_file_utils.convert_flux2_transformer_checkpoint_to_diffusers(dict(state))


def _autoencoder_qwen(state: StateDict, _config: Mapping[str, Any]) -> StateDict:
    return single_file_utils.convert_wan_vae_to_diffusers(state)


def _as_it_is(state: StateDict, _config: Mapping[str, Any]) -> StateDict:
    return state


def _flux_together(stem: str) -> list[str]:
    for pattern, block, names in FLUX_TOGETHER:
        if found := re.fullmatch(pattern, stem):
            return [f"{block.format(found[1])}.{name}" for name in names]
    return []


def _renamed(stem: str, names: tuple[tuple[str, str], ...]) -> str:
    for pattern, new in names:
        if re.fullmatch(pattern, stem):
            return re.sub(pattern, new, stem)
    return stem


_CONVERSIONS: dict[str, Callable[[StateDict, Mapping[str, Any]], StateDict]] = {
    "unet": _unet,
    "autoencoder": _autoencoder,
    "clip_l": _clip,
    "clip_l_unprojected": _clip_unprojected,
    "clip_g": _clip,
    "open_clip": _open_clip,
    "open_clip_but_last": _open_clip,
    "t5": _t5,
    "sd3": _sd3,
    "flux": _flux,
    "chroma": _chroma,
    "z_image": _z_image,
    "flux2": _flux2,
    "autoencoder_flux2": _autoencoder_flux2,
    "autoencoder_qwen": _autoencoder_qwen,
    "qwen_image": _as_it_is,
    "qwen25": _as_it_is,
    "qwen3": _as_it_is,
}
