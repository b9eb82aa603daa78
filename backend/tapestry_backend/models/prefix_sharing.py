"""Rows of a batch that see the same share a U-Net's first layers, which do not depend on the text.

A window's evaluations - each region's prompt, and the negative one - differ in their text alone.
The first convolution, blocks without attention, and the residual block and the self-attention that
the first text follows come before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class SharedStart:
    """Lets equal rows go through the first layers of a diffusers U-Net once."""

    def __init__(self, unet: Any) -> None:
        self._first: Tensor | None = None
        self._place: Tensor | None = None
        for module in _first_layers(unet):
            module.register_forward_pre_hook(self._take_first)
            module.register_forward_hook(self._hand_out)

    @contextmanager
    def among(self, latents: Tensor) -> Iterator[None]:
        """Share between equal rows of latents [B, C, h, w], for what is computed inside.

        Only on the processor, where rows can be compared without waiting for anything. A single
        window's few rows are left as they are: to the last bit what the plain pipeline computes.
        """
        self._first = self._place = None
        if latents.device.type == "cpu":
            places: dict[bytes, int] = {}
            rows = latents.contiguous().flatten(1).view(torch.uint8)
            place = [places.setdefault(row.numpy().tobytes(), len(places)) for row in rows]
            if 1 < len(places) < len(place):
                self._first = torch.tensor([place.index(i) for i in range(len(places))])
                self._place = torch.tensor(place)
        try:
            yield
        finally:
            self._first = self._place = None

    def _take_first(self, _module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        if self._first is None:
            return inputs
        return tuple(each[self._first] if torch.is_tensor(each) else each for each in inputs)

    def _hand_out(self, _module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return output if self._place is None else output[self._place]


def _first_layers(unet: Any) -> list[nn.Module]:
    """Those before the text comes in; none where the time embedding depends on it already."""
    other_inputs = ("addition_embed_type", "class_embed_type", "time_cond_proj_dim")
    if any(unet.config.get(name) is not None for name in other_inputs):
        return []
    layers = [unet.conv_in]
    for block in unet.down_blocks:
        attentions = getattr(block, "attentions", None)
        if attentions:
            first = attentions[0].transformer_blocks[0]
            layers.append(block.resnets[0])
            return layers if first.only_cross_attention else [*layers, first.attn1]
        layers += [*block.resnets, *(block.downsamplers or ())]
    return layers
