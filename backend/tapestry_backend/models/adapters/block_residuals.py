"""ControlNets of transformers: what they make of a picture, for each block to add.

Most of them are shown latents of the picture, as the transformer is given those of its own; some
are shown its pixels. They have fewer blocks than the transformer: each block of theirs stands for
several of its.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...checkpoints.adapter_catalogue import misfit
from ...checkpoints.adapter_recognition import Adapter
from ...checkpoints.folder_checks import weights_variant
from ..loading.networks import load_network, sentence_for
from .block_fits import FITS, sees_pixels
from .control_input import ControlInput
from .residuals import broken_adapter

_CLASSES = {
    "sd3": "SD3ControlNetModel",
    "flux": "FluxControlNetModel",
    "z_image": "ZImageControlNetModel",
    "qwen_image": "QwenImageControlNetModel",
}
BLOCK_FAMILIES = frozenset(_CLASSES)
"""The families whose control networks add residuals to the blocks of a transformer."""

_FIRST_LAYERS = (
    *("t_scale", "t_embedder", "all_x_embedder", "cap_embedder", "rope_embedder"),
    *("noise_refiner", "context_refiner", "x_pad_token", "cap_pad_token"),
)
"""What Z-Image's networks take from its transformer, by diffusers' names."""


def load_block_control(
    adapter: Adapter,
    networks: Mapping[str, nn.Module],
    model_id: str,
    dtype: torch.dtype,
) -> nn.Module:
    """The network of a transformer's ControlNet; raises TapestryError when it does not fit.

    It is on the processor yet.
    """
    transformer: Any = networks.get("transformer")
    with sentence_for(partial(broken_adapter, adapter.path)):
        variant = weights_variant(adapter.path)
        network = load_network(_CLASSES[adapter.family], adapter.path, dtype, variant)
    if transformer is None or not FITS[adapter.family](network, transformer, networks["vae"]):
        raise misfit(adapter, model_id)
    if getattr(network, "pos_embed", None) is None and hasattr(transformer, "pos_embed"):
        network.pos_embed = copy.deepcopy(transformer.pos_embed).to(dtype)
    return network.eval()


def sees_unshifted(network: Any) -> bool:
    """Whether the latents that a network is shown are scaled alone, not shifted as the model's."""
    return bool(network.config.get("force_zeros_for_pooled_projection"))


