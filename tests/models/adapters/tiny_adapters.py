"""Tiny adapters with random weights for tiny checkpoints, in each format; tests nothing itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import peft
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn

from tests.models.tiny_checkpoints import FACTOR

LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "conv1", "ff.net.2")
"""Linear layers and convolutions, of one pixel and of nine."""
RANK = 4


def save_peft_lora(
    path: Path, pipeline: Any, *, alpha: float = 8.0, rslora: bool = False, dora: bool = False
) -> Path:
    """As diffusers' trainers save one: U-Net and text encoder, its numbers in the notes."""
    torch.manual_seed(1)
    saved: dict[str, Any] = {}
    for name, layers in (("unet", LAYERS), ("text_encoder", ("q_proj", "fc1"))):
        network = getattr(pipeline, name)
        network.add_adapter(
            peft.LoraConfig(
                r=RANK,
                lora_alpha=alpha,
                use_rslora=rslora,
                use_dora=dora,
                target_modules=list(layers),
            )
        )
        for parameter_name, parameter in network.named_parameters():
            if "lora_B" in parameter_name:
                nn.init.normal_(parameter, std=0.05)
            elif "magnitude" in parameter_name:
                parameter.data *= 0.7 + 0.6 * torch.rand_like(parameter)
        saved[f"{name}_lora_layers"] = peft.get_peft_model_state_dict(network)
        saved[f"{name}_lora_adapter_metadata"] = network.peft_config["default"].to_dict()
    pipeline.save_lora_weights(path.parent, weight_name=path.name, **saved)
    return path


def save_kohya_lora(path: Path, twin: Path, networks: tuple[str, ...], alpha: float = 8.0) -> Path:
    """The numbers of another LoRA as kohya's trainers write them: an alpha beside each pair."""
    begin = {"unet": "lora_unet_", "text_encoder": "lora_te_"}
    saved = {}
    for name, tensor in load_file(twin).items():
        network, _, rest = name.partition(".")
        if network not in networks:
            continue
        layer, role = rest.removesuffix(".weight").rsplit(".", 1)
        if network == "text_encoder" and not layer.startswith("text_model."):
            layer = f"text_model.{layer}"
        flat = begin[network] + layer.replace(".", "_")
        end = {"lora_A": "lora_down", "lora_B": "lora_up"}[role]
        saved[f"{flat}.{end}.weight"] = tensor
        saved[f"{flat}.alpha"] = torch.tensor(alpha)
    save_file(saved, path)
    return path


def save_controlnet(folder: Path, unet: Any, seed: int = 3) -> Path:
    """A ControlNet that says something: one fresh from a U-Net says nothing yet."""
    torch.manual_seed(seed)
    network = diffusers.ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=_conditioning()
    )
    for block in (*network.controlnet_down_blocks, network.controlnet_mid_block):
        nn.init.normal_(block.weight, std=0.1)
    nn.init.normal_(network.controlnet_cond_embedding.conv_out.weight, std=0.2)
    network.save_pretrained(folder)
    return folder


def save_union(folder: Path, unet: Any, types: int = 8) -> Path:
    """A ControlNet of several types in one, as there is for Stable Diffusion XL."""
    torch.manual_seed(11)
    plain = diffusers.ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=_conditioning()
    )
    width = unet.config.block_out_channels[0]
    sizes = {"num_trans_channel": width, "num_proj_channel": width, "num_control_type": types}
    network = diffusers.ControlNetUnionModel.from_config({**plain.config, **sizes})
    nn.init.normal_(network.spatial_ch_projs.weight, std=0.1)
    nn.init.normal_(network.controlnet_cond_embedding.conv_out.weight, std=0.2)
    for block in (*network.controlnet_down_blocks, network.controlnet_mid_block):
        nn.init.normal_(block.weight, std=0.1)
    network.save_pretrained(folder)
    return folder


def _conditioning() -> tuple[int, ...]:
    """One halving fewer than diffusers' own eightfold."""
    return (8, 16, 16)


def save_sd3_controlnet(
    folder: Path, transformer: Any, seed: int = 3, *, other: bool = False
) -> Path:
    """One for Stable Diffusion 3, of fewer blocks; `other`: as the large ones of 3.5."""
    torch.manual_seed(seed)
    config = {**transformer.config, "num_layers": 1, "extra_conditioning_channels": 0}
    config["in_channels"] = transformer.config.out_channels
    if other:
        config |= {"joint_attention_dim": None, "use_pos_embed": False, "pos_embed_type": None}
        config |= {"force_zeros_for_pooled_projection": False}
    network = diffusers.SD3ControlNetModel.from_config(config)
    return _speaking(network, network.controlnet_blocks, network.pos_embed_input.proj, folder)


def save_flux_controlnet(
    folder: Path, transformer: Any, seed: int = 3, *, other: bool = False, modes: int | None = None
) -> Path:
    """One for FLUX.1, without its last blocks; `other`: one that is shown pixels.

    modes: of one that is several in one.
    """
    torch.manual_seed(seed)
    config = {**transformer.config, "num_single_layers": 0 if other else 1, "num_mode": modes}
    config["in_channels"] = transformer.out_channels
    if other:
        config |= {"conditioning_embedding_channels": transformer.out_channels}
        config |= {"guidance_embeds": not transformer.config.guidance_embeds}
    network = diffusers.FluxControlNetModel.from_config(config)
    if other:
        nn.init.normal_(network.input_hint_block.conv_out.weight, std=0.2)
    blocks = (*network.controlnet_blocks, *network.controlnet_single_blocks)
    return _speaking(network, blocks, network.controlnet_x_embedder, folder)


