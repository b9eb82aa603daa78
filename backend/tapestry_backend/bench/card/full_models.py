"""Transformers of the true size with random weights; every number is a checkpoint's configuration.

U-Nets of the true size are in `bench.speed.random_models`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch
import transformers
from torch import nn

from ...checkpoints.families import FAMILIES
from ...models.device.memory import free_and_total_bytes, free_for_weights
from ...models.loading.parts import Parts
from ..speed.random_models import AUTOENCODER, VIT_BIG_G, VIT_L
from .small_models import TOKENIZERS

Maker = Callable[[], nn.Module]


@dataclass(frozen=True)
class FullModel:
    """A checkpoint's parts.

    makers     makes each of its networks, by the family's names
    options    what its model_index.json says besides
    """

    family: str
    makers: Mapping[str, Maker]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def window_px(self) -> int:
        """Its native size."""
        return FAMILIES[self.family].window_px

    def weights(self) -> dict[str, int]:
        """How many numbers each network has; counted without memory."""
        with torch.device("meta"):
            return {
                name: sum(weights.numel() for weights in make().parameters())
                for name, make in self.makers.items()
            }

    def parts(self, device: torch.device, dtype: torch.dtype) -> Parts:
        """The checkpoint: on its device where there is room for all of it, else on the processor.

        From there it goes on as a checkpoint from a disk does. Raises MemoryError where neither has
        room.
        """
        family = FAMILIES[self.family]
        where = self._place(device, sum(self.weights().values()) * dtype.itemsize)
        with where, _made_in(dtype):
            modules = {name: make().eval() for name, make in self.makers.items()}
        kind, config = family.scheduler
        tokenizers = {name: TOKENIZERS[kind]() for name, kind in family.tokenizers.items()}
        return Parts(
            {name: nn.Module.to(part, dtype) for name, part in modules.items()},
            tokenizers,
            getattr(diffusers, kind)(**config),
            self.options,
        )

    @staticmethod
    def _place(device: torch.device, needed: int) -> torch.device:
        """Where so many bytes have room."""
        if device.type == "meta" or (device.type != "cpu" and needed <= free_for_weights(device)):
            return device
        processor = torch.device("cpu")
        free, _ = free_and_total_bytes(processor)
        if needed > free:  # a system that lends more than it has would end the process
            raise MemoryError
        return processor


@contextmanager
def _made_in(dtype: torch.dtype) -> Iterator[None]:
    """New weights are of this type from the start: in single precision they would take twice."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _autoencoder(family: str, **more: Any) -> Maker:
    """That of 16 channels."""
    plain = {"latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False}
    config = {**AUTOENCODER, **plain, **FAMILIES[family].scales, "sample_size": 1024, **more}
    return lambda: diffusers.AutoencoderKL(**config)


def _clip(**config: Any) -> Maker:
    return lambda: transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**config))


def _clip_without_projection() -> nn.Module:
    return transformers.CLIPTextModel(transformers.CLIPTextConfig(**VIT_L))


def _t5() -> nn.Module:
    """T5 XXL, of version 1.1."""
    sizes = {"d_model": 4096, "d_ff": 10240, "num_heads": 64, "num_layers": 24}
    config = transformers.T5Config(feed_forward_proj="gated-gelu", **sizes)
    return transformers.T5EncoderModel(config)


def _qwen3(hidden_size: int, intermediate_size: int) -> Maker:
    """Qwen3, of 4 or 8 billion."""
    heads = {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
    config = transformers.Qwen3Config(
        vocab_size=151936,
        num_hidden_layers=36,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        **heads,
    )
    return lambda: transformers.Qwen3Model(config)


def _qwen_vl() -> nn.Module:
    """Qwen2.5-VL of 7 billion, without eyes."""
    config = transformers.Qwen2_5_VLTextConfig(
        vocab_size=152064,
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        rope_parameters={
            "rope_type": "default",
            "mrope_section": [16, 24, 24],
            "rope_theta": 1e6,
        },
    )
    return transformers.Qwen2_5_VLTextModel(config)


def _stable_diffusion_3() -> nn.Module:
    """3.5 Large."""
    return diffusers.SD3Transformer2DModel(
        sample_size=128,
        in_channels=16,
        out_channels=16,
        num_layers=38,
        num_attention_heads=38,
        attention_head_dim=64,
        joint_attention_dim=4096,
        caption_projection_dim=2432,
        pooled_projection_dim=2048,
        pos_embed_max_size=192,
        qk_norm="rms_norm",
    )


def _klein(double: int, single: int, heads: int, text: int) -> Maker:
    return lambda: diffusers.Flux2Transformer2DModel(
        num_layers=double,
        num_single_layers=single,
        num_attention_heads=heads,
        joint_attention_dim=text,
        guidance_embeds=False,
    )


FULL_MODELS: Mapping[str, FullModel] = {
    "Stable Diffusion 3.5 Large": FullModel(
        "sd3",
        {
            "transformer": _stable_diffusion_3,
            "vae": _autoencoder("sd3"),
            "text_encoder": _clip(**VIT_L),
            "text_encoder_2": _clip(**VIT_BIG_G),
            "text_encoder_3": _t5,
        },
    ),
    "FLUX.1": FullModel(
        "flux",
        {
            "transformer": lambda: diffusers.FluxTransformer2DModel(guidance_embeds=True),
            "vae": _autoencoder("flux"),
            "text_encoder": _clip_without_projection,
            "text_encoder_2": _t5,
        },
    ),
    "Chroma": FullModel(
        "chroma",
        {
            "transformer": diffusers.ChromaTransformer2DModel,
            "vae": _autoencoder("chroma"),
            "text_encoder": _t5,
        },
    ),
    "FLUX.2 Klein 4B": FullModel(
        "flux2",
        {
            "transformer": _klein(5, 20, 24, 3 * 2560),
            "vae": diffusers.AutoencoderKLFlux2,
            "text_encoder": _qwen3(2560, 9728),
        },
        {"is_distilled": True},
    ),
    "FLUX.2 Klein 9B": FullModel(
        "flux2",
        {
            "transformer": _klein(8, 24, 32, 3 * 4096),
            "vae": diffusers.AutoencoderKLFlux2,
            "text_encoder": _qwen3(4096, 12288),
        },
        {"is_distilled": True},
    ),
    "Z-Image": FullModel(
        "z_image",
        {
            "transformer": diffusers.ZImageTransformer2DModel,
            "vae": _autoencoder("z_image"),
            "text_encoder": _qwen3(2560, 9728),
        },
    ),
    "Qwen-Image": FullModel(
        "qwen_image",
        {
            "transformer": diffusers.QwenImageTransformer2DModel,
            "vae": diffusers.AutoencoderKLQwenImage,
            "text_encoder": _qwen_vl,
        },
    ),
}
"""By the names that docs/models.md has for them."""
