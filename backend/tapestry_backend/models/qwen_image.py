"""Qwen-Image: Qwen2.5-VL's states of a text, and an autoencoder made for films of one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from .adapters.control_input import ControlInput
from .autoencoder.one_frame import OneFrame
from .flow_model import FlowModel, by_length
from .latent_model import TextEncoding
from .loading.parts import Parts
from .text.chat import Template

_LONGEST = 1024
"""Tokens of a text, with the words behind it."""

_TEMPLATE = Template(
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, "
    "quantity, text, spatial relationships of the objects and background:<|im_end|>\n"
    "<|im_start|>user\n",
    "<|im_end|>\n<|im_start|>assistant\n",
)
_BEFORE = 34
"""Tokens before a text, which the transformer does not see."""

_PLACES = 4096
"""Places along a side, counted from its middle, and of texts behind them."""


class QwenImage(FlowModel):
    """A transformer over the autoencoder's 2 x 2 cells, which are one cell here.

    What guidance makes of a cell is as long as what its own prompt wanted of it.
    """

    knows_clip_skip = False
    places_in_texts = True
    packed = 2
    patch = 1
    evenly = True
    inpaints = False
    longest = 2 * (_PLACES - _LONGEST)

    def _keep(self, parts: Parts) -> None:
        self._transformer = parts.modules["transformer"]

    @property
    def guidance_rescale(self) -> Literal["cells"]:
        return "cells"

    def _for_pictures(self, vae: Any) -> OneFrame:
        return OneFrame(vae)

    def _ask(
        self,
        transformer: Any,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        shown: Sequence[ControlInput],  # noqa: ARG002  no control network is run for it here
        references: Sequence[Tensor],  # noqa: ARG002  it is shown none
    ) -> Tensor:
        sides = latents.shape[-2:]
        seen = latents.flatten(2).transpose(1, 2)

        def ask(numbers: Sequence[int], tokens: Tensor) -> Tensor:
            return transformer(
                seen[numbers],
                encoder_hidden_states=tokens,
                timestep=timestep[numbers].to(latents.dtype) / 1000,
                img_shapes=[[(1, *sides)]] * len(numbers),
                return_dict=False,
            )[0]

        made = by_length(ask, self._texts_of(conditions))
        return made.transpose(1, 2).unflatten(2, sides)

    @torch.no_grad()
    def _encode_anew(self, text: str) -> Sequence[TextEncoding]:
        read = self._read_chat(text, _TEMPLATE, _BEFORE + _LONGEST, lambda layers: layers[-1])
        return [read._replace(states=read.states[:, _BEFORE:], offsets=read.offsets[_BEFORE:])]

    def _read_nothing(self) -> Sequence[TextEncoding]:
        return self._ends_of_nothing()
