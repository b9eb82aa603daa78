"""Tiny checkpoints as single files, with the names that other programs use; tests nothing itself.

Each is built as the real ones are - heads of 64 channels, CLIP's own vocabulary - but for its size,
and comes as a pipeline of diffusers beside its file, which is what it should be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import safetensors.torch
import torch
import transformers
from torch import Tensor, nn

from tapestry_backend.checkpoints.families import FAMILIES
from tapestry_backend.models.loading.tokenizers import clip_tokenizer
from tests.models.tiny_checkpoints import (
    qwen3,
    qwen_tokenizer,
    qwen_vl,
    t5_encoder,
    t5_tokenizer,
)

State = dict[str, Tensor]
WIDTH = 64
CELL_PX = 2
"""After as many blocks of the autoencoder: two."""


class Built(NamedTuple):
    """Networks by their names in diffusers' pipelines, and the tensors of a file with them."""

    networks: dict[str, Any]
    tensors: State


def build(family: str, **options: Any) -> Built:
    """The networks of a tiny checkpoint of this family, with random weights."""
    torch.manual_seed(1)
    makers = {"sd1": _sd1, "sd2": _sd2, "sdxl": _sdxl, "sd3": _sd3, "flux": _flux}
    makers |= {"z_image": _z_image, "flux2": _flux_2, "chroma": _chroma}
    makers |= {"qwen_image": _qwen_image}
    built = makers[family](**options)
    for network in built.networks.values():
        network.eval()
    return built