def save_qwen_controlnet(folder: Path, transformer: Any, seed: int = 3) -> Path:
    """One for Qwen-Image, of fewer blocks."""
    torch.manual_seed(seed)
    config = {**transformer.config, "num_layers": 1}
    network = diffusers.QwenImageControlNetModel.from_config(config)
    return _speaking(network, network.controlnet_blocks, network.controlnet_x_embedder, folder)


def save_z_controlnet(
    folder: Path, transformer: Any, seed: int = 3, *, other: str | None = None
) -> Path:
    """One for Z-Image; `other`: as its second version, which would see a mask as well.

    Its first layers are then steered, too: by its layers, or by some of their own.
    """
    torch.manual_seed(seed)
    theirs = transformer.config
    shared = ("dim", "n_refiner_layers", "n_heads", "n_kv_heads")
    network = diffusers.ZImageControlNetModel(
        control_layers_places=[0, 1] if other else [0],
        control_refiner_layers_places=[0] if other else None,
        control_in_dim=2 * theirs.in_channels + 1 if other else theirs.in_channels,
        add_control_noise_refiner=other,
        **{name: theirs[name] for name in shared},
    )
    layers = [*network.control_layers, *(network.control_noise_refiner or ())]
    for layer in layers:
        for name in ("before_proj", "after_proj"):
            if hasattr(layer, name):
                nn.init.normal_(getattr(layer, name).weight, std=0.1)
    network.save_pretrained(folder)
    return folder


def _speaking(network: Any, blocks: Any, seeing: Any, folder: Path) -> Path:
    """A network that says something, saved: a fresh one says nothing yet."""
    for block in (*blocks, seeing):
        nn.init.normal_(block.weight, std=0.1)
    network.save_pretrained(folder)
    return folder


def save_t2i_adapter(folder: Path, unet: Any, *, in_channels: int = 3, seed: int = 4) -> Path:
    """A full T2I-Adapter, or one for grey pictures."""
    torch.manual_seed(seed)
    diffusers.T2IAdapter(
        in_channels=in_channels,
        channels=tuple(unet.config.block_out_channels),
        num_res_blocks=1,
        downscale_factor=FACTOR,
        adapter_type="full_adapter",
    ).save_pretrained(folder)
    return folder


def save_image_encoder(folder: Path, width: int = 32, projected: int = 24) -> Path:
    """A tiny CLIP that looks at pictures."""
    torch.manual_seed(10)
    encoder = transformers.CLIPVisionModelWithProjection(
        transformers.CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=32,
            patch_size=8,
            projection_dim=projected,
        )
    )
    encoder.save_pretrained(folder)
    return folder


def save_ip_adapter(path: Path, unet: Any, *, plus: bool = False) -> Path:
    """A plain IP-Adapter, or Plus, with a tiny image encoder in the folder beside it."""
    save_image_encoder(path.parent / "image_encoder")
    width = unet.config.cross_attention_dim
    saved = _resampler(width) if plus else _projection(width)
    reading = [name for name in unet.attn_processors if "attn2" in name]
    for place, name in enumerate(reading):
        out = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
        for kind in "kv":
            tensor = torch.randn(out, width) * 0.5
            saved[f"ip_adapter.{2 * place + 1}.to_{kind}_ip.weight"] = tensor
    save_file(saved, path)
    return path


def _projection(width: int) -> dict[str, torch.Tensor]:
    return {
        "image_proj.proj.weight": torch.randn(4 * width, 24),
        "image_proj.proj.bias": torch.randn(4 * width),
        "image_proj.norm.weight": torch.rand(width) + 0.5,
        "image_proj.norm.bias": torch.randn(width),
    }


def _resampler(width: int, inner: int = 48, tokens: int = 5) -> dict[str, torch.Tensor]:
    """Of four layers and one head of 64 channels, by the names of the authors' own code."""
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, tokens, inner),
        "proj_in.weight": (inner, 32),
        "proj_in.bias": (inner,),
        "proj_out.weight": (width, inner),
        "proj_out.bias": (width,),
        "norm_out.weight": (width,),
        "norm_out.bias": (width,),
    }
    for layer in (f"layers.{number}" for number in range(4)):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            shapes |= {f"{layer}.{norm}.{kind}": (inner,) for kind in ("weight", "bias")}
        shapes |= {
            f"{layer}.0.to_q.weight": (64, inner),
            f"{layer}.0.to_kv.weight": (128, inner),
            f"{layer}.0.to_out.weight": (inner, 64),
            f"{layer}.1.1.weight": (4 * inner, inner),
            f"{layer}.1.3.weight": (inner, 4 * inner),
        }
    return {f"image_proj.{name}": torch.randn(shape) * 0.2 for name, shape in shapes.items()}
