"""FLUX.2: packed, normalised latents, and three layers of a language model as a text's states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .adapters.control_input import ControlInput
from .flow_model import FlowModel, WindowShiftedEuler
from .latent_model import TextEncoding
from .loading.parts import Parts
from .text.chat import Template

_LONGEST = 512
"""Tokens of a text, with the words around it; shorter ones are filled up, which it sees."""

_TEMPLATE = Template(
    "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
)
_LAYERS = (9, 18, 27)

_MISTRAL_TEMPLATE = Template(
    "<s>[SYSTEM_PROMPT]You are an AI that reasons about image descriptions. You give structured "
    "responses focusing on object relationships, object\nattribution and actions without "
    "speculation.[/SYSTEM_PROMPT][INST]",
    "[/INST]",
)
_MISTRAL_LAYERS = (10, 20, 30)

_MANY_TOKENS = 4300

_APART = 10
"""Between the numbers of what is painted and of each picture that is shown beside it."""


class EmpiricalShift(WindowShiftedEuler):
    """Noise levels whose shift was fitted by the authors, to the window's tokens and the steps."""

    def _shift_of_window(self, steps: int) -> float:
        """Two lines, of 10 and of 200 steps, and what lies between; one for large windows."""
        many = 0.00016927 * self.tokens + 0.45666666
        if self.tokens > _MANY_TOKENS:
            return many
        slope = (many - (8.73809524e-05 * self.tokens + 1.89833333)) / 190
        return many + slope * (steps - 200)


class Flux2(FlowModel):
    """A transformer over the autoencoder's 2 x 2 cells, which are one cell here.

    They are normalised by what the autoencoder has counted of each of their channels. Klein was
    distilled to a few steps without guidance, or is guided in truth ("base"); dev is told the
    guidance scale, and reads texts with Mistral instead of Qwen3.
    """

    knows_clip_skip = False
    packed = 2
    patch = 1
    evenly = True
    inpaints = False
    scheduler_class = EmpiricalShift

    def _keep(self, parts: Parts) -> None:
        self._transformer = parts.modules["transformer"]
        told = bool(self._transformer.config.guidance_embeds)
        self.distilled = told or bool(self._options.get("is_distilled"))
        mistral = parts.modules["text_encoder"].config.model_type == "mistral3"
        self._template = _MISTRAL_TEMPLATE if mistral else _TEMPLATE
        self._layers = _MISTRAL_LAYERS if mistral else _LAYERS

    def _ask(
        self,
        transformer: Any,
        latents: Tensor,
        timestep: Tensor,
        conditions: Tensor,
        shown: Sequence[ControlInput],  # noqa: ARG002  no control network is made for it
        references: Sequence[Tensor],
    ) -> Tensor:
        tokens, scales = self._unpack(conditions)
        told = scales[0][:, 0] if transformer.config.guidance_embeds else None
        sides = latents.shape[-2:]
        seen = [each.flatten(2).transpose(1, 2) for each in (latents, *references)]
        places = torch.cat(
            [
                _places(_APART * number, *each.shape[-2:])
                for number, each in enumerate((latents, *references))
            ]
        )
        made = transformer(
            torch.cat(seen, dim=1),
            encoder_hidden_states=tokens,
            timestep=timestep / 1000,
            guidance=told,
            img_ids=places.to(self.device),
            txt_ids=torch.cartesian_prod(*map(torch.arange, (1, 1, 1, tokens.shape[1]))).to(
                self.device
            ),
            return_dict=False,
        )[0]
        return made[:, : math.prod(sides)].transpose(1, 2).unflatten(2, sides)

    @torch.no_grad()
    def _encode_anew(self, text: str) -> Sequence[TextEncoding]:
        def take(layers: Sequence[Tensor]) -> Tensor:
            return torch.cat([layers[number] for number in self._layers], dim=-1)

        return [self._read_chat(text, self._template, _LONGEST, take, filled=True)]

    def _scales(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        counted = self._vae.bn
        mean, variance = (
            values.to(latents)[None, :, None, None]
            for values in (counted.running_mean, counted.running_var)
        )
        return mean, (variance + self._vae.config.batch_norm_eps).rsqrt()


def _places(number: int, rows: int, columns: int) -> Tensor:
    """[rows * columns, 4]: (number, row, column, 0) of each cell of a picture."""
    return torch.cartesian_prod(
        torch.tensor([number]), torch.arange(rows), torch.arange(columns), torch.arange(1)
    )