def save_file(
    built: Built,
    path: Path,
    dtype: torch.dtype = torch.float32,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """The tensors in one file."""
    stored = {name: tensor.to(dtype).contiguous() for name, tensor in built.tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(stored, path, dict(notes or {}))
    return path


def pipeline_of(family: str, built: Built) -> Any:
    """Diffusers' own pipeline of these networks."""
    name, settings = FAMILIES[family].scheduler
    scheduler = getattr(diffusers, name)(**settings)
    plain, other = (clip_tokenizer(49408, open_clip=o) for o in (False, True))
    if family in {"sd1", "sd2"}:
        return diffusers.StableDiffusionPipeline(
            **built.networks,
            tokenizer=other if family == "sd2" else plain,
            scheduler=scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    if family == "sdxl":
        return diffusers.StableDiffusionXLPipeline(
            **built.networks,
            tokenizer=plain,
            tokenizer_2=other,
            scheduler=scheduler,
            add_watermarker=False,
        )
    if family == "sd3":
        return diffusers.StableDiffusion3Pipeline(
            **built.networks,
            tokenizer=plain,
            tokenizer_2=other,
            tokenizer_3=t5_tokenizer(),
            scheduler=scheduler,
        )
    if family == "flux":
        return diffusers.FluxPipeline(
            **built.networks, tokenizer=plain, tokenizer_2=t5_tokenizer(), scheduler=scheduler
        )
    kind, tokenizer = {
        "z_image": (diffusers.ZImagePipeline, qwen_tokenizer()),
        "flux2": (diffusers.Flux2KleinPipeline, qwen_tokenizer()),
        "chroma": (diffusers.ChromaPipeline, t5_tokenizer()),
        "qwen_image": (diffusers.QwenImagePipeline, qwen_tokenizer()),
    }[family]
    return kind(**built.networks, tokenizer=tokenizer, scheduler=scheduler)


def _sd1(in_channels: int = 4) -> Built:
    unet = _unet(in_channels, attention_head_dim=8, cross_attention_dim=WIDTH)
    vae, text = _autoencoder("sd1"), _clip(transformers.CLIPTextModel, "quick_gelu")
    tensors = {
        **_prefixed("model.diffusion_model.", original_unet(unet.state_dict())),
        **_prefixed("first_stage_model.", original_autoencoder(vae.state_dict())),
        **_prefixed("cond_stage_model.transformer.text_model.", text.state_dict()),
    }
    return Built({"unet": unet, "vae": vae, "text_encoder": text}, tensors)


def _sd2() -> Built:
    unet = _unet(
        4, attention_head_dim=[1, 2], cross_attention_dim=WIDTH, use_linear_projection=True
    )
    vae, text = _autoencoder("sd2"), _clip(transformers.CLIPTextModel, "gelu")
    states = original_open_clip(text.state_dict())
    last = {
        name.replace("resblocks.1.", "resblocks.2."): tensor + 1
        for name, tensor in states.items()
        if "resblocks.1." in name
    }  # which is not read
    tensors = {
        **_prefixed("model.diffusion_model.", original_unet(unet.state_dict())),
        **_prefixed("first_stage_model.", original_autoencoder(vae.state_dict())),
        **_prefixed("cond_stage_model.model.", {**states, **last}),
    }
    return Built({"unet": unet, "vae": vae, "text_encoder": text}, tensors)


def _sdxl() -> Built:
    unet = _unet(
        4,
        attention_head_dim=[1, 2],
        cross_attention_dim=2 * WIDTH,
        use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 2],
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=6 * 256 + WIDTH,
    )
    vae = _autoencoder("sdxl")
    first = _clip(transformers.CLIPTextModel, "quick_gelu")
    second = _clip(transformers.CLIPTextModelWithProjection, "gelu")
    tensors = {
        **_prefixed("model.diffusion_model.", original_unet(unet.state_dict())),
        **_prefixed("first_stage_model.", original_autoencoder(vae.state_dict())),
        **_prefixed("conditioner.embedders.0.transformer.text_model.", first.state_dict()),
        **_prefixed("conditioner.embedders.1.model.", original_open_clip(second.state_dict())),
    }
    networks = {"unet": unet, "vae": vae, "text_encoder": first, "text_encoder_2": second}
    return Built(networks, tensors)


def _sd3() -> Built:
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=64,
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=2,
        attention_head_dim=64,
        num_attention_heads=1,
        joint_attention_dim=2 * WIDTH,
        caption_projection_dim=64,
        pooled_projection_dim=2 * WIDTH,
        pos_embed_max_size=48,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    vae = _autoencoder("sd3", channels=16, use_quant_conv=False, use_post_quant_conv=False)
    first = _clip(transformers.CLIPTextModelWithProjection, "quick_gelu")
    first.text_projection.weight.data = torch.eye(WIDTH)  # as it is read
    second = _clip(transformers.CLIPTextModelWithProjection, "gelu")
    third = t5_encoder(2 * WIDTH)
    tensors = {
        **_prefixed("model.diffusion_model.", original_sd3(transformer.state_dict())),
        **_prefixed("first_stage_model.", original_autoencoder(vae.state_dict())),
        **_prefixed("text_encoders.clip_l.transformer.", first.state_dict()),
        **_prefixed("text_encoders.clip_g.transformer.", second.state_dict()),
        **_prefixed("text_encoders.t5xxl.transformer.", original_t5(third.state_dict())),
    }
    del tensors["text_encoders.clip_l.transformer.text_projection.weight"]
    networks = {"transformer": transformer, "vae": vae, "text_encoder": first}
    return Built({**networks, "text_encoder_2": second, "text_encoder_3": third}, tensors)


def _flux(*, dev: bool = True) -> Built:
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        out_channels=64,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        axes_dims_rope=(4, 14, 14),
        guidance_embeds=dev,
    )
    vae = _autoencoder("flux", channels=16, use_quant_conv=False, use_post_quant_conv=False)
    text = _clip(transformers.CLIPTextModel, "quick_gelu")
    long = t5_encoder(WIDTH)
    tensors = {
        **_prefixed("model.diffusion_model.", original_flux(transformer.state_dict())),
        **_prefixed("vae.", original_autoencoder(vae.state_dict())),
        **_prefixed("text_encoders.clip_l.transformer.text_model.", text.state_dict()),
        **_prefixed("text_encoders.t5xxl.transformer.", original_t5(long.state_dict())),
    }
    networks = {"transformer": transformer, "vae": vae, "text_encoder": text}
    return Built({**networks, "text_encoder_2": long}, tensors)


def _z_image() -> Built:
    transformer = diffusers.ZImageTransformer2DModel(
        in_channels=16,
        dim=192,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=3,
        n_kv_heads=3,
        cap_feat_dim=WIDTH,
        axes_dims=[16, 24, 24],
        axes_lens=[1536, 512, 512],
    )
    for token in (transformer.x_pad_token, transformer.cap_pad_token):
        torch.nn.init.normal_(token)
    vae = _autoencoder("z_image", channels=16, use_quant_conv=False, use_post_quant_conv=False)
    text = qwen3(WIDTH).model
    tensors = {
        **_prefixed("model.diffusion_model.", original_z_image(transformer.state_dict())),
        **_prefixed("vae.", original_autoencoder(vae.state_dict())),
        **_prefixed("text_encoders.qwen3_4b.transformer.model.", text.state_dict()),
    }
    return Built({"transformer": transformer, "vae": vae, "text_encoder": text}, tensors)


def _flux_2() -> Built:
    transformer = diffusers.Flux2Transformer2DModel(
        in_channels=64,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=3 * WIDTH,
        axes_dims_rope=(8, 8, 8, 8),
        guidance_embeds=False,
    )
    vae = diffusers.AutoencoderKLFlux2(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=16,
        layers_per_block=1,
    )
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    text = qwen3(WIDTH, layers=28).model
    tensors = {
        **_prefixed("model.diffusion_model.", original_flux_2(transformer.state_dict())),
        **_prefixed("vae.", original_autoencoder(vae.state_dict())),
        **_prefixed("text_encoders.qwen3_4b.transformer.model.", text.state_dict()),
    }
    for name in [name for name in tensors if "quant_conv" in name]:  # as their code has them
        inside = "decoder." if "post" in name else "encoder."
        tensors[name.replace("vae.", f"vae.{inside}")] = tensors.pop(name)
    return Built({"transformer": transformer, "vae": vae, "text_encoder": text}, tensors)


def _chroma() -> Built:
    transformer = diffusers.ChromaTransformer2DModel(
        in_channels=64,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 14, 14),
        approximator_num_channels=64,
        approximator_hidden_dim=32,
        approximator_layers=2,
    )
    vae = _autoencoder("chroma", channels=16, use_quant_conv=False, use_post_quant_conv=False)
    text = t5_encoder(WIDTH)
    tensors = {
        **_prefixed("model.diffusion_model.", original_chroma(transformer.state_dict())),
        **_prefixed("vae.", original_autoencoder(vae.state_dict())),
        **_prefixed("text_encoders.t5xxl.transformer.", original_t5(text.state_dict())),
    }
    return Built({"transformer": transformer, "vae": vae, "text_encoder": text}, tensors)


