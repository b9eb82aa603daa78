"""The families of checkpoints: how each is recognised and what files it has.

A family is one row here, and one module with a class that runs it; its name stands nowhere else. A
network that no other family has takes a line in `shapes.KINDS` and one in `conversion`, to be read
from single files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tapestry_protocol.limits import MAX_REFERENCES

from .shapes import KINDS, Shapes, within

_AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny")
_WIDE_TEXTS = 1024
"""Stable Diffusion 2 reads texts of this width; 1 those of 768."""


class Editor(NamedTuple):
    """A variant that is shown pictures: how its pipeline and its files are called.

    references: pictures at once; window_px: its native size, where that is not its family's
    """

    pipeline: str
    named: str
    references: int
    window_px: int = 0


@dataclass(frozen=True)
class Family:
    """Checkpoints of one build.

    pipelines  how the class names of its pipelines in diffusers begin
    runner     the module of `models` and the class in it that run it
    backbone   the name of the denoising network
    modules    its networks by name, each with the classes it may be of
    tokenizers each of its tokenizers with its class
    optional   the parts that a checkpoint may do without
    half       the 16-bit type that it computes in on graphics cards
    in_file    where its networks lie in a single file: the kind of each, and what their tensors'
               names may begin with
    scales     what the autoencoder's configuration says about latents, and files do not
    scheduler  the class and configuration of the one it was made for
    window_px  its native size, for files that do not say another
    named      words in a file's name that tell another size, and settings of its scheduler
    sized      whether its backbone's configuration says its native size
    options    what a folder's model_index.json says besides, and files do not
    vae_names  what names of files say about its autoencoder: shapes do not tell families apart
    patch      cells on a side of what the backbone calls a channel's place
    makes_cells        whether that is so of what it takes alone; it makes channels of a cell
    unguided   what one is called whose backbone is told no guidance scale
    text_width  the backbone's setting that says how wide the texts are that it reads, and how many
               layers of its language model make up that width
    mask_in_pixels     whether an inpainting one sees the mask's pixels, or its cells
    instructed         whether one that takes twice the channels sees a picture and follows an
                       instruction (InstructPix2Pix)
    edits      those of its variants that are shown pictures beside what they paint
    references         the pictures that its other ones can be shown
    edits_only         whether such a variant paints nothing without a picture
    looks      whether its language model looks at the picture, too
    """

    name: str
    pipelines: tuple[str, ...]
    runner: tuple[str, str]
    backbone: str
    modules: Mapping[str, tuple[str, ...]]
    tokenizers: Mapping[str, str]
    optional: frozenset[str] = frozenset()
    half: str = "float16"
    in_file: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    scheduler: tuple[str, Mapping[str, Any]] = ("", {})
    window_px: int = 1024
    named: Mapping[str, tuple[int, Mapping[str, Any]]] = field(default_factory=dict)
    sized: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    vae_names: str = ""
    patch: int = 1
    makes_cells: bool = False
    unguided: str = ""
    text_width: tuple[str, int] = ("", 1)
    mask_in_pixels: bool = False
    instructed: bool = False
    edits: Mapping[str, Editor] = field(default_factory=dict)
    references: int = 0
    edits_only: bool = False
    looks: bool = False

    def editor(self, pipeline: str) -> str:
        """The variant whose pipeline is called so; "" for one that is shown nothing."""
        fitting = [v for v, each in self.edits.items() if pipeline.startswith(each.pipeline)]
        return max(fitting, key=lambda v: len(self.edits[v].pipeline), default="")

    def editor_named(self, name: str) -> str:
        """The same for a file of this name: nothing else in it says so."""
        found = (v for v, each in self.edits.items() if re.search(each.named, name.lower()))
        return next(found, "")

    def variant(self, taken: int, made: int, cell_px: int) -> str | None:
        """What a backbone that takes so many channels is, for an autoencoder that makes so many.

        None for one with another input.
        """
        mask = cell_px**2 if self.mask_in_pixels else 1
        channels = {made: "base", 2 * made + mask: "inpaint"}
        if self.instructed:
            channels[2 * made] = "instruct"
        return channels.get(taken // self.patch**2) if taken % self.patch**2 == 0 else None


_UNET = ("unet", ("model.diffusion_model.",))
_VAE = ("autoencoder", ("first_stage_model.", "vae.", ""))
_CLIP_L = "text_encoders.clip_l.transformer.text_model."
_CLIP_G = "text_encoders.clip_g.transformer.text_model."
_T5 = "text_encoders.t5xxl.transformer."
_QWEN3 = ("Qwen3Model", "Qwen3ForCausalLM")
_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}

_SD1 = Family(
    name="sd1",
    pipelines=("StableDiffusion", "LatentConsistencyModel"),
    runner=("stable_diffusion", "StableDiffusion"),
    backbone="unet",
    modules={
        "unet": ("UNet2DConditionModel",),
        "vae": _AUTOENCODERS,
        "text_encoder": ("CLIPTextModel",),
    },
    tokenizers={"tokenizer": "CLIPTokenizer"},
    in_file={
        "unet": _UNET,
        "vae": _VAE,
        "text_encoder": (
            "clip_l",
            ("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."),
        ),
    },
    scales={"scaling_factor": 0.18215},
    scheduler=("PNDMScheduler", {**_BETAS, "skip_prk_steps": True, "steps_offset": 1}),
    window_px=512,
    vae_names=r"sd_?-?1|ft-mse|ft-ema|840000|560000",
    instructed=True,
)

_SD2 = replace(
    _SD1,
    name="sd2",
    in_file={
        "unet": _UNET,
        "vae": _VAE,
        "text_encoder": ("open_clip_but_last", ("cond_stage_model.model.",)),
    },
    scheduler=(
        "DDIMScheduler",
        {
            **_BETAS,
            "clip_sample": False,
            "set_alpha_to_one": False,
            "steps_offset": 1,
            "prediction_type": "v_prediction",
        },
    ),
    window_px=768,
    named={"512": (512, {"prediction_type": "epsilon"})},  # 512-base-ema, 512-inpainting-ema
    vae_names=r"sd_?-?2|ft-mse|ft-ema|840000|560000",
)

_SDXL = Family(
    name="sdxl",
    pipelines=("StableDiffusionXL",),
    runner=("stable_diffusion_xl", "StableDiffusionXL"),
    backbone="unet",
    modules={
        **_SD1.modules,
        "text_encoder_2": ("CLIPTextModelWithProjection",),
    },
    tokenizers={"tokenizer": "CLIPTokenizer", "tokenizer_2": "CLIPTokenizer"},
    in_file={
        "unet": _UNET,
        "vae": _VAE,
        "text_encoder": ("clip_l", ("conditioner.embedders.0.transformer.text_model.",)),
        "text_encoder_2": ("open_clip", ("conditioner.embedders.1.model.",)),
    },
    scales={"scaling_factor": 0.13025},
    scheduler=("EulerDiscreteScheduler", {**_BETAS, "steps_offset": 1}),
    options={"force_zeros_for_empty_prompt": True},
    vae_names=r"xl",
    instructed=True,
)

_SD3 = Family(
    name="sd3",
    pipelines=("StableDiffusion3",),
    runner=("stable_diffusion_3", "StableDiffusion3"),
    backbone="transformer",
    modules={
        "transformer": ("SD3Transformer2DModel",),
        "vae": _AUTOENCODERS,
        "text_encoder": ("CLIPTextModelWithProjection",),
        "text_encoder_2": ("CLIPTextModelWithProjection",),
        "text_encoder_3": ("T5EncoderModel",),
    },
    tokenizers={
        "tokenizer": "CLIPTokenizer",
        "tokenizer_2": "CLIPTokenizer",
        "tokenizer_3": "T5TokenizerFast",
    },
    optional=frozenset({"text_encoder_3", "tokenizer_3"}),
    half="bfloat16",
    in_file={
        "transformer": ("sd3", ("model.diffusion_model.", "")),
        "vae": _VAE,
        "text_encoder": ("clip_l_unprojected", (_CLIP_L, "text_model.")),
        "text_encoder_2": ("clip_g", (_CLIP_G, "text_model.")),
        "text_encoder_3": ("t5", (_T5, "")),
    },
    scales={"scaling_factor": 1.5305, "shift_factor": 0.0609},
    scheduler=("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    vae_names=r"sd_?-?3",
    text_width=("joint_attention_dim", 1),
)

_FLUX = Family(
    name="flux",
    pipelines=("FluxPipeline", "FluxImg2Img", "FluxInpaint", "FluxFill", "FluxKontext"),
    runner=("flux", "Flux"),
    backbone="transformer",
    modules={
        "transformer": ("FluxTransformer2DModel",),
        "vae": _AUTOENCODERS,
        "text_encoder": ("CLIPTextModel",),
        "text_encoder_2": ("T5EncoderModel",),
    },
    tokenizers={"tokenizer": "CLIPTokenizer", "tokenizer_2": "T5TokenizerFast"},
    half="bfloat16",
    in_file={
        "transformer": ("flux", ("model.diffusion_model.", "")),
        "vae": _VAE,
        "text_encoder": ("clip_l", (_CLIP_L, "text_model.")),
        "text_encoder_2": ("t5", (_T5, "")),
    },
    scales={"scaling_factor": 0.3611, "shift_factor": 0.1159},
    scheduler=(
        "FlowMatchEulerDiscreteScheduler",
        {"shift": 3.0, "use_dynamic_shifting": True, "max_shift": 1.15},
    ),
    sized=False,
    vae_names=r"flux|^ae\b",
    patch=2,
    unguided="schnell",
    mask_in_pixels=True,
    edits={"edit": Editor("FluxKontext", r"kontext", 1)},
    text_width=("joint_attention_dim", 1),
)

_Z_IMAGE = Family(
    name="z_image",
    pipelines=("ZImagePipeline", "ZImageImg2Img", "ZImageInpaint"),
    runner=("z_image", "ZImage"),
    backbone="transformer",
    modules={
        "transformer": ("ZImageTransformer2DModel",),
        "vae": _AUTOENCODERS,
        "text_encoder": _QWEN3,
    },
    tokenizers={"tokenizer": "Qwen2Tokenizer"},
    half="bfloat16",
    in_file={
        "transformer": ("z_image", ("model.diffusion_model.", "")),
        "vae": _VAE,
        "text_encoder": ("qwen3", ("text_encoders.qwen3_4b.transformer.model.", "model.")),
    },
    scales={"scaling_factor": 0.3611, "shift_factor": 0.1159},
    scheduler=("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    sized=False,
    vae_names=r"flux|^ae\b|z_?-?image",
    text_width=("cap_feat_dim", 1),
)

_FLUX_2 = Family(
    name="flux2",
    pipelines=("Flux2Pipeline", "Flux2KleinPipeline", "Flux2KleinInpaint"),
    runner=("flux_2", "Flux2"),
    backbone="transformer",
    modules={
        "transformer": ("Flux2Transformer2DModel",),
        "vae": ("AutoencoderKLFlux2",),
        "text_encoder": (*_QWEN3, "Mistral3ForConditionalGeneration"),
    },
    tokenizers={"tokenizer": "Qwen2Tokenizer"},
    half="bfloat16",
    in_file={
        "transformer": ("flux2", ("model.diffusion_model.", "")),
        "vae": ("autoencoder_flux2", ("vae.", "")),
        "text_encoder": (
            "qwen3",
            (
                "text_encoders.qwen3_4b.transformer.model.",
                "text_encoders.qwen3_8b.transformer.model.",
                "model.",
            ),
        ),
    },
    scheduler=(
        "FlowMatchEulerDiscreteScheduler",
        {"shift": 3.0, "use_dynamic_shifting": True, "max_shift": 1.15},
    ),
    sized=False,
    options={"is_distilled": False},
    patch=2,
    text_width=("joint_attention_dim", 3),
    references=MAX_REFERENCES,
)

_CHROMA = Family(
    name="chroma",
    pipelines=("ChromaPipeline", "ChromaImg2Img", "ChromaInpaint"),
    runner=("chroma", "Chroma"),
    backbone="transformer",
    modules={
        "transformer": ("ChromaTransformer2DModel",),
        "vae": _AUTOENCODERS,
        "text_encoder": ("T5EncoderModel",),
    },
    tokenizers={"tokenizer": "T5TokenizerFast"},
    half="bfloat16",
    in_file={
        "transformer": ("chroma", ("model.diffusion_model.", "")),
        "vae": _VAE,
        "text_encoder": ("t5", (_T5, "")),
    },
    scales=_FLUX.scales,
    scheduler=_FLUX.scheduler,
    sized=False,
    vae_names=_FLUX.vae_names,
    patch=2,
    text_width=("joint_attention_dim", 1),
)

_QWEN_IMAGE = Family(
    name="qwen_image",
    pipelines=("QwenImagePipeline", "QwenImageImg2Img", "QwenImageInpaint", "QwenImageEdit"),
    runner=("qwen_image", "QwenImage"),
    backbone="transformer",
    modules={
        "transformer": ("QwenImageTransformer2DModel",),
        "vae": ("AutoencoderKLQwenImage",),
        "text_encoder": (
            "Qwen2_5_VLTextModel",
            "Qwen2_5_VLModel",
            "Qwen2_5_VLForConditionalGeneration",
        ),
    },
    tokenizers={"tokenizer": "Qwen2Tokenizer"},
    half="bfloat16",
    in_file={
        "transformer": ("qwen_image", ("model.diffusion_model.", "")),
        "vae": ("autoencoder_qwen", ("vae.", "")),
        "text_encoder": (
            "qwen25",
            (
                "text_encoders.qwen25_7b.transformer.model.",
                "model.language_model.",
                "model.",
            ),
        ),
    },
    scheduler=(
        "FlowMatchEulerDiscreteScheduler",
        {
            "use_dynamic_shifting": True,
            "base_shift": 0.5,
            "max_shift": 0.9,
            "max_image_seq_len": 8192,
            "shift_terminal": 0.02,
        },
    ),
    window_px=1328,
    sized=False,
    vae_names=r"qwen",
    patch=2,
    makes_cells=True,
    edits={
        "edit_plus": Editor("QwenImageEditPlus", r"edit[-_. ]?(?:plus|2\d{3})", 3, 1024),
        "edit": Editor("QwenImageEdit", r"edit", 1, 1024),
    },
    edits_only=True,
    looks=True,
    text_width=("joint_attention_dim", 1),
)

FAMILIES = {
    family.name: family
    for family in (_SD1, _SD2, _SDXL, _SD3, _FLUX, _Z_IMAGE, _FLUX_2, _CHROMA, _QWEN_IMAGE)
}


def family_of(index: Mapping[str, Any], backbone: Mapping[str, Any]) -> Family | None:
    """The family of a folder in diffusers' layout, by its model_index.json and its backbone's.

    None when its pipeline is of none of them.
    """
    pipeline = str(index["_class_name"])
    beginnings = {begin: f for f in FAMILIES.values() for begin in f.pipelines}
    fitting = [begin for begin in beginnings if pipeline.startswith(begin)]
    if not fitting:
        return None
    family = beginnings[max(fitting, key=len)]
    width = backbone.get("cross_attention_dim", 0)
    if family.runner == _SD1.runner:
        return _SD2 if isinstance(width, int) and width >= _WIDE_TEXTS else _SD1
    return family


def family_of_file(shapes: Shapes) -> Family | None:
    """The family of a single file, by its tensors; None when it is of none of them."""
    for family in (_FLUX_2, _CHROMA, _FLUX, _SD3, _Z_IMAGE, _QWEN_IMAGE):
        kind, prefixes = family.in_file["transformer"]
        if any(prefix + KINDS[kind].mark in shapes for prefix in prefixes):
            return family
    unet = within(shapes, _UNET[1][0])
    if KINDS["unet"].mark not in unet:
        return None
    if "label_emb.0.0.weight" in unet:
        return _SDXL
    projected = next((shape for n, shape in unet.items() if n.endswith(".1.proj_in.weight")), ())
    return _SD2 if len(projected) == 2 else _SD1  # a layer in one, a convolution in the other


def backbone_of(index: Mapping[str, Any]) -> str:
    """The name of the denoising network in model_index.json."""
    return "transformer" if "transformer" in index else "unet"
