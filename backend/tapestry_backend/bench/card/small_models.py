"""Small models of every family with random weights: all kinds of layers, next to no numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from torch import nn

from tapestry_protocol.messages import Request

from ...checkpoints.catalogue import SAMPLE, Catalogue, Checkpoint
from ...checkpoints.families import FAMILIES
from ...models.denoiser import Denoiser
from ...models.loading.parts import Parts
from ...models.loading.tokenizers import bytes_as_letters
from ...models.model_cache import ModelCache, runner_of

WINDOW_PX = 64
CELL_PX = 4
WIDTH = 32
"""Width of text states."""


class SmallModelCache(ModelCache):
    """A model cache whose only model is a small one, whatever it is asked for."""

    def __init__(
        self, family: str, device: str, dtype: torch.dtype, catalogue: Catalogue | None = None
    ) -> None:
        super().__init__(catalogue or Catalogue(), device)
        self._family, self._precision = family, dtype
        self._made: Any = None

    def check(self, request: Request) -> None:
        """Nothing of it lies in files, so nothing can be missing."""

    def variant_of(self, model_id: str) -> str:  # noqa: ARG002  it has one model
        return "base"

    def load(self, model_id: str) -> Denoiser:
        """The model, made anew with the same numbers in every cache."""
        if self._made is None:
            family = FAMILIES[self._family]
            parts = small_parts(self._family, self._precision)
            entry = Checkpoint(model_id, Path(), WINDOW_PX, family.name)
            self._made = runner_of(family)(entry, self.device, self._precision, parts)
            self._made.adapter_manager.vocabulary.embeddings = self.catalogue.adapters.embeddings
        return self._made


def small_parts(family: str, dtype: torch.dtype) -> Parts:
    """The parts of a checkpoint, on the processor; the same numbers in every precision."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        modules, scheduler = _MAKERS[family]()
    tokenizers = {name: TOKENIZERS[kind]() for name, kind in FAMILIES[family].tokenizers.items()}
    made = {name: nn.Module.to(part, dtype).eval() for name, part in modules.items()}
    return Parts(made, tokenizers, scheduler, {})


def _stable_diffusion() -> tuple[dict[str, nn.Module], Any]:
    modules = {"unet": _unet(WIDTH), "vae": _autoencoder(), "text_encoder": _clip()}
    return modules, _betas(diffusers.DDIMScheduler, clip_sample=False)


def _xl() -> tuple[dict[str, nn.Module], Any]:
    unet = _unet(
        2 * WIDTH,
        transformer_layers_per_block=(2, 1),
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
    )
    second = _clip(transformers.CLIPTextModelWithProjection)
    modules = {"unet": unet, "vae": _autoencoder(), "text_encoder": _clip()}
    modules["text_encoder_2"] = second
    return modules, _betas(diffusers.EulerDiscreteScheduler)


def _three() -> tuple[dict[str, nn.Module], Any]:
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=WINDOW_PX // CELL_PX,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=2 * WIDTH,
        pos_embed_max_size=24,
    )
    kind = transformers.CLIPTextModelWithProjection
    modules = {
        "transformer": transformer,
        "vae": _autoencoder(scaling_factor=1.5, shift_factor=0.06),
        "text_encoder": _clip(kind),
        "text_encoder_2": _clip(kind),
        "text_encoder_3": _t5(2 * WIDTH),
    }
    return modules, diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)


def _flux() -> tuple[dict[str, nn.Module], Any]:
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )
    vae = _autoencoder(scaling_factor=0.36, shift_factor=0.12, sample_size=WINDOW_PX)
    modules = {
        "transformer": transformer,
        "vae": vae,
        "text_encoder": _clip(),
        "text_encoder_2": _t5(WIDTH),
    }
    shifting = {"shift": 3.0, "use_dynamic_shifting": True}
    return modules, diffusers.FlowMatchEulerDiscreteScheduler(**shifting)


def _z_image() -> tuple[dict[str, nn.Module], Any]:
    transformer = diffusers.ZImageTransformer2DModel(
        in_channels=4,
        dim=WIDTH,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDTH,
        axes_dims=[4, 6, 6],
        axes_lens=[1536, 512, 512],
    )
    vae = _autoencoder(scaling_factor=0.36, shift_factor=0.12, sample_size=WINDOW_PX)
    modules = {"transformer": transformer, "vae": vae, "text_encoder": _qwen3(WIDTH)}
    return modules, diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)


