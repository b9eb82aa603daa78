"""Makes of a loaded model another one that differs from it by a small file.

What is bundled like that is an InstructPix2Pix (Brooks et al. 2023), whose U-Net sees a picture
besides. See `checkpoints.difference_file` for what the file holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from tapestry_protocol.sentences import Sentence, quoted

from ...checkpoints.difference_file import (
    FIRST_LAYER,
    NETWORKS,
    SCALE,
    broken_difference,
    check_difference,
)
from ...checkpoints.safetensors_header import BrokenFileError
from .networks import check_finite_weights

_ZERO = 8
"""What stands for no difference, of 0 to 15."""
_LARGEST = 7
_CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of a row's largest number that are tried as the largest that is told exactly."""


def packed(difference: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix [R, ...] in four bits: bytes [R, columns / 2, rounded up], and scales [R].

    Of each row the scale that keeps its numbers best.
    """
    flat = difference.flatten(1).float()
    most = flat.abs().amax(dim=1).clamp(min=1e-6)
    scales = torch.stack([(most * clip / _LARGEST).half().float() for clip in _CLIPS])
    numbers = (flat / scales[..., None]).round().clamp(-_LARGEST, _LARGEST)
    errors = (numbers * scales[..., None] - flat).square().sum(dim=2)
    best, rows = errors.argmin(dim=0), torch.arange(len(flat))
    found = (numbers[best, rows] + _ZERO).to(torch.uint8)
    if found.shape[1] % 2:
        found = torch.cat([found, torch.full((len(found), 1), _ZERO, dtype=torch.uint8)], dim=1)
    return found[:, ::2] + 16 * found[:, 1::2], scales[best, rows].half()


def unpacked(stored: Tensor, scales: Tensor, like: Tensor) -> Tensor:
    """The matrix that `packed` was given, nearly, in the shape of `like`.

    Raises RuntimeError when it has another one.
    """
    numbers = torch.stack([stored % 16, stored // 16], dim=2).flatten(1).float() - _ZERO
    columns = like[0].numel()
    if numbers.shape[1] != columns + columns % 2 or len(scales) != len(like):
        raise RuntimeError("another number of rows or columns")
    return (numbers[:, :columns] * scales.float()[:, None]).reshape(like.shape)


def put_difference(networks: Mapping[str, Any], path: Path) -> None:
    """Change the U-Net and the text encoder of a model in place.

    Raises TapestryError when the file is none, or does not fit.
    """
    check_difference(path, 2 * networks["unet"].config.in_channels)
    tensors = safetensors.torch.load_file(path)
    try:
        check_finite_weights(tensors)
        _put(networks, tensors)
    except BrokenFileError as error:
        raise broken_difference(path, error.problem) from error


def _put(networks: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
    _replace_first_layer(networks["unet"], tensors)
    for name in NETWORKS:
        for place, own in networks[name].named_parameters():
            if not f"{name}.{place}".startswith(FIRST_LAYER):
                own.data = (_difference(tensors, f"{name}.{place}", own) + own).to(own.dtype)
    if tensors:
        raise BrokenFileError(
            Sentence("{name} belongs to no layer", name=quoted(min(tensors)[:60]))
        )


def _difference(tensors: dict[str, Tensor], name: str, own: Tensor) -> Tensor:
    """That of one parameter, which is taken out of the file's."""
    try:
        stored = tensors.pop(name)
        if own.ndim > 1:
            return unpacked(stored, tensors.pop(name + SCALE), own)
        return stored.float().reshape(own.shape)
    except KeyError as error:
        raise BrokenFileError(Sentence("{file} is missing", file=str(error.args[0]))) from error
    except (RuntimeError, IndexError) as error:
        raise BrokenFileError(
            Sentence("{name} does not fit the model", name=quoted(name[:60]))
        ) from error


def _replace_first_layer(unet: Any, tensors: dict[str, Tensor]) -> None:
    weight = tensors.pop(f"{FIRST_LAYER}weight")
    bias = tensors.pop(f"{FIRST_LAYER}bias", weight.new_zeros(0))
    first: Any = unet.conv_in
    if weight[:, : first.in_channels].shape != first.weight.shape or len(bias) != len(weight):
        raise BrokenFileError(
            Sentence("{name} does not fit the model", name=quoted(f"{FIRST_LAYER}weight"))
        )
    sizes = first.kernel_size, first.stride, first.padding
    layer: Any = nn.Conv2d(weight.shape[1], weight.shape[0], *sizes)
    layer.weight.data, layer.bias.data = (part.to(first.weight.dtype) for part in (weight, bias))
    unet.conv_in = layer
    unet.register_to_config(in_channels=weight.shape[1])
