"""The families of checkpoints: how each is recognised and what files it has; nothing is loaded.

A family is one row here, and one module with a class that runs it; nobody else knows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

_AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny")
_WIDE_TEXTS = 1024
"""Stable Diffusion 2 reads texts of this width; 1 those of 768."""


@dataclass(frozen=True)
class Family:
    """Checkpoints of one build.

    pipelines  how the class names of its pipelines in diffusers begin
    runner     the module of this package and the class in it that run it
    backbone   the name of the part that is asked at every step
    modules    its networks by name, each with the classes it may be of
    tokenizers each of its tokenizers with its class
    optional   the parts that a checkpoint may do without
    half       the 16-bit type that it computes in on graphics cards
    patch      cells on a side of what the backbone calls a channel's place
    mask_in_pixels     whether an inpainting one sees the mask's pixels, or its cells
    """

    name: str
    pipelines: tuple[str, ...]
    runner: tuple[str, str]
    backbone: str
    modules: Mapping[str, tuple[str, ...]]
    tokenizers: Mapping[str, str]
    optional: frozenset[str] = frozenset()
    half: str = "float16"
    patch: int = 1
    mask_in_pixels: bool = False

    def variant(self, taken: int, made: int, cell_px: int) -> str | None:
        """What a backbone that takes so many channels is, for an autoencoder that makes so many.

        None for one that wants to see something else.
        """
        mask = cell_px**2 if self.mask_in_pixels else 1
        channels = {made: "base", 2 * made + mask: "inpaint"}
        return channels.get(taken // self.patch**2) if taken % self.patch**2 == 0 else None

    def load_runner(self) -> Any:
        """The class behind the `Denoiser` protocol; imports torch."""
        module, name = self.runner
        return getattr(import_module(f".{module}", __package__), name)


_STABLE_DIFFUSION = Family(
    "sd1",
    ("StableDiffusion", "LatentConsistencyModel"),
    ("stable_diffusion", "StableDiffusion"),
    "unet",
    {
        "unet": ("UNet2DConditionModel",),
        "vae": _AUTOENCODERS,
        "text_encoder": ("CLIPTextModel",),
    },
    {"tokenizer": "CLIPTokenizer"},
)

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        _STABLE_DIFFUSION,
        Family(**{**vars(_STABLE_DIFFUSION), "name": "sd2"}),
        Family(
            "sdxl",
            ("StableDiffusionXL",),
            ("stable_diffusion_xl", "StableDiffusionXL"),
            "unet",
            {
                "unet": ("UNet2DConditionModel",),
                "vae": _AUTOENCODERS,
                "text_encoder": ("CLIPTextModel",),
                "text_encoder_2": ("CLIPTextModelWithProjection",),
            },
            {"tokenizer": "CLIPTokenizer", "tokenizer_2": "CLIPTokenizer"},
        ),
        Family(
            "sd3",
            ("StableDiffusion3",),
            ("stable_diffusion_3", "StableDiffusion3"),
            "transformer",
            {
                "transformer": ("SD3Transformer2DModel",),
                "vae": _AUTOENCODERS,
                "text_encoder": ("CLIPTextModelWithProjection",),
                "text_encoder_2": ("CLIPTextModelWithProjection",),
                "text_encoder_3": ("T5EncoderModel",),
            },
            {
                "tokenizer": "CLIPTokenizer",
                "tokenizer_2": "CLIPTokenizer",
                "tokenizer_3": "T5TokenizerFast",
            },
            frozenset({"text_encoder_3", "tokenizer_3"}),
            half="bfloat16",
        ),
        Family(
            "flux",
            ("FluxPipeline", "FluxImg2Img", "FluxInpaint", "FluxFill"),
            ("flux", "Flux"),
            "transformer",
            {
                "transformer": ("FluxTransformer2DModel",),
                "vae": _AUTOENCODERS,
                "text_encoder": ("CLIPTextModel",),
                "text_encoder_2": ("T5EncoderModel",),
            },
            {"tokenizer": "CLIPTokenizer", "tokenizer_2": "T5TokenizerFast"},
            half="bfloat16",
            patch=2,
            mask_in_pixels=True,
        ),
    )
}


def family_of(index: Mapping[str, Any], backbone: Mapping[str, Any]) -> Family | None:
    """The family of a folder in diffusers' layout, by its model_index.json and its backbone's.

    None when its pipeline is of none of them.
    """
    pipeline = str(index["_class_name"])
    beginnings = {begin: family for family in FAMILIES.values() for begin in family.pipelines}
    fitting = [begin for begin in beginnings if pipeline.startswith(begin)]
    if not fitting:
        return None
    family = beginnings[max(fitting, key=len)]
    if family.runner != _STABLE_DIFFUSION.runner:
        return family
    width = backbone.get("cross_attention_dim", 0)
    return FAMILIES["sd2" if isinstance(width, int) and width >= _WIDE_TEXTS else "sd1"]


def backbone_of(index: Mapping[str, Any]) -> str:
    """The name of the part that is asked at every step, by model_index.json."""
    return "transformer" if "transformer" in index else "unet"
