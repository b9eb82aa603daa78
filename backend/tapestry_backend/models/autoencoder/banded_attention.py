"""An autoencoder's attention over a large picture, a band of its cells at a time.

Its one head is as wide as the picture has channels, too wide for the kernels that never write the
scores down: plain maths would hold a number for every pair of cells, 155 GiB of a picture of
16384 x 512 pixels. Each cell's answer needs its own row of them alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import QwenImageAttentionBlock
from torch import Tensor, nn
from torch.nn import functional

_MOST_SCORES = 2**28
"""Held at once, of all pictures of a batch; up to here attention is computed as a whole."""


class BandedAttention:
    """Takes the place of diffusers' own processor; the same numbers but for their rounding.

    most_scores: how many pairs of cells are compared at once.
    """

    def __init__(self, most_scores: int = _MOST_SCORES) -> None:
        self._most = most_scores
        self._whole = AttnProcessor2_0()

    def __call__(
        self,
        attention: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """[B, C, H, W] -> as many; an autoencoder passes nothing else."""
        batch, channels, height, width = hidden_states.shape
        row = batch * attention.heads * height * width
        if row * height * width <= self._most:
            return self._whole(
                attention, hidden_states, encoder_hidden_states, attention_mask, temb
            )
        cells = hidden_states.flatten(2)
        if attention.group_norm is not None:
            cells = attention.group_norm(cells)
        cells = cells.transpose(1, 2)
        keys, values = (_heads(attention, made(cells)) for made in (attention.to_k, attention.to_v))
        answers = torch.empty_like(cells)
        for start in range(0, cells.shape[1], max(1, self._most // row)):
            band = slice(start, start + max(1, self._most // row))
            asked = _heads(attention, attention.to_q(cells[:, band]))
            answer = functional.scaled_dot_product_attention(asked, keys, values)
            answers[:, band] = attention.to_out[0](answer.transpose(1, 2).flatten(2))
        made = answers.transpose(1, 2).reshape(batch, channels, height, width)
        if attention.residual_connection:
            made = made + hidden_states
        return made / attention.rescale_output_factor


def attend_in_bands(autoencoder: nn.Module, most_scores: int = _MOST_SCORES) -> None:
    """Have the attention of an autoencoder compare so many pairs of cells at once."""
    for module in autoencoder.modules():
        attention: Any = module
        if isinstance(module, QwenImageAttentionBlock):
            attention.forward = partial(_attend_film, module, most_scores)
        plain = isinstance(module, Attention) and attention.spatial_norm is None
        if plain and type(attention.processor) in {AttnProcessor2_0, BandedAttention}:
            attention.set_processor(BandedAttention(most_scores))


def _attend_film(block: Any, most_scores: int, film: Tensor) -> Tensor:
    """What the attention block of an autoencoder for films makes of [B, C, T, H, W]."""
    batch, _, time, height, width = film.shape
    row = batch * time * height * width
    if row * height * width <= most_scores:
        return type(block).forward(block, film)
    frames = film.transpose(1, 2).flatten(0, 1)
    cells = block.to_qkv(block.norm(frames)).flatten(2).transpose(1, 2)[:, None]
    queries, keys, values = (part.contiguous() for part in cells.chunk(3, dim=-1))
    answers = [
        functional.scaled_dot_product_attention(asked, keys, values)
        for asked in queries.split(max(1, most_scores // row), dim=2)
    ]
    made = torch.cat(answers, dim=2)[:, 0].transpose(1, 2).unflatten(2, (height, width))
    return film + block.proj(made).unflatten(0, (batch, time)).transpose(1, 2)


def _heads(attention: Any, tokens: Tensor) -> Tensor:
    return tokens.unflatten(-1, (attention.heads, -1)).transpose(1, 2)
