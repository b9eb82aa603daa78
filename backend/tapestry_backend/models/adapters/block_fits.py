"""Whether a transformer's ControlNet is of its build, by the sizes of what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diffusers

_HINT_PX = 8
"""Pixels on a side of a cell, to a network that is shown pixels."""


def sees_pixels(network: Any) -> bool:
    """Whether a network is shown a picture's pixels, in -1..1, and not its latents."""
    return getattr(network, "input_hint_block", None) is not None


def _fits_3(network: Any, transformer: Any, _vae: Any) -> bool:
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


def _fits_qwen(network: Any, transformer: Any, _vae: Any) -> bool:
    if not isinstance(transformer, diffusers.QwenImageTransformer2DModel):
        return False
    ours, theirs = network.config, transformer.config
    return (
        network.inner_dim == transformer.inner_dim
        and ours.in_channels == theirs.in_channels
        and ours.joint_attention_dim == theirs.joint_attention_dim
        and tuple(ours.axes_dims_rope) == tuple(theirs.axes_dims_rope)
        and len(network.transformer_blocks) <= len(transformer.transformer_blocks)
    )


def _fits_z(network: Any, transformer: Any, _vae: Any) -> bool:
    if not isinstance(transformer, diffusers.ZImageTransformer2DModel):
        return False
    ours, theirs = network.config, transformer.config
    return (
        ours.dim == theirs.dim
        and ours.n_heads == theirs.n_heads
        and ours.n_kv_heads == theirs.n_kv_heads
        and ours.n_refiner_layers == theirs.n_refiner_layers
        and ours.control_in_dim >= theirs.in_channels
        and max(ours.control_layers_places) < len(transformer.layers)
    )


FITS: Mapping[str, Callable[[Any, Any, Any], bool]] = {
    "sd3": _fits_3,
    "flux": _fits_flux,
    "qwen_image": _fits_qwen,
    "z_image": _fits_z,
}
"""By family: network, transformer and autoencoder -> whether the first fits the others."""