def _flux_2() -> tuple[dict[str, nn.Module], Any]:
    transformer = diffusers.Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * WIDTH,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    vae = diffusers.AutoencoderKLFlux2(
        block_out_channels=(16, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=WINDOW_PX,
    )
    modules = {"transformer": transformer, "vae": vae, "text_encoder": _qwen3(WIDTH, layers=28)}
    shifting = {"shift": 3.0, "use_dynamic_shifting": True}
    return modules, diffusers.FlowMatchEulerDiscreteScheduler(**shifting)


def _chroma() -> tuple[dict[str, nn.Module], Any]:
    transformer = diffusers.ChromaTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
        approximator_hidden_dim=WIDTH,
        approximator_layers=1,
    )
    vae = _autoencoder(scaling_factor=0.36, shift_factor=0.12, sample_size=WINDOW_PX)
    modules = {"transformer": transformer, "vae": vae, "text_encoder": _t5(WIDTH)}
    shifting = {"shift": 3.0, "use_dynamic_shifting": True}
    return modules, diffusers.FlowMatchEulerDiscreteScheduler(**shifting)


def _qwen_image() -> tuple[dict[str, nn.Module], Any]:
    transformer = diffusers.QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 4, 8),
    )
    vae = diffusers.AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 2],
        num_res_blocks=1,
        temperal_downsample=[False],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    modules = {"transformer": transformer, "vae": vae, "text_encoder": _qwen_text(WIDTH)}
    return modules, diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)


_MAKERS: Mapping[str, Callable[[], tuple[dict[str, nn.Module], Any]]] = {
    "sd1": _stable_diffusion,
    "sdxl": _xl,
    "sd3": _three,
    "flux": _flux,
    "z_image": _z_image,
    "flux2": _flux_2,
    "chroma": _chroma,
    "qwen_image": _qwen_image,
}


def _betas(kind: type, **more: Any) -> Any:
    known = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return kind(**known, steps_offset=1, **more)


def _unet(text_width: int, **more: Any) -> nn.Module:
    settings = {
        "sample_size": WINDOW_PX // CELL_PX,
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": text_width,
        "attention_head_dim": 8,
        "layers_per_block": 1,
        "norm_num_groups": 8,
    }
    return diffusers.UNet2DConditionModel(**settings, **more)


def _autoencoder(**more: Any) -> nn.Module:
    return diffusers.AutoencoderKL(
        block_out_channels=(16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=8,
        **more,
    )


def _clip(kind: type = transformers.CLIPTextModel) -> nn.Module:
    tokenizer = _clip_tokenizer()
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        projection_dim=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return kind(config)


def _t5(width: int) -> nn.Module:
    sizes = {"d_model": width, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 2}
    config = transformers.T5Config(vocab_size=64, feed_forward_proj="gated-gelu", **sizes)
    return transformers.T5EncoderModel(config)


def _qwen3(width: int, layers: int = 2) -> nn.Module:
    sizes = {"num_hidden_layers": layers, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = transformers.Qwen3Config(
        vocab_size=300, hidden_size=width, intermediate_size=64, head_dim=16, **sizes
    )
    return transformers.Qwen3Model(config)


def _qwen_text(width: int) -> nn.Module:
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e6}
    config = transformers.Qwen2_5_VLTextConfig(
        vocab_size=300, hidden_size=width, intermediate_size=64, rope_parameters=rope, **sizes
    )
    return transformers.Qwen2_5_VLTextModel(config)


def _clip_tokenizer() -> Any:
    """The bundled model's."""
    folder = Catalogue().find(SAMPLE).path / "tokenizer"
    return transformers.CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def _t5_tokenizer() -> Any:
    """One that knows letters alone."""
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    vocabulary += [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    return transformers.T5TokenizerFast(vocab=vocabulary, extra_ids=0, model_max_length=512)


def _qwen_tokenizer() -> Any:
    """One with a token for every byte."""
    words = {letter: number for number, letter in enumerate(bytes_as_letters())}
    tokenizer = transformers.Qwen2Tokenizer(vocab=words, merges=[])
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    return tokenizer


TOKENIZERS = {
    "CLIPTokenizer": _clip_tokenizer,
    "T5TokenizerFast": _t5_tokenizer,
    "Qwen2Tokenizer": _qwen_tokenizer,
}
