"""Words that look at their places (Collage Diffusion, Sarukkai et al. 2023).

Where a U-Net draws what a prompt says is decided by its attention to the words. A bias of these
scores draws each prompt of several to its place, and keeps it out of all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..engine.composition import area_mean
from ..engine.windows import Size


@contextmanager
def attention_biased(unet: nn.Module, biases: Tensor, lengths: Sequence[int]) -> Iterator[None]:
    """Inside, batches of B rows attend to their prompts by scores with these biases added.

    biases [B, P, h, w]: for each prompt at each of a window's cells; `exp` of one says how many
    times as much the prompt counts there. lengths: the tokens of each of the P prompts.
    """
    changed: list[tuple[Any, Any]] = []
    try:
        for name, module in unet.named_modules():
            if name.endswith("attn2"):
                changed.append((module, module.processor))
                module.processor = _Biased(module.processor, biases, lengths)
        yield
    finally:
        for module, processor in changed:
            module.processor = processor


class _Biased:
    """A processor of diffusers' `Attention` to words, for a batch with biases."""

    def __init__(self, plain: Any, biases: Tensor, lengths: Sequence[int]) -> None:
        self._plain = plain
        self._biases = biases
        self._lengths = torch.tensor(lengths, device=biases.device)

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """As the plain processor: hidden states [B, N, D], of the words [B, T, E]."""
        biases = _at_positions(self._biases, hidden_states.shape[1])
        mask = biases.repeat_interleave(self._lengths, dim=2)
        # Beside a longer prompt the whole is repeated; attention does not notice.
        mask = mask.repeat(1, 1, encoder_hidden_states.shape[1] // mask.shape[2])
        mask = mask.to(hidden_states.dtype)
        if attention_mask is not None:
            mask = mask + attention_mask
        return self._plain(attn, hidden_states, encoder_hidden_states, mask, **kwargs)


def _at_positions(biases: Tensor, count: int) -> Tensor:
    """Biases [B, P, h, w] for the positions of a layer, [B, count, P]: its sides are halved ones.

    Halved upwards, as the U-Net's convolutions do it.
    """
    height, width = biases.shape[-2:]
    while height * width > count:
        height, width = -(-height // 2), -(-width // 2)
    return area_mean(biases, Size(height, width)).flatten(2).transpose(1, 2)
