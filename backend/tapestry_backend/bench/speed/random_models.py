"""Models of the shapes of well-known checkpoints with random weights; nothing is downloaded.

Speed does not depend on the values. Every number here is one of the checkpoints' configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import diffusers
import torch
import transformers
from torch import nn

from tapestry_protocol.messages import Request

from ...checkpoints.catalogue import SAMPLE, Catalogue, Checkpoint
from ...checkpoints.families import FAMILIES
from ...models.loading.parts import Parts
from ...models.model_cache import runner_of
from .metered import Metered, MeteredModelCache

_TOKENS = 77
"""Of a text, for all of CLIP's text encoders."""


@dataclass(frozen=True)
class Shape:
    """The configurations of a checkpoint's parts.

    texts      one for each of the family's text encoders
    scheduler  makes the checkpoint's own
    """

    family: str
    window_px: int
    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    texts: Mapping[str, Mapping[str, Any]]
    scheduler: Callable[[], Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def parts(self, device: torch.device, dtype: torch.dtype) -> Parts:
        """The checkpoint, made on its device, each part in single precision first."""
        kinds = FAMILIES[self.family].modules
        modules: dict[str, nn.Module] = {}
        with torch.device(device):
            modules["unet"] = _in(dtype, diffusers.UNet2DConditionModel(**self.unet))
            modules["vae"] = _in(dtype, diffusers.AutoencoderKL(**self.vae))
            for name, text in self.texts.items():
                config = transformers.CLIPTextConfig(**text)
                modules[name] = _in(dtype, getattr(transformers, kinds[name][0])(config))
        tokenizers = {name: _tokenizer() for name in FAMILIES[self.family].tokenizers}
        return Parts(modules, tokenizers, self.scheduler(), self.options)


class Shaped(Protocol):
    """What makes a checkpoint of a family on its device."""

    @property
    def family(self) -> str: ...
    @property
    def window_px(self) -> int: ...
    def parts(self, device: torch.device, dtype: torch.dtype) -> Parts: ...


class ShapedModelCache(MeteredModelCache):
    """A model cache with a single model: one of a shape, whatever it is asked for."""

    def __init__(self, shape: Shaped, device: str | None) -> None:
        super().__init__(Catalogue(), device)
        self._shape = shape
        self._made: Metered | None = None

    def check(self, request: Request) -> None:
        """Nothing of it lies in files, so nothing can be missing."""

    def variant_of(self, model_id: str) -> str:  # noqa: ARG002  it has one model
        """A shape is that of a family's plain checkpoint."""
        return ""

    def load(self, model_id: str) -> Metered:
        """The model of this cache's shape."""
        if self._made is None:
            shape = self._shape
            entry = Checkpoint(model_id, Path(), shape.window_px, shape.family)
            dtype = self._dtype(entry)
            parts = shape.parts(self.device, dtype)
            runner = runner_of(FAMILIES[shape.family])
            self._made = Metered(runner(entry, self.device, dtype, parts), self.clock)
        return self._made


def _in(dtype: torch.dtype, part: nn.Module) -> nn.Module:
    """As torch does it: diffusers' own way warns that it is not meant for weights from files."""
    return nn.Module.to(part, dtype)


def _tokenizer() -> Any:
    """The bundled model's; with as many tokens as CLIP reads."""
    folder = Catalogue().find(SAMPLE).path / "tokenizer"
    return transformers.CLIPTokenizer.from_pretrained(
        folder, local_files_only=True, model_max_length=_TOKENS
    )


def _betas(kind: type, **more: Any) -> Callable[[], Any]:
    known = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return lambda: kind(**known, steps_offset=1, **more)


AUTOENCODER = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "norm_num_groups": 32,
}

VIT_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
    "max_position_embeddings": _TOKENS,
    "hidden_act": "quick_gelu",
}

VIT_BIG_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "max_position_embeddings": _TOKENS,
    "hidden_act": "gelu",
}

SHAPES: Mapping[str, Shape] = {
    "sd15": Shape(
        "sd1",
        512,
        {
            "sample_size": 64,
            "block_out_channels": (320, 640, 1280, 1280),
            "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
            "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
            "layers_per_block": 2,
            "cross_attention_dim": 768,
            "attention_head_dim": 8,
        },
        {**AUTOENCODER, "scaling_factor": 0.18215, "sample_size": 512},
        {"text_encoder": VIT_L},
        _betas(diffusers.DDIMScheduler, clip_sample=False, set_alpha_to_one=False),
    ),
    "sdxl": Shape(
        "sdxl",
        1024,
        {
            "sample_size": 128,
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", *("CrossAttnDownBlock2D",) * 2),
            "up_block_types": (*("CrossAttnUpBlock2D",) * 2, "UpBlock2D"),
            "layers_per_block": 2,
            "transformer_layers_per_block": (1, 2, 10),
            "cross_attention_dim": 2048,
            "attention_head_dim": (5, 10, 20),
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        {**AUTOENCODER, "scaling_factor": 0.13025, "sample_size": 1024},
        {"text_encoder": VIT_L, "text_encoder_2": VIT_BIG_G},
        _betas(diffusers.EulerDiscreteScheduler),
        {"force_zeros_for_empty_prompt": True},
    ),
}
