"""Tiny checkpoints with random weights in diffusers' folder layout; tests nothing itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers
import tokenizers
import torch
import transformers
from safetensors.torch import save_file

from tapestry_backend.checkpoints.catalogue import SAMPLE, Catalogue
from tapestry_backend.checkpoints.upscaler_file import Upscaler, expected_shapes, find_upscaler
from tapestry_backend.models.loading.tokenizers import bytes_as_letters

BLOCKS = (16, 16, 16)
FACTOR = 4
"""Pixels on a side of a cell, after as many blocks."""
WINDOW = 16
"""The model's own size, in cells."""


def save_checkpoint(
    folder: Path,
    *,
    prediction_type: str = "epsilon",
    channels: int = 3,
    in_channels: int | None = None,
    scheduler: Any = None,
    text_width: int = 32,
    distilled: bool = False,
    grounded: bool = False,
) -> Path:
    """A checkpoint with an AutoencoderKL of factor 4 and the bundled model's tokenizer."""
    torch.manual_seed(0)
    tokenizer = sample_tokenizer()
    kinds = {2 * channels: "InstructPix2Pix", 2 * channels + 1: "Inpaint"}
    pipeline = f"StableDiffusion{kinds.get(in_channels or channels, '')}Pipeline"
    getattr(diffusers, pipeline)(
        vae=_autoencoder(channels),
        text_encoder=_text_encoder(tokenizer, width=text_width),
        tokenizer=tokenizer,
        unet=_unet(
            in_channels or channels,
            channels,
            cross_attention_dim=text_width,
            time_cond_proj_dim=16 if distilled else None,
            attention_type="gated" if grounded else "default",
        ),
        scheduler=scheduler or _ddim(prediction_type),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def save_xl(folder: Path, *, in_channels: int | None = None, distilled: bool = False) -> Path:
    """A checkpoint of Stable Diffusion XL: two text encoders, sizes as conditions."""
    torch.manual_seed(0)
    tokenizer = sample_tokenizer()
    channels = 4
    kinds = {2 * channels: "InstructPix2Pix", 2 * channels + 1: "Inpaint"}
    pipeline = f"StableDiffusionXL{kinds.get(in_channels or channels, '')}Pipeline"
    getattr(diffusers, pipeline)(
        vae=_autoencoder(channels),
        text_encoder=_text_encoder(tokenizer),
        text_encoder_2=_text_encoder(tokenizer, transformers.CLIPTextModelWithProjection),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=_unet(
            in_channels or channels,
            channels,
            cross_attention_dim=64,
            transformer_layers_per_block=(2, 1),
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 32,
            time_cond_proj_dim=16 if distilled else None,
        ),
        scheduler=diffusers.EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        add_watermarker=False,
    ).save_pretrained(folder)
    return folder


def save_3(
    folder: Path,
    *,
    t5: bool = True,
    channels: int = 4,
    in_channels: int | None = None,
    shifts: bool = False,
) -> Path:
    """A checkpoint of Stable Diffusion 3, with or without T5."""
    torch.manual_seed(0)
    tokenizer = sample_tokenizer()
    kind = transformers.CLIPTextModelWithProjection
    inpaints = in_channels is not None and in_channels > channels
    kind_of_pipeline = "StableDiffusion3InpaintPipeline" if inpaints else "StableDiffusion3Pipeline"
    getattr(diffusers, kind_of_pipeline)(
        transformer=diffusers.SD3Transformer2DModel(
            sample_size=WINDOW,
            patch_size=2,
            in_channels=in_channels or channels,
            out_channels=channels,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=64,
            caption_projection_dim=32,
            pooled_projection_dim=64,
            pos_embed_max_size=24,
        ),
        scheduler=_flow(shifts=shifts),
        vae=_autoencoder(channels, scaling_factor=1.5, shift_factor=0.06),
        text_encoder=_text_encoder(tokenizer, kind),
        tokenizer=tokenizer,
        text_encoder_2=_text_encoder(tokenizer, kind),
        tokenizer_2=tokenizer,
        text_encoder_3=t5_encoder(64) if t5 else None,
        tokenizer_3=t5_tokenizer() if t5 else None,
    ).save_pretrained(folder)
    return folder


def save_flux(folder: Path, *, dev: bool = True, fills: bool = False, edits: bool = False) -> Path:
    """A checkpoint of FLUX.1: dev, schnell, Fill or Kontext."""
    torch.manual_seed(0)
    tokenizer = sample_tokenizer()
    kind = diffusers.FluxFillPipeline if fills else diffusers.FluxPipeline
    kind = diffusers.FluxKontextPipeline if edits else kind
    kind(
        transformer=diffusers.FluxTransformer2DModel(
            patch_size=1,
            in_channels=4 * (2 * 4 + FACTOR**2 if fills else 4),
            out_channels=4 * 4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=dev,
        ),
        scheduler=_flow(shifts=dev),
        vae=_autoencoder(4, scaling_factor=0.36, shift_factor=0.12, sample_size=WINDOW * FACTOR),
        text_encoder=_text_encoder(tokenizer),
        tokenizer=tokenizer,
        text_encoder_2=t5_encoder(32),
        tokenizer_2=t5_tokenizer(),
    ).save_pretrained(folder)
    return folder


def save_z_image(folder: Path, *, shifts: bool = False) -> Path:
    """A checkpoint of Z-Image."""
    torch.manual_seed(0)
    transformer = diffusers.ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=32,
        axes_dims=[4, 6, 6],
        axes_lens=[1536, 512, 512],
    )
    for token in (transformer.x_pad_token, transformer.cap_pad_token):
        torch.nn.init.normal_(token)
    diffusers.ZImagePipeline(
        transformer=transformer,
        scheduler=_flow(shifts=shifts),
        vae=_autoencoder(4, scaling_factor=0.36, shift_factor=0.12, sample_size=WINDOW * FACTOR),
        text_encoder=qwen3(32),
        tokenizer=qwen_tokenizer(),
    ).save_pretrained(folder)
    return folder


