"""Z-Image: a transformer that reads patches and text as one row, and Qwen3's states of the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .adapters.block_residuals import residuals_z
from .adapters.control_input import ControlInput
from .flow_model import FlowModel
from .latent_model import TextEncoding
from .loading.parts import Parts
from .text.chat import Template

_LONGEST = 512
"""Tokens of a text, with the words around it."""

_TEMPLATE = Template("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")


class ZImage(FlowModel):
    """A transformer over 2 x 2 cells, whose places follow those of the text's tokens.

    It counts time from noise to picture, and predicts the way back.
    """

    knows_clip_skip = False
    places_in_texts = True
    evenly = True
    inpaints = False

    def _keep(self, parts: Parts) -> None:
        self._transformer = parts.modules["transformer"]
        self.longest = min(self._transformer.config.axes_lens[1:]) * self.patch

    @property
    def _width(self) -> int:
        return int(self._transformer.config.dim)

    def _ask(
        self,
        transformer: Any,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        shown: Sequence[ControlInput],
        references: Sequence[Tensor],  # noqa: ARG002  it is shown none
    ) -> Tensor:
        pictures = list(latents[:, :, None].unbind())
        time = (1000 - timestep) / 1000
        texts = self._texts_of(conditions)
        besides = residuals_z(shown, transformer, latents, time, texts)
        made = transformer(pictures, time, texts, **besides, return_dict=False)[0]
        return -torch.stack(list(made))[:, :, 0]

    @torch.no_grad()
    def _encode_anew(self, text: str) -> Sequence[TextEncoding]:
        return [self._read_chat(text, _TEMPLATE, _LONGEST, lambda layers: layers[-2])]