def _qwen_image() -> Built:
    transformer = diffusers.QwenImageTransformer2DModel(
        in_channels=64,
        out_channels=16,
        num_layers=2,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=2 * WIDTH,
        axes_dims_rope=(4, 14, 14),
    )
    vae = diffusers.AutoencoderKLQwenImage(base_dim=8)
    text = qwen_vl(2 * WIDTH, heads=1).model.language_model
    tensors = {
        **_prefixed("model.diffusion_model.", transformer.state_dict()),
        **_prefixed("vae.", original_qwen_autoencoder(vae.state_dict())),
        **_prefixed("text_encoders.qwen25_7b.transformer.model.", text.state_dict()),
    }
    return Built({"transformer": transformer, "vae": vae, "text_encoder": text}, tensors)


def _unet(in_channels: int, **settings: Any) -> Any:
    defaults = {
        "sample_size": 64,
        "block_out_channels": (64, 128),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 1,
        "transformer_layers_per_block": [1, 1],
    }
    return diffusers.UNet2DConditionModel(
        in_channels=in_channels, out_channels=4, **{**defaults, **settings}
    )


def _autoencoder(family: str, channels: int = 4, **settings: Any) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
        layers_per_block=1,
        **FAMILIES[family].scales,
        **settings,
    )


def _clip(kind: type, act: str) -> Any:
    return kind(
        transformers.CLIPTextConfig(
            vocab_size=49408,
            hidden_size=WIDTH,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=1,
            hidden_act=act,
            projection_dim=WIDTH,
            bos_token_id=49406,
            eos_token_id=49407,
        )
    )


def _prefixed(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + name: tensor.clone() for name, tensor in state.items()}


def _renamed(state: Mapping[str, Tensor], rules: list[tuple[str, str]]) -> State:
    """Every rule in turn, on every name."""
    found = {}
    for name, tensor in state.items():
        new = name
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        found[new] = tensor
    return found