def save_qwen_image(folder: Path, *, edits: str = "") -> Path:
    """A checkpoint of Qwen-Image; its size stands where a U-Net's does, since it is so small.

    edits: the class of the pipeline of one that edits.
    """
    torch.manual_seed(0)
    diffusers.QwenImagePipeline(
        transformer=diffusers.QwenImageTransformer2DModel(
            in_channels=4 * 4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            axes_dims_rope=(4, 4, 8),
        ),
        scheduler=_flow(shifts=True, shift_terminal=0.02),
        vae=diffusers.AutoencoderKLQwenImage(
            base_dim=8,
            z_dim=4,
            dim_mult=[1, 2],
            num_res_blocks=1,
            temperal_downsample=[False],
            latents_mean=[0.1, -0.2, 0.3, 0.0],
            latents_std=[1.5, 0.7, 2.0, 1.0],
        ),
        text_encoder=qwen_vl(32),
        tokenizer=qwen_tokenizer(),
    ).save_pretrained(folder)
    path = folder / "transformer" / "config.json"
    config = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**config, "sample_size": WINDOW * 2}), "utf-8")
    if edits:
        path = folder / "model_index.json"
        index = json.loads(path.read_text("utf-8")) | {"_class_name": edits}
        path.write_text(json.dumps(index), "utf-8")
        qwen_eyes().save_pretrained(folder / "processor")
    return folder


def qwen_eyes() -> Any:
    """How Qwen2.5-VL looks at a picture, without torchvision."""
    return transformers.Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=12845056)


