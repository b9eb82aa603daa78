"""ControlNets of transformers: what they make of a picture, for each block to add.

Most of them are shown latents of the picture, as the transformer is given those of its own; some
are shown its pixels. They have fewer blocks than the transformer: each block of theirs stands for
several of its.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import diffusers
import torch
from torch import Tensor, nn

from ...checkpoints.adapter_catalogue import misfit
from ...checkpoints.adapter_recognition import Adapter
from ...checkpoints.folder_checks import weights_variant
from ..loading.networks import load_network, sentence_for
from .control_input import ControlInput
from .residuals import broken_adapter

_CLASSES = {"sd3": "SD3ControlNetModel", "flux": "FluxControlNetModel"}
BLOCK_FAMILIES = frozenset(_CLASSES)
"""The families whose control networks add residuals to the blocks of a transformer."""

_HINT_PX = 8
"""Pixels on a side of a cell, to a network that is shown pixels."""


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
    fits = {"sd3": _fits_3, "flux": _fits_flux}[adapter.family]
    if transformer is None or not fits(network, transformer, networks["vae"]):
        raise misfit(adapter, model_id)
    if getattr(network, "pos_embed", None) is None:
        network.pos_embed = copy.deepcopy(transformer.pos_embed).to(dtype)
    return network.eval()


def sees_pixels(network: Any) -> bool:
    """Whether a network is shown a picture's pixels, in -1..1, and not its latents."""
    return getattr(network, "input_hint_block", None) is not None


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

    def ask(network: Any, seen: Tensor, weight: float) -> list[list[Tensor]]:
        own = dict(kwargs)
        if sees_unshifted(network):
            own["pooled_projections"] = torch.zeros_like(own["pooled_projections"])
        if network.config.joint_attention_dim is None:
            own["encoder_hidden_states"] = None
        given = latents[:, : network.config.in_channels]
        made = network(given, seen, conditioning_scale=weight, **own, return_dict=False)[0]
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

    def ask(network: Any, seen: Tensor, weight: float) -> list[list[Tensor]]:
        own = dict(kwargs)
        if not network.config.guidance_embeds:
            own["guidance"] = None
        given = patches[..., : network.config.in_channels]
        made = network(given, seen, conditioning_scale=weight, **own, return_dict=False)
        return [
            _spread(blocks or [], depth, in_turn=sees_pixels(network) and number == 0)
            for number, (blocks, depth) in enumerate(zip(made, depths, strict=True))
        ]

    added = _sum(shown, patches, ask)
    names = "controlnet_block_samples", "controlnet_single_block_samples"
    return {name: blocks for name, blocks in zip(names, added, strict=False) if blocks}


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
    ask: Callable[[Any, Tensor, float], list[list[Tensor]]],
) -> list[list[Tensor]]:
    """The residuals of several networks, added block by block."""
    total: list[list[Tensor]] = []
    for network, pictures, rows, weight in shown:
        made = ask(network, pictures.to(latents)[rows], weight)
        total = [_added(*both) for both in zip(total, made, strict=True)] if total else made
    return total


def _added(blocks: list[Tensor], others: list[Tensor]) -> list[Tensor]:
    """The sum of two lists of residuals, of which either may be empty."""
    if not blocks or not others:
        return blocks or others
    return [a + b for a, b in zip(blocks, others, strict=True)]


def _fits_3(network: Any, transformer: Any, _vae: Any) -> bool:
    """Whether what comes out has the sizes of what it is added to."""
    if not isinstance(transformer, diffusers.SD3Transformer2DModel):
        return False
    ours, theirs = network.config, transformer.config
    if network.pos_embed is None:  # it says where patches lie as the transformer does
        placed = theirs.in_channels == ours.in_channels
    else:
        placed = ours.pos_embed_max_size >= theirs.pos_embed_max_size
    return (
        placed
        and network.inner_dim == transformer.inner_dim
        and ours.in_channels == theirs.out_channels
        and ours.patch_size == theirs.patch_size
        and ours.joint_attention_dim in {None, theirs.joint_attention_dim}
        and ours.pooled_projection_dim == theirs.pooled_projection_dim
    )


def _fits_flux(network: Any, transformer: Any, vae: Any) -> bool:
    if not isinstance(transformer, diffusers.FluxTransformer2DModel):
        return False
    ours, theirs = network.config, transformer.config
    patch_px = 2 * 2 ** (len(vae.config.block_out_channels) - 1)
    return (
        network.inner_dim == transformer.inner_dim
        and ours.in_channels == transformer.out_channels
        and ours.joint_attention_dim == theirs.joint_attention_dim
        and ours.pooled_projection_dim == theirs.pooled_projection_dim
        and (not sees_pixels(network) or _HINT_PX * ours.patch_size == patch_px)
    )