def residuals_3(
    shown: Sequence[ControlInput], transformer: Any, latents: Tensor, kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Further arguments of Stable Diffusion 3's transformer; empty where nothing is shown.

    latents [B, C, h, w], `kwargs`: the arguments of the transformer. Of each shown picture: its
    latents [K, C, h, w].
    """

    def ask(asked: ControlInput, seen: Tensor) -> list[list[Tensor]]:
        network, own = asked.network, dict(kwargs)
        if sees_unshifted(network):
            own["pooled_projections"] = torch.zeros_like(own["pooled_projections"])
        if network.config.joint_attention_dim is None:
            own["encoder_hidden_states"] = None
        given = latents[:, : network.config.in_channels]
        made = network(given, seen, conditioning_scale=asked.weight, **own, return_dict=False)[0]
        depth = len(transformer.transformer_blocks)
        return [[made[int(i / (depth / len(made)))] for i in range(depth)]]

    added = _sum(shown, latents, ask)
    return {"block_controlnet_hidden_states": added[0]} if added else {}


def residuals_flux(
    shown: Sequence[ControlInput], transformer: Any, patches: Tensor, kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The same for FLUX.1: patches [B, T, C] instead of latents, also of what is shown.

    Pictures that are shown as pixels are [K, 3, H, W].
    """
    depths = len(transformer.transformer_blocks), len(transformer.single_transformer_blocks)

    def ask(asked: ControlInput, seen: Tensor) -> list[list[Tensor]]:
        network, own = asked.network, dict(kwargs)
        if asked.mode is not None:
            own["controlnet_mode"] = torch.full((len(seen), 1), asked.mode, device=seen.device)
        if not network.config.guidance_embeds:
            own["guidance"] = None
        given = patches[..., : network.config.in_channels]
        made = network(given, seen, conditioning_scale=asked.weight, **own, return_dict=False)
        return [
            _spread(blocks or [], depth, in_turn=sees_pixels(network) and number == 0)
            for number, (blocks, depth) in enumerate(zip(made, depths, strict=True))
        ]

    added = _sum(shown, patches, ask)
    names = "controlnet_block_samples", "controlnet_single_block_samples"
    return {name: blocks for name, blocks in zip(names, added, strict=False) if blocks}


def residuals_qwen(
    shown: Sequence[ControlInput], transformer: Any, cells: Tensor, kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The same for Qwen-Image: cells [B, T, C], also of what is shown."""
    depth = len(transformer.transformer_blocks)

    def ask(asked: ControlInput, seen: Tensor) -> list[list[Tensor]]:
        own = {"conditioning_scale": asked.weight, "return_dict": False}
        made = asked.network(cells, seen, **kwargs, **own)
        return [_spread(made, depth, in_turn=False)]

    added = _sum(shown, cells, ask)
    return {"controlnet_block_samples": added[0]} if added else {}


def residuals_z(
    shown: Sequence[ControlInput],
    transformer: Any,
    latents: Tensor,
    time: Tensor,
    texts: Sequence[Tensor],
) -> dict[str, Any]:
    """The same for Z-Image: latents [B, C, h, w], time [B] and a text for each row.

    Its networks read texts and latents with the transformer's own first layers.
    """
    total: dict[int, Tensor] = {}
    for network, pictures, rows, weight, _ in shown:
        seen = pictures.to(latents)[rows]
        more = network.config.control_in_dim - seen.shape[1]
        given = functional.pad(seen, (0, 0, 0, 0, 0, more))[:, :, None]  # a mask that hides nothing
        own = list(latents[:, :, None].unbind())
        with _first_layers_of(transformer, network, latents):
            made = network(own, time, texts, list(given.unbind()), conditioning_scale=weight)
        for layer, residual in made.items():
            total[layer] = residual + total[layer] if layer in total else residual
    return {"controlnet_block_samples": total} if total else {}


@contextmanager
def _first_layers_of(transformer: Any, network: Any, latents: Tensor) -> Iterator[None]:
    """Inside, a network has the transformer's first layers; else it is moved and kept alone."""
    for name in _FIRST_LAYERS:
        part = getattr(transformer, name)
        setattr(network, name, part.to(latents) if isinstance(part, Tensor) else part)
    try:
        yield
    finally:
        for name in _FIRST_LAYERS:
            setattr(network, name, None)


def _spread(blocks: Sequence[Tensor], depth: int, *, in_turn: bool) -> list[Tensor]:
    """The residual for each of a transformer's `depth` blocks, from a network with fewer blocks.

    As FLUX.1 assigns them: in_turn repeats them all, 1 2 1 2; otherwise each serves for several
    blocks in a row, 1 1 2 2. Empty where the network has none.
    """
    if not blocks:
        return []
    each = math.ceil(depth / len(blocks))
    return [blocks[i % len(blocks) if in_turn else i // each] for i in range(depth)]


def _sum(
    shown: Sequence[ControlInput],
    latents: Tensor,
    ask: Callable[[ControlInput, Tensor], list[list[Tensor]]],
) -> list[list[Tensor]]:
    """The residuals of several networks, added block by block."""
    total: list[list[Tensor]] = []
    for asked in shown:
        made = ask(asked, asked.pictures.to(latents)[asked.rows])
        total = [_added(*both) for both in zip(total, made, strict=True)] if total else made
    return total


def _added(blocks: list[Tensor], others: list[Tensor]) -> list[Tensor]:
    """The sum of two lists of residuals, of which either may be empty."""
    if not blocks or not others:
        return blocks or others
    return [a + b for a, b in zip(blocks, others, strict=True)]