def qwen_vl(width: int, heads: int = 2) -> transformers.Qwen2_5_VLForConditionalGeneration:
    """Of two layers; it could see and speak."""
    text = {
        "vocab_size": 300,
        "hidden_size": width,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": heads,
        "num_key_value_heads": 1,
        "max_position_embeddings": 128_000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "mrope_section": [
                width // heads // 8,
                width // heads * 3 // 16,
                width // heads * 3 // 16,
            ],
            "rope_theta": 1_000_000.0,
        },
        "pad_token_id": 256,
    }
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2}
    config = transformers.Qwen2_5_VLConfig(
        text_config=text,
        vision_config={**vision, "out_hidden_size": width},
        image_token_id=_IMAGE_TOKEN,
        vision_start_token_id=_IMAGE_TOKEN - 2,
        vision_end_token_id=_IMAGE_TOKEN - 1,
    )
    return transformers.Qwen2_5_VLForConditionalGeneration(config).eval()


def save_chroma(folder: Path) -> Path:
    """A checkpoint of Chroma."""
    torch.manual_seed(0)
    diffusers.ChromaPipeline(
        transformer=diffusers.ChromaTransformer2DModel(
            in_channels=4 * 4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            axes_dims_rope=(4, 4, 8),
            approximator_num_channels=64,
            approximator_hidden_dim=32,
            approximator_layers=1,
        ),
        scheduler=_flow(shifts=True),
        vae=_autoencoder(4, scaling_factor=0.36, shift_factor=0.12, sample_size=WINDOW * FACTOR),
        text_encoder=t5_encoder(32),
        tokenizer=t5_tokenizer(),
    ).save_pretrained(folder)
    return folder


def save_flux_2(folder: Path, *, distilled: bool = False, dev: bool = False) -> Path:
    """A checkpoint of FLUX.2: Klein's base, or the one for a few steps; or dev."""
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLFlux2(
        block_out_channels=BLOCKS[:2],
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=WINDOW * FACTOR,
    )
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    kind = diffusers.Flux2Pipeline if dev else diffusers.Flux2KleinPipeline
    kind(
        transformer=diffusers.Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * 32,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=dev,
        ),
        scheduler=_flow(shifts=True),
        vae=vae,
        text_encoder=mistral_3(32, layers=31) if dev else qwen3(32, layers=28),
        tokenizer=mistral_tokenizer() if dev else qwen_tokenizer(),
        **({} if dev else {"is_distilled": distilled}),
    ).save_pretrained(folder)
    return folder


def mistral_3(width: int, layers: int) -> transformers.Mistral3ForConditionalGeneration:
    """Of small layers; it could see and speak."""
    text = {
        "model_type": "mistral",
        "vocab_size": 300,
        "hidden_size": width,
        "intermediate_size": 48,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 131072,
    }
    vision = {
        "model_type": "pixtral",
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "head_dim": 16,
        "image_size": 32,
        "patch_size": 8,
    }
    config = transformers.Mistral3Config(
        text_config=text, vision_config=vision, image_token_index=_IMAGE_TOKEN
    )
    return transformers.Mistral3ForConditionalGeneration(config).eval()


def mistral_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """Mistral's, with a token for every byte, which fills texts up before they begin."""
    words = {letter: number for number, letter in enumerate(bytes_as_letters())}
    plain = tokenizers.Tokenizer(tokenizers.models.BPE(words, merges=[]))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        padding_side="left",
        model_max_length=131072,
    )
    said = ["[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[INST]", "[/INST]"]
    tokenizer.add_tokens(said, special_tokens=True)
    tokenizer.chat_template = (
        "{{- bos_token }}{%- for message in messages %}"
        "{%- set words = {'system': 'SYSTEM_PROMPT', 'user': 'INST'}[message.role] %}"
        "{{- '[' + words + ']' + message.content[0].text + '[/' + words + ']' }}"
        "{%- endfor %}"
    )
    return tokenizer


def qwen3(width: int, layers: int = 3) -> transformers.Qwen3ForCausalLM:
    """Of a few layers; it could speak."""
    return transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=300,
            hidden_size=width,
            intermediate_size=48,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            max_position_embeddings=40960,
            rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
            eos_token_id=256,
            pad_token_id=256,
        )
    ).eval()


