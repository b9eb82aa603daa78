"""FLUX.1: T5's states, CLIP's word about the whole text, and guidance as an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .adapters.block_fits import sees_pixels
from .adapters.block_residuals import residuals_flux
from .adapters.control_input import ControlInput
from .flow_model import FlowModel
from .latent_model import TextEncoding
from .loading.parts import Parts

_LONGEST, _LONGEST_UNGUIDED = 512, 256
"""Tokens that T5 reads of a text; those of "schnell", as it was trained."""


class Flux(FlowModel):
    """A transformer over 2 x 2 cells, each known by its row and column in the window.

    Guidance is distilled into it ("dev"), or it needs none ("schnell"); either way there is nothing
    negative. One that fills ("Fill") sees mask and masked picture behind the latents; one that
    edits ("Kontext") sees a picture's patches behind those that it paints.
    """

    knows_clip_skip = False

    evenly = True
    distilled = True

    def _keep(self, parts: Parts) -> None:
        self._transformer = parts.modules["transformer"]
        self._text_encoder: Any = parts.modules["text_encoder"]
        plain = self._vae.config.latent_channels * self.patch**2
        self.inpaints = self._transformer.config.in_channels != plain

    def _ask(
        self,
        transformer: Any,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        shown: Sequence[ControlInput],
        references: Sequence[Tensor],
    ) -> Tensor:
        tokens, (pooled, guidance) = self._unpack(conditions, self._text_encoder.config.hidden_size)
        rows, columns = (side // self.patch for side in latents.shape[-2:])
        kwargs: dict[str, Any] = {
            "timestep": timestep.to(latents.dtype) / 1000,
            "pooled_projections": pooled,
            "encoder_hidden_states": tokens,
            "txt_ids": tokens.new_zeros(tokens.shape[1], 3),
            "img_ids": image_ids(rows, columns).to(tokens),
            "guidance": guidance[:, 0],
        }
        besides = self._steered(shown, transformer, latents, kwargs)
        if not transformer.config.guidance_embeds:
            kwargs["guidance"] = None
        own = patches(self._with_mask_in_pixels(latents), self.patch)
        seen, places = [own], [kwargs["img_ids"]]
        for number, picture in enumerate(references, start=1):
            seen.append(patches(picture, self.patch))
            down, across = (side // self.patch for side in picture.shape[-2:])
            places.append(image_ids(down, across, number).to(tokens))
        seen_tokens, kwargs["img_ids"] = torch.cat(seen, dim=1), torch.cat(places)
        beside = seen_tokens.shape[1] - own.shape[1]
        for blocks in besides.values():  # of what is painted alone
            blocks[:] = [functional.pad(each, (0, 0, 0, beside)) for each in blocks]
        predicted = transformer(seen_tokens, **kwargs, **besides, return_dict=False)[0]
        return cells(predicted[:, : own.shape[1]], rows, columns, self.patch)

    def _steered(
        self,
        shown: Sequence[ControlInput],
        transformer: Any,
        latents: Tensor,
        kwargs: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The residuals of control networks; one that fills gives them no mask either."""
        seen = [
            each
            if sees_pixels(each.network)
            else each._replace(pictures=patches(each.pictures, self.patch))
            for each in shown
        ]
        plain = patches(latents[:, : self.channels], self.patch)
        return residuals_flux(seen, transformer, plain, kwargs)

    def _with_mask_in_pixels(self, latents: Tensor) -> Tensor:
        """Latents, masked picture, and the mask as so many channels as a cell has pixels."""
        if not self.inpaints:
            return latents
        seen, mask, masked = latents.split([self.channels, 1, self.channels], dim=1)
        return torch.cat([seen, masked, mask.expand(-1, self.cell_px**2, -1, -1)], dim=1)

    @torch.no_grad()
    def _encode_anew(self, text: str) -> Sequence[TextEncoding]:
        longest = self._text_encoder.config.max_position_embeddings
        guided = self._transformer.config.guidance_embeds
        return [
            self._read_part("", text, longest, lambda output: (output[0], output.pooler_output)),
            self._read_part(
                *("_2", text, _LONGEST if guided else _LONGEST_UNGUIDED),
                lambda output: (output[0], None),
            ),
        ]

    def _join(
        self, states: Sequence[Tensor], readings: Sequence[TextEncoding]
    ) -> tuple[Tensor, ...]:
        pooled = readings[0].pooled
        if pooled is None:
            raise TypeError("the first text encoder says nothing about a text as a whole")
        return states[1], pooled


def patches(latents: Tensor, side: int) -> Tensor:
    """[B, C, h, w] -> [B, h / side * w / side, C * side * side]."""
    squares = latents.unflatten(3, (-1, side)).unflatten(2, (-1, side))
    return squares.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def cells(tokens: Tensor, rows: int, columns: int, side: int) -> Tensor:
    """The inverse of `patches`."""
    latents = tokens.unflatten(1, (rows, columns)).unflatten(3, (-1, side, side))
    return latents.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


def image_ids(rows: int, columns: int, picture: int = 0) -> Tensor:
    """[rows * columns, 3]: (picture, row, column) of each patch of a window.

    picture: 0 for what is painted, from 1 on for what is shown beside it.
    """
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([torch.full_like(row, picture), row, column], dim=-1).flatten(0, 1).float()
