"""Adapters of Stable Diffusion XL, and of models that have no U-Net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.checkpoints.lora_keys import targets
from tapestry_backend.engine.noise import canvas_noise
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.adapters import Control, Lora
from tapestry_protocol.errors import TapestryError
from tests.models.adapters.conftest import near
from tests.models.adapters.family_inputs import SIDE, STEPS, latents_of, of_window
from tests.models.adapters.parts import a_layer, as_image, control
from tests.models.adapters.tiny_adapters import (
    save_controlnet,
    save_ip_adapter,
    save_peft_lora,
    save_t2i_adapter,
)
from tests.models.tiny_checkpoints import WINDOW, save_3, save_flux, save_xl


def sgm_names(twin: Path, path: Path, config: Any) -> Path:
    """A LoRA of diffusers as kohya's trainers write it for Stable Diffusion XL."""
    saved = {}
    for name, tensor in load_file(twin).items():
        network, _, rest = name.partition(".")
        if network != "unet":
            continue
        layer, role = rest.removesuffix(".weight").rsplit(".", 1)
        spellings = targets({layer: None}, config)
        flat = next(key for key in spellings if key.startswith(("input_", "middle_", "output_")))
        end = {"lora_A": "lora_down", "lora_B": "lora_up"}[role]
        saved[f"lora_unet_{flat}.{end}.weight"] = tensor
        saved[f"lora_unet_{flat}.alpha"] = torch.tensor(8.0)
    save_file(saved, path)
    return path


@pytest.fixture(scope="module")
def xl(tmp_path_factory) -> Path:
    """A folder with the checkpoint `xl` and its adapters."""
    folder = tmp_path_factory.mktemp("xl")
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(
        save_xl(folder / "xl"), add_watermarker=False
    )
    adapters = folder / "adapters"
    adapters.mkdir()
    save_controlnet(adapters / "edges", pipeline.unet)
    save_t2i_adapter(adapters / "sketch", pipeline.unet)
    save_ip_adapter(adapters / "look.safetensors", pipeline.unet)
    save_ip_adapter(adapters / "look-plus.safetensors", pipeline.unet, plus=True)
    save_peft_lora(adapters / "peft.safetensors", pipeline)
    sgm_names(adapters / "peft.safetensors", adapters / "sgm.safetensors", pipeline.unet.config)
    return folder


@pytest.fixture(scope="module")
def model_cache(xl: Path) -> ModelCache:
    """A model cache that knows them."""
    return ModelCache(Catalogue([str(xl / "xl")], adapters=[str(xl / "adapters")]))


def theirs(xl: Path, kind: str, lora: str = "", reference: str = "", **asked: Any) -> Tensor:
    """What diffusers' own pipeline ends with."""
    parts = {name: asked.pop(name) for name in ("controlnet", "adapter") if name in asked}
    pipeline = getattr(diffusers, kind).from_pretrained(xl / "xl", add_watermarker=False, **parts)
    pipeline.set_progress_bar_config(disable=True)
    if lora:
        pipeline.load_lora_weights(xl / "adapters" / lora, adapter_name="it")
        pipeline.set_adapters("it", 0.6)
    if reference:
        pipeline.load_ip_adapter(
            xl / "adapters", subfolder="", weight_name=f"{reference}.safetensors"
        )
        pipeline.set_ip_adapter_scale(0.6)
    return pipeline(
        "snow",
        latents=canvas_noise(0, 4, Size(WINDOW, WINDOW)),
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        height=SIDE,
        width=SIDE,
        output_type="latent",
        **asked,
    ).images


@pytest.mark.parametrize("name", ["peft", "sgm"])
def test_one_window_of_xl_is_what_diffusers_paints_with_a_lora(
    xl: Path, model_cache: ModelCache, name: str
) -> None:
    """Both text encoders' parts too where the file has them; names of Stability's own code too."""
    ours = latents_of(model_cache, xl / "xl", loras=(Lora(name, 0.6),))

    near(ours, theirs(xl, "StableDiffusionXLPipeline", f"{name}.safetensors"))
    assert not torch.equal(ours, latents_of(model_cache, xl / "xl"))