_IMAGE_TOKEN = 263
"""In that tokenizer, the last of its words."""


def qwen_tokenizer() -> transformers.Qwen2Tokenizer:
    """Qwen's, with a token for every byte, and what it does to the one message of a talk."""
    words = {letter: number for number, letter in enumerate(bytes_as_letters())}
    tokenizer = transformers.Qwen2Tokenizer(vocab=words, merges=[], model_max_length=4096)
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    tokenizer.add_tokens(["<think>", "</think>"])
    seen = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
    tokenizer.add_tokens(seen, special_tokens=True)
    tokenizer.chat_template = (
        "{%- for message in messages %}"
        "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
        "{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
        "{%- if enable_thinking is defined and enable_thinking is false %}"
        "{{- '<think>\\n\\n</think>\\n\\n' }}"
        "{%- endif %}{%- endif %}"
    )
    return tokenizer


def save_upscaler(path: Path, bias: float = 0.5) -> Upscaler:
    """A tiny network of ESRGAN's kind that makes pictures twice as large."""
    torch.manual_seed(4)
    shapes = expected_shapes(Upscaler(path, {}, 4, 3, 1, 1, 1))
    state = {name: 0.15 * torch.randn(shape) for name, shape in shapes.items()}
    save_file(state | {"conv_last.bias": torch.full((3,), bias)}, path)
    return find_upscaler(str(path))


def _flow(*, shifts: bool, **more: Any) -> Any:
    if shifts:
        return diffusers.FlowMatchEulerDiscreteScheduler(
            shift=3.0, use_dynamic_shifting=True, **more
        )
    return diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)


def t5_encoder(width: int) -> transformers.T5EncoderModel:
    """Of one layer."""
    return transformers.T5EncoderModel(
        transformers.T5Config(
            vocab_size=64,
            d_model=width,
            d_kv=8,
            d_ff=64,
            num_layers=1,
            num_heads=2,
            feed_forward_proj="gated-gelu",
        )
    )


def t5_tokenizer() -> transformers.T5TokenizerFast:
    """One that knows letters alone."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    vocabulary += [(letter, -3.0 - i / 10) for i, letter in enumerate(letters)]
    return transformers.T5TokenizerFast(vocab=vocabulary, extra_ids=0, model_max_length=512)


def save_tokenizers(models: Path) -> None:
    """Those that files lack, where they are looked for in a models folder."""
    t5_tokenizer().save_pretrained(models / "tokenizers" / "t5")
    qwen_tokenizer().save_pretrained(models / "tokenizers" / "qwen")


def sample_tokenizer() -> transformers.CLIPTokenizer:
    """The bundled model's."""
    return transformers.CLIPTokenizer.from_pretrained(Catalogue().find(SAMPLE).path / "tokenizer")


def _autoencoder(channels: int, **more: Any) -> diffusers.AutoencoderKL:
    return diffusers.AutoencoderKL(
        block_out_channels=BLOCKS,
        down_block_types=("DownEncoderBlock2D",) * len(BLOCKS),
        up_block_types=("UpDecoderBlock2D",) * len(BLOCKS),
        latent_channels=channels,
        norm_num_groups=8,
        **more,
    )


def _text_encoder(
    tokenizer: transformers.CLIPTokenizer, kind: type = transformers.CLIPTextModel, width: int = 32
) -> Any:
    return kind(
        transformers.CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            projection_dim=width,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def _unet(in_channels: int, out_channels: int, **more: Any) -> diffusers.UNet2DConditionModel:
    settings = {
        "sample_size": WINDOW,
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 32,
        "attention_head_dim": 8,
        "layers_per_block": 1,
        "norm_num_groups": 8,
    }
    return diffusers.UNet2DConditionModel(
        in_channels=in_channels, out_channels=out_channels, **{**settings, **more}
    )


def _ddim(prediction_type: str) -> diffusers.DDIMScheduler:
    return diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        steps_offset=1,
        prediction_type=prediction_type,
    )
