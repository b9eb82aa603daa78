"""Configurations read off the shapes of the true checkpoints, which exist here without memory."""

from __future__ import annotations

import diffusers
import pytest
import torch
import transformers
from torch import nn

from tapestry_backend.checkpoints.families import family_of_file
from tapestry_backend.checkpoints.shapes import KINDS
from tapestry_backend.models.loading.conversion import convert
from tests.models.tiny_files import (
    original_chroma,
    original_flux,
    original_flux_2,
    original_open_clip,
    original_sd3,
    original_t5,
    original_unet,
    original_z_image,
)

_DOWN = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
_UP = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
_UNETS = {
    "sd1": {
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": _DOWN,
        "up_block_types": _UP,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
        "transformer_layers_per_block": [1, 1, 1, 1],
    },
    "sd2": {
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": _DOWN,
        "up_block_types": _UP,
        "cross_attention_dim": 1024,
        "attention_head_dim": [5, 10, 20, 20],
        "transformer_layers_per_block": [1, 1, 1, 1],
        "use_linear_projection": True,
    },
    "sdxl": {
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 2048,
        "attention_head_dim": [5, 10, 20],
        "transformer_layers_per_block": [1, 2, 10],
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
_SD35_MEDIUM = {
    "sample_size": 128,
    "patch_size": 2,
    "in_channels": 16,
    "num_layers": 24,
    "attention_head_dim": 64,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "caption_projection_dim": 1536,
    "pooled_projection_dim": 2048,
    "out_channels": 16,
    "pos_embed_max_size": 384,
    "dual_attention_layers": tuple(range(13)),
    "qk_norm": "rms_norm",
}


def assert_read(kind: str, network: nn.Module, original: dict) -> None:
    """The configuration is the network's own, and every tensor finds its place."""
    config = KINDS[kind].config({name: tuple(t.shape) for name, t in original.items()})
    own = network.config
    for key, value in config.items():
        wanted = own[key] if isinstance(own, dict) else getattr(own, key)
        assert value == (list(wanted) if isinstance(wanted, tuple) else wanted), key
    converted = {
        name.removeprefix("text_model."): tensor.shape
        for name, tensor in convert(kind, dict(original), config).items()
    }
    places = {name.removeprefix("text_model."): t.shape for name, t in network.state_dict().items()}
    assert converted == places


@pytest.mark.parametrize("family", _UNETS)
def test_the_u_nets(family: str) -> None:
    """Stable Diffusion 1.5, 2.1 and XL."""
    with torch.device("meta"):
        network = diffusers.UNet2DConditionModel(**_UNETS[family])
    original = original_unet(network.state_dict(), layers=2)

    assert_read("unet", network, original)
    prefixed = {f"model.diffusion_model.{n}": tuple(t.shape) for n, t in original.items()}
    found = family_of_file(prefixed)
    assert found is not None
    assert found.name == family


def test_transformers_are_read_from_their_shapes() -> None:
    """The largest of each family, or one of them."""
    with torch.device("meta"):
        sd3 = diffusers.SD3Transformer2DModel(**_SD35_MEDIUM)
        flux = diffusers.FluxTransformer2DModel(guidance_embeds=True, out_channels=64)
        qwen_image = diffusers.QwenImageTransformer2DModel()
        chroma = diffusers.ChromaTransformer2DModel()
        klein = diffusers.Flux2Transformer2DModel(
            num_layers=5,
            num_single_layers=20,
            num_attention_heads=24,
            joint_attention_dim=7680,
            guidance_embeds=False,
        )
        z_image = diffusers.ZImageTransformer2DModel(axes_lens=[1536, 512, 512])

    assert_read("sd3", sd3, original_sd3(sd3.state_dict()))
    assert_read("flux", flux, original_flux(flux.state_dict()))
    assert_read("qwen_image", qwen_image, qwen_image.state_dict())
    assert_read("chroma", chroma, original_chroma(chroma.state_dict()))
    assert_read("flux2", klein, original_flux_2(klein.state_dict()))
    assert_read("z_image", z_image, original_z_image(z_image.state_dict()))


def test_the_text_encoders() -> None:
    """CLIP-L, OpenCLIP's bigG, T5-XXL, Qwen3 of 4B, and Qwen2.5-VL of 7B."""
    with torch.device("meta"):
        clip_l = transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=49408,
                hidden_size=768,
                intermediate_size=3072,
                num_hidden_layers=12,
                num_attention_heads=12,
                projection_dim=768,
                bos_token_id=49406,
                eos_token_id=49407,
            )
        )
        big_g = transformers.CLIPTextModelWithProjection(
            transformers.CLIPTextConfig(
                vocab_size=49408,
                hidden_size=1280,
                intermediate_size=5120,
                num_hidden_layers=32,
                num_attention_heads=20,
                hidden_act="gelu",
                projection_dim=1280,
                bos_token_id=49406,
                eos_token_id=49407,
            )
        )
        t5 = transformers.T5EncoderModel(
            transformers.T5Config(
                vocab_size=32128,
                d_model=4096,
                d_ff=10240,
                d_kv=64,
                num_heads=64,
                num_layers=24,
                feed_forward_proj="gated-gelu",
            )
        )
        qwen_vl = transformers.Qwen2_5_VLTextModel(
            transformers.Qwen2_5_VLTextConfig(
                vocab_size=152064,
                hidden_size=3584,
                intermediate_size=18944,
                num_hidden_layers=28,
                num_attention_heads=28,
                num_key_value_heads=4,
                max_position_embeddings=128_000,
                rms_norm_eps=1e-6,
                rope_parameters={
                    "rope_type": "default",
                    "mrope_section": [16, 24, 24],
                    "rope_theta": 1_000_000.0,
                },
            )
        )
        qwen = transformers.Qwen3Model(
            transformers.Qwen3Config(
                vocab_size=151936,
                hidden_size=2560,
                intermediate_size=9728,
                num_hidden_layers=36,
                num_attention_heads=32,
                num_key_value_heads=8,
                head_dim=128,
                max_position_embeddings=40960,
                rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
            )
        )

    plain = {name.removeprefix("text_model."): t for name, t in clip_l.state_dict().items()}
    assert_read("clip_l", clip_l, plain)
    assert_read("open_clip", big_g, original_open_clip(big_g.state_dict()))
    assert_read("t5", t5, original_t5(t5.state_dict()))
    assert_read("qwen25", qwen_vl, qwen_vl.state_dict())
    assert_read("qwen3", qwen, qwen.state_dict())
