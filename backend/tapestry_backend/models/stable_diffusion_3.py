"""Stable Diffusion 3 and 3.5: three text encoders, the last of which may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..checkpoints.catalogue import inpainting_channels
from .adapters.block_residuals import residuals_3
from .adapters.control_input import ControlInput
from .flow_model import FlowModel
from .latent_model import TextEncoding
from .loading.parts import Parts

_LONGEST = 256
"""Tokens that T5 reads of a text."""


class StableDiffusion3(FlowModel):
    """A transformer that reads CLIP's states and T5's one after the other."""

    def _keep(self, parts: Parts) -> None:
        self._transformer = parts.modules["transformer"]
        self._clips = [parts.modules["text_encoder"], parts.modules["text_encoder_2"]]
        self.longest = self._transformer.config.pos_embed_max_size * self.patch
        self._has_t5 = "text_encoder_3" in parts.modules
        self.inpaints = self._transformer.config.in_channels == inpainting_channels(
            self._vae.config.latent_channels
        )

    def _ask(
        self,
        transformer: Any,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        shown: Sequence[ControlInput],
        references: Sequence[Tensor],  # noqa: ARG002  it is shown none
    ) -> Tensor:
        pooled_sizes = sum(clip.config.projection_dim for clip in self._clips)
        tokens, (pooled,) = self._unpack(conditions, pooled_sizes)
        kwargs = {
            "timestep": timestep,
            "encoder_hidden_states": tokens,
            "pooled_projections": pooled,
        }
        besides = residuals_3(shown, transformer, latents, kwargs)
        return transformer(latents, **kwargs, **besides, return_dict=False)[0]

    @torch.no_grad()
    def _encode_anew(self, text: str) -> Sequence[TextEncoding]:
        readings = [
            self._read_part(
                number,
                text,
                clip.config.max_position_embeddings,
                lambda output: (self._layer(output.hidden_states, 1), output[0]),
            )
            for number, clip in zip(("", "_2"), self._clips, strict=True)
        ]
        if self._has_t5:
            readings.append(self._read_part("_3", text, _LONGEST, lambda output: (output[0], None)))
        return readings

    def _join(
        self, states: Sequence[Tensor], readings: Sequence[TextEncoding]
    ) -> tuple[Tensor, ...]:
        width = self._transformer.config.joint_attention_dim
        clip = torch.cat([states[0], states[1]], dim=-1)
        clip = functional.pad(clip, (0, width - clip.shape[-1]))
        # A checkpoint without T5 was given nothing in its place, of the same length.
        long = states[2] if self._has_t5 else clip.new_zeros(1, _LONGEST, width)
        pooled = [reading.pooled for reading in readings if reading.pooled is not None]
        return torch.cat([clip, long], dim=1), torch.cat(pooled, dim=-1)