@pytest.mark.parametrize(
    ("name", "kind", "pipeline", "names"),
    [
        (
            "edges",
            diffusers.ControlNetModel,
            "StableDiffusionXLControlNetPipeline",
            ("controlnet", "controlnet_conditioning_scale"),
        ),
        (
            "sketch",
            diffusers.T2IAdapter,
            "StableDiffusionXLAdapterPipeline",
            ("adapter", "adapter_conditioning_scale"),
        ),
    ],
)
def test_one_window_of_xl_is_what_diffusers_paints_with_a_control_picture(
    xl: Path, model_cache: ModelCache, name: str, kind: Any, pipeline: str, names: tuple[str, str]
) -> None:
    """A ControlNet gets the sizes as the U-Net does; a T2I-Adapter does not."""
    layer = a_layer(SIDE, SIDE)
    network = kind.from_pretrained(xl / "adapters" / name)
    asked = dict(zip(names, (network, 0.7), strict=True))
    expected = theirs(xl, pipeline, image=as_image(layer), **asked)
    shown = control(name, layer, weight=0.7)
    blobs = {layer.sha256: layer.data}

    near(latents_of(model_cache, xl / "xl", blobs=blobs, controls=(shown,)), expected)


@pytest.mark.parametrize("name", ["look", "look-plus"])
def test_one_window_of_xl_is_what_diffusers_paints_with_an_ip_adapter(
    xl: Path, model_cache: ModelCache, name: str
) -> None:
    """Whose layers are numbered over several transformers in a block."""
    layer = a_layer(40, 70, 3)
    expected = theirs(
        xl, "StableDiffusionXLPipeline", reference=name, ip_adapter_image=as_image(layer)
    )
    shown = control(name, layer, weight=0.6)
    blobs = {layer.sha256: layer.data}
    ours = latents_of(model_cache, xl / "xl", blobs=blobs, controls=(shown,))

    near(ours, expected)
    assert float((ours - latents_of(model_cache, xl / "xl")).abs().max()) > 0.01


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("down_blocks.0.resnets.1.conv1", "input_blocks_2_0_in_layers_2"),
        ("down_blocks.0.downsamplers.0.conv", "input_blocks_3_0_op"),
        ("down_blocks.1.attentions.0.proj_in", "input_blocks_4_1_proj_in"),
        ("down_blocks.1.resnets.0.conv_shortcut", "input_blocks_4_0_skip_connection"),
        ("down_blocks.2.attentions.1.proj_out", "input_blocks_8_1_proj_out"),
        ("mid_block.resnets.1.conv2", "middle_block_2_out_layers_3"),
        ("mid_block.attentions.0.proj_in", "middle_block_1_proj_in"),
        ("up_blocks.0.attentions.2.proj_in", "output_blocks_2_1_proj_in"),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks_2_2_conv"),
        ("up_blocks.2.resnets.2.time_emb_proj", "output_blocks_8_0_emb_layers_1"),
    ],
)
def test_the_names_of_stabilitys_own_code(module: str, name: str) -> None:
    """As they are in the released Stable Diffusion XL."""
    config = {
        "layers_per_block": 2,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    }

    assert targets({module: None}, config)[name] == module


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_a_transformer_takes_loras_and_refuses_control_pictures(
    xl: Path, tmp_path: Path, family: str
) -> None:
    """With diffusers' numbers, and with a sentence."""
    folder = (save_3 if family == "sd3" else save_flux)(tmp_path / family)
    kind = diffusers.StableDiffusion3Pipeline if family == "sd3" else diffusers.FluxPipeline
    pipeline = kind.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    (tmp_path / "loras").mkdir()
    save_transformer_lora(tmp_path / "loras" / "it.safetensors", pipeline)
    fresh = kind.from_pretrained(folder)
    fresh.set_progress_bar_config(disable=True)
    fresh.load_lora_weights(tmp_path / "loras" / "it.safetensors", adapter_name="it")
    fresh.set_adapters("it", 0.6)
    names = [str(tmp_path / "loras"), str(xl / "adapters" / "edges")]
    own = ModelCache(Catalogue([str(folder)], adapters=names))
    (lora,) = (info for info in own.catalogue.adapters.infos if info.id == "it")
    plain, ours = (latents_of(own, folder, loras=loras) for loras in ((), (Lora("it", 0.6),)))

    assert lora.family == family
    near(ours, of_window(fresh, family))
    assert not torch.equal(ours, plain)
    with pytest.raises(TapestryError, match="The ControlNet “edges” was made for"):
        latents_of(own, folder, controls=(Control("edges", "regions"),))


def save_transformer_lora(path: Path, pipeline: Any) -> None:
    """As diffusers' trainers save one for a transformer."""
    import peft

    torch.manual_seed(6)
    transformer = pipeline.transformer
    layers = ["to_q", "to_k", "add_k_proj", "proj_mlp"]
    transformer.add_adapter(peft.LoraConfig(r=4, lora_alpha=6, target_modules=layers))
    for name, parameter in transformer.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    pipeline.save_lora_weights(
        path.parent,
        weight_name=path.name,
        transformer_lora_layers=peft.get_peft_model_state_dict(transformer),
        transformer_lora_adapter_metadata=transformer.peft_config["default"].to_dict(),
    )
