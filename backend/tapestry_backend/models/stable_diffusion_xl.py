"""Stable Diffusion XL: two text encoders, the text as a whole, and sizes as conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..engine.multidiffusion import WindowContext
from .latent_model import TextEncoding
from .loading.parts import Parts
from .stable_diffusion import StableDiffusion
from .text.text_chunks import MOST_CHUNKS, in_a_row


class StableDiffusionXL(StableDiffusion):
    """A U-Net that reads two encoders' states, side by side, and the second one's whole text.

    It also takes the size of the picture that a window was cut from, and where. By default each
    window is a picture of its own; a framed one has its place in the canvas (see `WindowContext`).
    """

    def _keep(self, parts: Parts) -> None:
        super()._keep(parts)
        self._text_encoder_2: Any = parts.modules["text_encoder_2"]
        self._nothing_is_zero = bool(self._options.get("force_zeros_for_empty_prompt"))

    def _model_kwargs(
        self, latents: Tensor, conditions: Tensor, contexts: Sequence[WindowContext]
    ) -> dict[str, Any]:
        pooled_size = self._text_encoder_2.config.projection_dim
        tokens, (pooled, *vectors) = self._unpack(conditions, pooled_size)
        height, width = latents.shape[-2:]
        sizes = [self._sizes(height, width, context) for context in contexts]
        if not sizes:
            sizes = [self._sizes(height, width, None)] * len(latents)
        return {
            "encoder_hidden_states": tokens,
            "added_cond_kwargs": {
                "text_embeds": pooled,
                "time_ids": torch.tensor(sizes, dtype=torch.float32, device=self.device),
            },
            **self._guidance_kwargs(vectors),
        }

    def _sizes(self, height: int, width: int, context: WindowContext | None) -> list[float]:
        """The original's height and width, the crop's top and left, its own size: in pixels."""
        original, top, left = (height, width), 0, 0
        if context is not None and context.framed:
            original, top, left = context.canvas, context.window.top, context.window.left
        cells = (*original, top, left, height, width)
        return [float(side * self.cell_px) for side in cells]

    def _encode_anew(self, text: str) -> Sequence[TextEncoding]:
        return [self._read_part(name, text) for name in ("", "_2")]

    def _read_part(self, number: str, text: str) -> TextEncoding:
        """The states before the last layer, and its pooled embedding."""
        name = f"text_encoder{number}"
        part: Any = getattr(self, f"_{name}")
        longest = part.config.max_position_embeddings
        chunks = self._chunks(f"tokenizer{number}", text, longest, MOST_CHUNKS)
        ids = chunks.ids.to(self.device)
        output = self._parts.run(name, lambda part: part(ids, output_hidden_states=True))
        # Of a text in chunks, the first one has the pooled embedding.
        pooled = output[0][:1].to(self.dtype) if output[0].ndim == 2 else None
        states = in_a_row(self._layer(output.hidden_states, 1).to(self.dtype))
        return TextEncoding(states, chunks.offsets, pooled, chunks.unread)

    def _encode_prompt(self, prompt: str) -> tuple[Tensor, ...]:
        encoded = super()._encode_prompt(prompt)
        if prompt or not self._nothing_is_zero:
            return encoded
        return tuple(torch.zeros_like(part) for part in encoded)  # as it was trained

    def _join(
        self, states: Sequence[Tensor], readings: Sequence[TextEncoding]
    ) -> tuple[Tensor, ...]:
        pooled = readings[-1].pooled
        if pooled is None:
            raise TypeError("the second text encoder says nothing about a text as a whole")
        return torch.cat(self._as_long(states), dim=-1), pooled

    def _as_long(self, states: Sequence[Tensor]) -> list[Tensor]:
        """Where one encoder takes more chunks (by its words of an embedding), nothing follows."""
        longest = max(each.shape[1] for each in states)
        filled = []
        for each, nothing in zip(states, self._read(""), strict=True):
            missing = (longest - each.shape[1]) // nothing.states.shape[1]
            filled.append(torch.cat([each, nothing.states.repeat(1, missing, 1)], dim=1))
        return filled
