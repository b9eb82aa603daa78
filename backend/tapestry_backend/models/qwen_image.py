"""Qwen-Image: Qwen2.5-VL's states of a text, and an autoencoder made for films of one picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from .adapters.block_residuals import residuals_qwen
from .adapters.control_input import ControlInput
from .autoencoder.one_frame import OneFrame
from .flow_model import FlowModel, by_length, rows_by_length
from .latent_model import TextEncoding
from .loading.parts import Parts
from .text.chat import Template, chat_tokens

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

_EDITING = (
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, "
    "texture, objects, background), then explain how the user's text instruction should alter or "
    "modify the image. Generate a new image that meets the user's requirements while maintaining "
    "consistency with the original input where appropriate.<|im_end|>\n<|im_start|>user\n"
)
_BEFORE_EDITING = 64
_LOOKED_AT = {
    "edit": ("<|vision_start|>{1}<|vision_end|>", 1024**2),
    "edit_plus": ("Picture {}: <|vision_start|>{}<|vision_end|>", 384**2),
}
"""How a text is told of a picture before it, by its number, and of how many pixels that is."""
_PICTURE = "<|image_pad|>"
_SIDES = 32
"""The sides of such a picture are multiples of this."""


class _Look(NamedTuple):
    """Pictures as the language model takes them: their tokens in a text, and its input."""

    told: str
    length: int
    inputs: dict[str, Tensor]


_PLACES = 4096
"""Places along a side, counted from its middle, and of texts behind them."""


class QwenImage(FlowModel):
    """A transformer over the autoencoder's 2 x 2 cells, which are one cell here.

    What guidance makes of a cell is as long as what its own prompt wanted of it. Those that edit
    are shown a picture's cells behind those that they paint, and read texts looking at it.
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
        self._text_encoder = parts.modules["text_encoder"]
        self._processor = parts.processor
        self._look: _Look | None = None

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
        shown: Sequence[ControlInput],
        references: Sequence[Tensor],
    ) -> Tensor:
        pictures = (latents, *references)
        sides = [(1, *each.shape[-2:]) for each in pictures]
        seen = torch.cat([_in_a_row(each) for each in pictures], dim=1)
        own = latents.shape[-2:]
        count = math.prod(own)
        steering = [each._replace(pictures=_in_a_row(each.pictures)) for each in shown]

        def ask(numbers: Sequence[int], tokens: Tensor) -> Tensor:
            kwargs: dict[str, Any] = {
                "encoder_hidden_states": tokens,
                "timestep": timestep[numbers].to(latents.dtype) / 1000,
            }
            theirs = [
                each._replace(rows=[each.rows[number] for number in numbers]) for each in steering
            ]
            alone = kwargs | {"img_shapes": [sides[:1]] * len(numbers)}
            besides = residuals_qwen(theirs, transformer, seen[numbers, :count], alone)
            for blocks in besides.values():  # of what is painted alone
                blocks[:] = [functional.pad(b, (0, 0, 0, seen.shape[1] - count)) for b in blocks]
            return transformer(
                seen[numbers],
                **kwargs,
                **besides,
                img_shapes=[sides] * len(numbers),
                return_dict=False,
            )[0]

        made = by_length(ask, self._texts_of(conditions))
        return made[:, :count].transpose(1, 2).unflatten(2, own)

    def _asked_together(self, conditions: Tensor) -> list[list[int]]:
        return rows_by_length(self._texts_of(conditions))

    @contextmanager
    def looking_at(self, pictures: Sequence[Tensor]) -> Iterator[None]:
        """For the variants that edit: the language model sees whole pictures, made as small."""
        if self.variant not in _LOOKED_AT:
            yield
            return
        told, area = _LOOKED_AT[self.variant]
        small = [_picture_of_area(pixels, area) for pixels in pictures]
        inputs = dict(self._processor(images=small, return_tensors="pt"))
        merged = self._text_encoder.config.vision_config.spatial_merge_size**2
        counts = (inputs["image_grid_thw"].prod(dim=1) // merged).tolist()
        words = [told.format(i, _PICTURE * count) for i, count in enumerate(counts, start=1)]
        self._look = _Look("".join(words), sum(counts), inputs)
        self._seen = sha256(b"".join(each.tobytes() for each in small)).hexdigest()
        try:
            yield
        finally:
            self._look, self._seen = None, ""

    @torch.no_grad()
    def _encode_anew(self, text: str) -> Sequence[TextEncoding]:
        if self._look is not None:
            return [self._read_about(text, self._look)]
        read = self._read_chat(text, _TEMPLATE, _BEFORE + _LONGEST, lambda layers: layers[-1])
        return [read._replace(states=read.states[:, _BEFORE:], offsets=read.offsets[_BEFORE:])]

    def _read_about(self, text: str, look: _Look) -> TextEncoding:
        """A text as an instruction for a picture; the picture's tokens are part of it."""
        template = Template(_EDITING + look.told, _TEMPLATE.after)
        longest = _BEFORE_EDITING + look.length + _LONGEST
        chunks = chat_tokens(self._tokenizers["tokenizer"], text, template, longest)
        inputs = {
            "input_ids": chunks.ids,
            "attention_mask": chunks.attended,
            **look.inputs,
        }
        given = {name: values.to(self.device) for name, values in inputs.items()}
        given["pixel_values"] = given["pixel_values"].to(self.dtype)
        states = self._parts.run(
            "text_encoder",
            lambda part: part(**given, output_hidden_states=True, use_cache=False).hidden_states[
                -1
            ],
        )
        kept = slice(_BEFORE_EDITING, None)
        return TextEncoding(
            states[:, kept].to(self.dtype), chunks.offsets[kept], None, chunks.unread
        )


def _in_a_row(cells: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, h * w, C]."""
    return cells.flatten(2).transpose(1, 2)


def _picture_of_area(pixels: Tensor, area: int) -> Image.Image:
    """A picture [1, 3, H, W] in -1..1, in its proportions, with about so many pixels."""
    values = (pixels[0].clamp(-1, 1) / 2 + 0.5).mul(255).round().to("cpu", torch.uint8)
    picture = Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())
    ratio = picture.width / picture.height
    wanted = math.sqrt(area * ratio), math.sqrt(area / ratio)
    width, height = (max(1, round(side / _SIDES)) * _SIDES for side in wanted)
    return picture.resize((width, height), Image.Resampling.LANCZOS)