def original_unet(state: State, layers: int = 1) -> State:
    """By the names of the latent diffusion code; so many layers in each block."""
    resnet = [
        (r"\.norm1\.", ".in_layers.0."),
        (r"\.conv1\.", ".in_layers.2."),
        (r"\.norm2\.", ".out_layers.0."),
        (r"\.conv2\.", ".out_layers.3."),
        (r"\.time_emb_proj\.", ".emb_layers.1."),
        (r"\.conv_shortcut\.", ".skip_connection."),
    ]
    places = [
        (r"^time_embedding\.linear_1", "time_embed.0"),
        (r"^time_embedding\.linear_2", "time_embed.2"),
        (r"^add_embedding\.linear_1", "label_emb.0.0"),
        (r"^add_embedding\.linear_2", "label_emb.0.2"),
        (r"^conv_in", "input_blocks.0.0"),
        (r"^conv_norm_out", "out.0"),
        (r"^conv_out", "out.2"),
        (r"^mid_block\.resnets\.0", "middle_block.0"),
        (r"^mid_block\.attentions\.0", "middle_block.1"),
        (r"^mid_block\.resnets\.1", "middle_block.2"),
    ]
    renamed: State = {}
    for name, tensor in state.items():
        inner = [] if "attentions" in name else resnet
        (new,) = _renamed({name: tensor}, inner)
        if found := re.match(r"down_blocks\.(\d+)\.(resnets|attentions)\.(\d)\.(.*)", new):
            which = 0 if found[2] == "resnets" else 1
            number = (layers + 1) * int(found[1]) + int(found[3]) + 1
            new = f"input_blocks.{number}.{which}.{found[4]}"
        elif found := re.match(r"down_blocks\.(\d+)\.downsamplers\.0\.conv\.(.*)", new):
            new = f"input_blocks.{(layers + 1) * (int(found[1]) + 1)}.0.op.{found[2]}"
        elif found := re.match(r"up_blocks\.(\d+)\.(resnets|attentions)\.(\d)\.(.*)", new):
            which = 0 if found[2] == "resnets" else 1
            number = (layers + 1) * int(found[1]) + int(found[3])
            new = f"output_blocks.{number}.{which}.{found[4]}"
        elif found := re.match(r"up_blocks\.(\d+)\.upsamplers\.0\.conv\.(.*)", new):
            attends = any(key.startswith(f"up_blocks.{found[1]}.attentions") for key in state)
            number = (layers + 1) * int(found[1]) + layers
            where = f"output_blocks.{number}.{2 if attends else 1}"
            new = f"{where}.conv.{found[2]}"
        (new,) = _renamed({new: tensor}, places)
        renamed[new] = tensor
    return renamed


