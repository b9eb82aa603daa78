"""ControlNets and T2I-Adapters: what they make of a picture, for a U-Net to add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
from torch import Tensor, nn

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from ...checkpoints.adapter_catalogue import misfit
from ...checkpoints.adapter_recognition import Adapter
from ...checkpoints.folder_checks import weights_variant
from ..loading.networks import check_finite_weights, load_network, sentence_for
from .control_files import load_control_file
from .control_input import ControlInput

_CLASSES = {"controlnet": "ControlNetModel", "t2i_adapter": "T2IAdapter"}
_UNION = "ControlNetUnionModel"

_SHARED_KWARGS = ("encoder_hidden_states", "added_cond_kwargs")
"""Arguments that a ControlNet shares with the U-Net."""


def load_control(adapter: Adapter, unet: Any, model_id: str, dtype: torch.dtype) -> nn.Module:
    """The network of a ControlNet or T2I-Adapter, on the processor.

    Raises TapestryError when it does not fit.
    """
    with sentence_for(partial(broken_adapter, adapter.path)):
        if adapter.path.is_file():
            network = load_control_file(adapter.path, unet, dtype)
        else:
            variant = weights_variant(adapter.path)
            name = _UNION if adapter.types else _CLASSES[adapter.kind]
            network = load_network(name, adapter.path, dtype, variant)
        check_finite_weights({} if network is None else network.state_dict())
    if network is None or not _fits(adapter, network, unet):
        raise misfit(adapter, model_id)
    return network.eval()


def residuals(
    shown: Sequence[ControlInput], latents: Tensor, timestep: Tensor, kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Further arguments of a U-Net, by name; empty where nothing is shown.

    latents [B, C, h, w], and `kwargs`: the arguments of the U-Net.
    """
    given: dict[str, Any] = {}
    for network, seen, rows, weight, mode in shown:
        pictures = seen.to(latents.device, latents.dtype) / 255
        if isinstance(network, diffusers.T2IAdapter):
            made = [weight * part[rows] for part in network(_in_channels(network, pictures))]
            _add(given, "down_intrablock_additional_residuals", made)
        else:
            down, middle = network(
                latents[:, : network.config.in_channels],
                timestep,
                conditioning_scale=weight,
                return_dict=False,
                **_seen_as(network, pictures[rows], mode),
                **{name: kwargs[name] for name in _SHARED_KWARGS if name in kwargs},
            )
            _add(given, "down_block_additional_residuals", down)
            _add(given, "mid_block_additional_residual", [middle])
    if "mid_block_additional_residual" in given:
        (given["mid_block_additional_residual"],) = given["mid_block_additional_residual"]
    return given


def _seen_as(network: Any, pictures: Tensor, mode: int | None) -> dict[str, Any]:
    """Pictures as a ControlNet takes them; one that is several in one is told their type."""
    if mode is None:
        return {"controlnet_cond": pictures}
    told = pictures.new_zeros(len(pictures), network.config.num_control_type)
    told[:, mode] = 1
    return {"controlnet_cond": [pictures], "control_type": told, "control_type_idx": [mode]}


def _add(given: dict[str, Any], name: str, made: Sequence[Tensor]) -> None:
    """Residuals of several networks add up."""
    known = given.get(name)
    given[name] = list(made) if known is None else [a + b for a, b in zip(known, made, strict=True)]


def _in_channels(network: Any, pictures: Tensor) -> Tensor:
    """Some T2I-Adapters are shown a single channel, grey."""
    return pictures.mean(dim=1, keepdim=True) if network.config.in_channels == 1 else pictures


def _fits(adapter: Adapter, network: Any, unet: Any) -> bool:
    """Whether what comes out has the sizes of what it is added to."""
    blocks = tuple(unet.config.block_out_channels)
    if adapter.kind == "t2i_adapter":
        channels = tuple(network.config.channels)
        wide = network.config.adapter_type == "full_adapter_xl"
        # A first level without attention hands on what it has made smaller, as SDXL's does.
        if wide == unet.config.down_block_types[0].startswith("CrossAttn"):
            return False
        return channels[: len(blocks)] == blocks and (wide or len(channels) == len(blocks))
    same = ("block_out_channels", "layers_per_block", "cross_attention_dim", "down_block_types")
    return all(_plain(network.config[name]) == _plain(unet.config[name]) for name in same)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def broken_adapter(path: Path, problem: str) -> TapestryError:
    """The error for an adapter whose weights are not what they should be."""
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "The adapter {name} cannot be loaded ({why}).", name=quoted(path.name), why=problem
        ),
        "Get it again if it is smaller than where it came from; otherwise choose another one.",
    )
