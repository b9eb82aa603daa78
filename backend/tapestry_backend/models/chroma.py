"""Chroma: a pruned FLUX.1 that reads T5 alone, and is guided in truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .adapters.control_input import ControlInput
from .flow_model import FlowModel, by_length, rows_by_length
from .flux import cells, image_ids, patches
from .latent_model import TextEncoding
from .loading.parts import Parts
from .text.text_chunks import chunks_of

_LONGEST = 512
"""Tokens that T5 reads of a text."""


class Chroma(FlowModel):
    """A transformer over 2 x 2 cells, which sees a text's tokens and one behind them.

    What else would fill the text up is left out, as it was in training; diffusers' own pipeline
    only makes it count less.
    """

    knows_clip_skip = False
    places_in_texts = True
    evenly = True
    inpaints = False

    def _keep(self, parts: Parts) -> None:
        self._transformer = parts.modules["transformer"]

    def _ask(
        self,
        transformer: Any,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        shown: Sequence[ControlInput],  # noqa: ARG002  no control network is made for it
        references: Sequence[Tensor],  # noqa: ARG002  it is shown none
    ) -> Tensor:
        rows, columns = (side // self.patch for side in latents.shape[-2:])
        seen = patches(latents, self.patch)

        def ask(numbers: Sequence[int], tokens: Tensor) -> Tensor:
            return transformer(
                seen[numbers],
                encoder_hidden_states=tokens,
                timestep=timestep[numbers].to(latents.dtype) / 1000,
                txt_ids=tokens.new_zeros(tokens.shape[1], 3),
                img_ids=image_ids(rows, columns).to(tokens),
                return_dict=False,
            )[0]

        return cells(by_length(ask, self._texts_of(conditions)), rows, columns, self.patch)

    def _asked_together(self, conditions: Tensor) -> list[list[int]]:
        return rows_by_length(self._texts_of(conditions))

    @torch.no_grad()
    def _encode_anew(self, text: str) -> Sequence[TextEncoding]:
        chunks = chunks_of(self._tokenizers["tokenizer"], text, _LONGEST)
        kept = slice(int(chunks.attended.sum()) + 1)
        ids, attended = (
            values[:, kept].to(self.device) for values in (chunks.ids, chunks.attended)
        )
        states = self._parts.run("text_encoder", lambda part: part(ids, attention_mask=attended)[0])
        return [TextEncoding(states.to(self.dtype), chunks.offsets[kept], None, chunks.unread)]