def original_autoencoder(state: State) -> State:
    """By the names of the latent diffusion code."""
    blocks = len({name.split(".")[2] for name in state if name.startswith("decoder.up_blocks.")})
    rules = [
        (r"down_blocks\.(\d)\.resnets", r"down.\1.block"),
        (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
        (r"up_blocks\.(\d)\.resnets", r"up.\1.block"),
        (r"up_blocks\.(\d)\.upsamplers\.0", r"up.\1.upsample"),
        (r"mid_block\.resnets\.0", "mid.block_1"),
        (r"mid_block\.resnets\.1", "mid.block_2"),
        (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
        (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
        (r"mid_block\.attentions\.0\.to_([qkv])", r"mid.attn_1.\1"),
        (r"conv_norm_out", "norm_out"),
        (r"conv_shortcut", "nin_shortcut"),
    ]
    renamed = {}
    for name, tensor in _renamed(state, rules).items():
        new = re.sub(r"up\.(\d)\.", lambda found: f"up.{blocks - 1 - int(found[1])}.", name)
        linear = "attn_1" in new and "norm" not in new and tensor.ndim == 2
        renamed[new] = tensor[:, :, None, None] if linear else tensor
    return renamed


def original_qwen_autoencoder(state: State) -> State:
    """By the names of Qwen-Image's autoencoder, which are those of Wan's."""
    resnet = [
        (r"\.norm1\.gamma", ".residual.0.gamma"),
        (r"\.conv1\.", ".residual.2."),
        (r"\.norm2\.gamma", ".residual.3.gamma"),
        (r"\.conv2\.", ".residual.6."),
        (r"\.conv_shortcut\.", ".shortcut."),
    ]
    rules = [
        (r"mid_block\.resnets\.0", "middle.0"),
        (r"mid_block\.attentions\.0", "middle.1"),
        (r"mid_block\.resnets\.1", "middle.2"),
        (r"norm_out\.gamma", "head.0.gamma"),
        (r"conv_out", "head.2"),
        (r"conv_in", "conv1"),
        (r"^quant_conv", "conv1"),
        (r"^post_quant_conv", "conv2"),
        (r"down_blocks", "downsamples"),
    ]
    renamed: State = {}
    for name, tensor in state.items():
        inner = resnet if "resnets" in name or "down_blocks" in name else []
        (new,) = _renamed({name: tensor}, inner)
        if found := re.match(r"decoder\.up_blocks\.(\d)\.(resnets|upsamplers)\.(\d)\.(.*)", new):
            place = 4 * int(found[1]) + (int(found[3]) if found[2] == "resnets" else 3)
            new = f"decoder.upsamples.{place}.{found[4]}"
        (new,) = _renamed({new: tensor}, rules)
        renamed[new] = tensor
    return renamed


def original_open_clip(state: State) -> State:
    """By OpenCLIP's names, with one matrix for query, key and value."""
    plain = {name.removeprefix("text_model."): tensor for name, tensor in state.items()}
    rules = [
        (r"^embeddings\.token_embedding", "token_embedding"),
        (r"^embeddings\.position_embedding\.weight", "positional_embedding"),
        (r"^final_layer_norm", "ln_final"),
        (r"^encoder\.layers", "transformer.resblocks"),
        (r"layer_norm", "ln_"),
        (r"mlp\.fc1", "mlp.c_fc"),
        (r"mlp\.fc2", "mlp.c_proj"),
        (r"self_attn", "attn"),
    ]
    renamed = _renamed(plain, rules)
    for name in [name for name in renamed if ".q_proj." in name]:
        parts = [renamed.pop(name.replace("q_proj", f"{which}_proj")) for which in "qkv"]
        renamed[name.replace("q_proj.", "in_proj_")] = torch.cat(parts)
    if "text_projection.weight" in renamed:
        renamed["text_projection"] = renamed.pop("text_projection.weight").T
    return renamed


def original_t5(state: State) -> State:
    """Without the table of words that stands twice."""
    return {name: tensor for name, tensor in state.items() if "embed_tokens" not in name}


def original_sd3(state: State) -> State:
    """By the names of the code of Stable Diffusion 3."""
    state = dict(state)
    last = max(int(name.split(".")[1]) for name in state if name.startswith("transformer_blocks."))
    for stem in ("norm_out.linear", f"transformer_blocks.{last}.norm1_context.linear"):
        for suffix in ("weight", "bias"):
            scale, shift = state[f"{stem}.{suffix}"].chunk(2)
            state[f"{stem}.{suffix}"] = torch.cat([shift, scale])
    for block in range(last + 1):
        _together(
            state, f"transformer_blocks.{block}.attn", "x_block.attn", ("to_q", "to_k", "to_v")
        )
        names = ("add_q_proj", "add_k_proj", "add_v_proj")
        _together(state, f"transformer_blocks.{block}.attn", "context_block.attn", names)
        _together(
            state, f"transformer_blocks.{block}.attn2", "x_block.attn2", ("to_q", "to_k", "to_v")
        )
    rules = [
        (r"^transformer_blocks\.(\d+)\.attn2?\.((?:x|context)_block)", r"joint_blocks.\1.\2"),
        (r"^pos_embed\.pos_embed", "pos_embed"),
        (r"^pos_embed\.proj", "x_embedder.proj"),
        (r"^time_text_embed\.timestep_embedder\.linear_1", "t_embedder.mlp.0"),
        (r"^time_text_embed\.timestep_embedder\.linear_2", "t_embedder.mlp.2"),
        (r"^time_text_embed\.text_embedder\.linear_1", "y_embedder.mlp.0"),
        (r"^time_text_embed\.text_embedder\.linear_2", "y_embedder.mlp.2"),
        (r"^proj_out", "final_layer.linear"),
        (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
        (r"^transformer_blocks", "joint_blocks"),
        (r"\.attn\.norm_added_([qk])", r".context_block.attn.ln_\1"),
        (r"\.(attn2?)\.norm_([qk])\.", r".x_block.\1.ln_\2."),
        (r"\.attn\.to_add_out", ".context_block.attn.proj"),
        (r"\.(attn2?)\.to_out\.0", r".x_block.\1.proj"),
        (r"\.norm1_context\.linear", ".context_block.adaLN_modulation.1"),
        (r"\.norm1\.linear", ".x_block.adaLN_modulation.1"),
        (r"\.ff_context\.net\.0\.proj", ".context_block.mlp.fc1"),
        (r"\.ff_context\.net\.2", ".context_block.mlp.fc2"),
        (r"\.ff\.net\.0\.proj", ".x_block.mlp.fc1"),
        (r"\.ff\.net\.2", ".x_block.mlp.fc2"),
    ]
    return _renamed(state, rules)


def original_z_image(state: State) -> State:
    """By the names of the code of Z-Image."""
    rules = [
        (r"^all_(final_layer|x_embedder)\.2-1\.", r"\1."),
        (r"attention\.to_out\.0", "attention.out"),
        (r"attention\.norm_([qk])", r"attention.\1_norm"),
    ]
    renamed = _renamed(state, rules)
    for name in [name for name in renamed if ".to_q." in name]:
        parts = [renamed.pop(name.replace("to_q", f"to_{which}")) for which in "qkv"]
        renamed[name.replace("to_q", "qkv")] = torch.cat(parts)
    return renamed


def original_flux(state: State) -> State:
    """By the names of the code of FLUX.1."""
    state = dict(state)
    for name in [name for name in state if name.startswith("norm_out.linear.")]:
        scale, shift = state[name].chunk(2)
        state[name] = torch.cat([shift, scale])
    blocks = {name.rpartition(".attn.to_q")[0] for name in state if ".attn.to_q" in name}
    for block in blocks:
        names = ("to_q", "to_k", "to_v")
        if block.startswith("single"):
            _together(state, f"{block}.attn", "linear1", (*names, "../proj_mlp"), "")
        else:
            _together(state, f"{block}.attn", "img_attn", names)
            added = ("add_q_proj", "add_k_proj", "add_v_proj")
            _together(state, f"{block}.attn", "txt_attn", added)
    rules = [
        (r"^single_transformer_blocks", "single_blocks"),
        (r"^transformer_blocks", "double_blocks"),
        (r"\.attn\.(linear1|img_attn|txt_attn)", r".\1"),
        (r"^time_text_embed\.timestep_embedder\.linear_1", "time_in.in_layer"),
        (r"^time_text_embed\.timestep_embedder\.linear_2", "time_in.out_layer"),
        (r"^time_text_embed\.text_embedder\.linear_1", "vector_in.in_layer"),
        (r"^time_text_embed\.text_embedder\.linear_2", "vector_in.out_layer"),
        (r"^time_text_embed\.guidance_embedder\.linear_1", "guidance_in.in_layer"),
        (r"^time_text_embed\.guidance_embedder\.linear_2", "guidance_in.out_layer"),
        (r"^context_embedder", "txt_in"),
        (r"^x_embedder", "img_in"),
        (r"^proj_out", "final_layer.linear"),
        (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
        (r"(single_blocks\.\d+)\.norm\.linear", r"\1.modulation.lin"),
        (r"(single_blocks\.\d+)\.attn\.norm_q\.weight", r"\1.norm.query_norm.scale"),
        (r"(single_blocks\.\d+)\.attn\.norm_k\.weight", r"\1.norm.key_norm.scale"),
        (r"(single_blocks\.\d+)\.proj_out", r"\1.linear2"),
        (r"\.norm1\.linear", ".img_mod.lin"),
        (r"\.norm1_context\.linear", ".txt_mod.lin"),
        (r"\.attn\.norm_q\.weight", ".img_attn.norm.query_norm.scale"),
        (r"\.attn\.norm_k\.weight", ".img_attn.norm.key_norm.scale"),
        (r"\.attn\.norm_added_q\.weight", ".txt_attn.norm.query_norm.scale"),
        (r"\.attn\.norm_added_k\.weight", ".txt_attn.norm.key_norm.scale"),
        (r"\.ff\.net\.0\.proj", ".img_mlp.0"),
        (r"\.ff\.net\.2", ".img_mlp.2"),
        (r"\.ff_context\.net\.0\.proj", ".txt_mlp.0"),
        (r"\.ff_context\.net\.2", ".txt_mlp.2"),
        (r"\.attn\.to_out\.0", ".img_attn.proj"),
        (r"\.attn\.to_add_out", ".txt_attn.proj"),
    ]
    return _renamed(state, rules)


def original_chroma(state: State) -> State:
    """By the names of the code of Chroma: those of FLUX.1, and what stands in for modulations."""
    rules = [
        (r"^(distilled_guidance_layer\.layers\.\d+)\.linear_1", r"\1.in_layer"),
        (r"^(distilled_guidance_layer\.layers\.\d+)\.linear_2", r"\1.out_layer"),
        (r"^(distilled_guidance_layer\.norms\.\d+)\.weight", r"\1.scale"),
    ]
    return _renamed(original_flux(state), rules)


def original_flux_2(state: State) -> State:
    """By the names of the code of FLUX.2."""
    state = dict(state)
    scale, shift = state["norm_out.linear.weight"].chunk(2)
    state["norm_out.linear.weight"] = torch.cat([shift, scale])
    for block in {name.rpartition(".attn.to_q.")[0] for name in state if ".attn.to_q." in name}:
        _together(state, f"{block}.attn", "img_attn", ("to_q", "to_k", "to_v"))
        _together(state, f"{block}.attn", "txt_attn", ("add_q_proj", "add_k_proj", "add_v_proj"))
    rules = [
        (r"^single_transformer_blocks", "single_blocks"),
        (r"^transformer_blocks", "double_blocks"),
        (r"\.attn\.(img_attn|txt_attn)", r".\1"),
        (r"^time_guidance_embed\.timestep_embedder\.linear_1", "time_in.in_layer"),
        (r"^time_guidance_embed\.timestep_embedder\.linear_2", "time_in.out_layer"),
        (r"^context_embedder", "txt_in"),
        (r"^x_embedder", "img_in"),
        (r"^proj_out", "final_layer.linear"),
        (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
        (r"(_stream_modulation\w*)\.linear", r"\1.lin"),
        (r"(single_blocks\.\d+)\.attn\.norm_q\.weight", r"\1.norm.query_norm.scale"),
        (r"(single_blocks\.\d+)\.attn\.norm_k\.weight", r"\1.norm.key_norm.scale"),
        (r"(single_blocks\.\d+)\.attn\.to_qkv_mlp_proj", r"\1.linear1"),
        (r"(single_blocks\.\d+)\.attn\.to_out", r"\1.linear2"),
        (r"\.attn\.norm_q\.weight", ".img_attn.norm.query_norm.scale"),
        (r"\.attn\.norm_k\.weight", ".img_attn.norm.key_norm.scale"),
        (r"\.attn\.norm_added_q\.weight", ".txt_attn.norm.query_norm.scale"),
        (r"\.attn\.norm_added_k\.weight", ".txt_attn.norm.key_norm.scale"),
        (r"\.ff\.linear_in", ".img_mlp.0"),
        (r"\.ff\.linear_out", ".img_mlp.2"),
        (r"\.ff_context\.linear_in", ".txt_mlp.0"),
        (r"\.ff_context\.linear_out", ".txt_mlp.2"),
        (r"\.attn\.to_out\.0", ".img_attn.proj"),
        (r"\.attn\.to_add_out", ".txt_attn.proj"),
    ]
    return _renamed(state, rules)


def _together(
    state: State, block: str, new: str, names: tuple[str, ...], suffix: str = ".qkv"
) -> None:
    """Several layers in one; "../" names one beside the block."""
    for kind in ("weight", "bias"):
        olds = [
            f"{block.rpartition('.')[0]}.{name[3:]}.{kind}"
            if name.startswith("../")
            else f"{block}.{name}.{kind}"
            for name in names
        ]
        if olds[0] in state:
            state[f"{block}.{new}{suffix}.{kind}"] = torch.cat([state.pop(old) for old in olds])


def same_weights(network: nn.Module, other: nn.Module) -> bool:
    """Whether two networks hold the very same numbers."""
    ours, theirs = network.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(
        torch.equal(tensor, theirs[name].to(tensor.dtype)) for name, tensor in ours.items()
    )
