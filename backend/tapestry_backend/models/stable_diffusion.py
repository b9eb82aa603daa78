"""Stable-Diffusion-format checkpoints (1.x, 2.x and the bundled one) as a Denoiser."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tapestry_protocol.messages import Scheduler

from ..engine.windows import Size
from . import banded
from .catalogue import Entry, inpainting_channels
from .denoiser import NO_CONTEXT
from .loading import load_parts
from .memory import spare_bytes
from .prompt_weights import read_weights, weigh
from .residency import Residency
from .schedulers import make_scheduler
from .shared_start import SharedStart

_PREVIEW_FIT_CELLS = 16

_MOST_ROWS = 16
"""Larger batches take more memory and no less time for a row; see docs/performance.md."""

_ALIVE_IN_A_ROW = 96
"""Activations of the first level that may exist at once for a row, the skips included."""

_WHOLE_WINDOWS = 10
"""Canvases larger than so many windows are decoded in bands where that costs next to nothing."""

_MOST_TEXTS = 256
"""Encoded texts that are kept; one of Stable Diffusion's takes 231 KiB."""


class StableDiffusion:
    """A checkpoint in diffusers' folder layout; see `Denoiser` for what each method gives.

    Raises TapestryError when the folder's files are not what its configuration says.
    """

    def __init__(self, entry: Entry, device: torch.device, dtype: torch.dtype) -> None:
        self.id = entry.id
        self.device = device
        self.dtype = dtype
        parts = load_parts(entry.path, dtype)
        self._tokenizer = parts.tokenizer
        self._text_encoder, self._unet, self._vae = parts.text_encoder, parts.unet, parts.vae
        self._parts = Residency(
            {name: getattr(parts, name) for name in ("unet", "vae", "text_encoder")}, device
        )
        self._scheduler = parts.scheduler
        self._shared_start = SharedStart(self._unet)
        self._texts: OrderedDict[str, Tensor] = OrderedDict()
        self.cell_px = 2 ** (len(self._vae.config.block_out_channels) - 1)
        self.window = entry.window_px // self.cell_px
        self.channels = self._vae.config.latent_channels
        self.inpaints = self._unet.config.in_channels == inpainting_channels(self.channels)

    @property
    def batch_size(self) -> int:
        channels = self._unet.config.block_out_channels[0]
        row = self.window**2 * channels * _ALIVE_IN_A_ROW * self.dtype.itemsize
        return min(max(spare_bytes(self.device) // row, 1), _MOST_ROWS)

    def make_scheduler(self, name: Scheduler = "checkpoint") -> Any:
        return make_scheduler(name, self._scheduler)

    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        return torch.cat([self._encode_prompt(prompt) for prompt in prompts])

    def _encode_prompt(self, prompt: str) -> Tensor:
        """[1, T, D], from an earlier job where there was one.

        Each text alone, so that its numbers do not depend on who was encoded beside it.
        """
        known = self._texts.pop(prompt, None)
        encoded = self._weigh_anew(prompt) if known is None else known
        self._texts[prompt] = encoded  # the last one used is the last one forgotten
        if len(self._texts) > _MOST_TEXTS:
            self._texts.popitem(last=False)
        return encoded

    def _weigh_anew(self, prompt: str) -> Tensor:
        weighted = read_weights(prompt)
        encoded, offsets = self._encode_anew(weighted.text)
        if not weighted.spans:
            return encoded
        return weigh(encoded, self._encode_prompt(""), [weighted], offsets)

    @torch.no_grad()
    def _encode_anew(self, text: str) -> tuple[Tensor, list[list[tuple[int, int]]]]:
        """Conditions [1, T, D], and the place of every token in the text."""
        tokens = self._tokenizer(
            [text],
            padding="max_length",
            # A tokenizer that was saved without its length says a number without end.
            max_length=min(self._tokenizer.model_max_length, self._longest_prompt),
            truncation=True,
            return_tensors="pt",
            return_offsets_mapping=True,
        )
        attention_mask = None
        if getattr(self._text_encoder.config, "use_attention_mask", False):
            attention_mask = tokens.attention_mask.to(self.device)
        ids = tokens.input_ids.to(self.device)
        encoded = self._parts.run(
            "text_encoder", lambda part: part(ids, attention_mask=attention_mask)[0].to(self.dtype)
        )
        return encoded, tokens.offset_mapping.tolist()

    @torch.no_grad()
    def predict(self, latents: Tensor, timestep: Tensor, conditions: Tensor) -> Tensor:
        def ask(unet: nn.Module) -> Tensor:
            given = latents.to(self.dtype)
            with self._shared_start.among(given):
                return unet(given, timestep, encoder_hidden_states=conditions, return_dict=False)[0]

        # Several rows may be asked in turn: that is for the caller to try before parts are moved.
        return ask(self._parts.use("unet")) if len(latents) > 1 else self._parts.run("unet", ask)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        latents = self._precisely(banded.encode, pixels)
        return (latents - self._shift) * self._vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor, context: Size = NO_CONTEXT) -> Tensor:
        budget = int(min(spare_bytes(self.device), self._frugal_bytes))
        return self._precisely(
            lambda vae, given: banded.decode(vae, self._unscaled(given), budget, context), latents
        )

    def decode_with_gradient(self, latents: Tensor) -> Tensor:
        return self._parts.run("vae", lambda vae: self._decode_whole(vae, latents))

    def preview(self, latents: Tensor) -> Tensor:
        matrix, offset = self._preview_map
        rgb = torch.einsum("rc,bchw->brhw", matrix, latents.to("cpu", torch.float32))
        return (rgb + offset[:, None, None]).clamp(-1, 1)

    def _precisely(self, through: Callable[[Any, Tensor], Tensor], given: Tensor) -> Tensor:
        """What the autoencoder makes of something, with numbers of as many bits as it takes.

        Some autoencoders, that of Stable Diffusion XL first, go beyond half precision on the way
        and give NaN for sound latents. One that does so works in single precision from then on.
        """
        made = self._parts.run(
            "vae", lambda vae: through(vae, given.to(self.device, vae.dtype)).to(self.dtype)
        )
        narrow = self._vae.dtype.itemsize < torch.float32.itemsize
        if narrow and _is_finite(given) and not _is_finite(made):
            self._vae.to(torch.float32)
            return self._precisely(through, given)
        return made

    def _decode_whole(self, vae: Any, latents: Tensor) -> Tensor:
        unscaled = self._unscaled(latents.to(vae.dtype))
        return vae.decode(unscaled, return_dict=False)[0].to(self.dtype)

    def _unscaled(self, latents: Tensor) -> Tensor:
        return latents / self._vae.config.scaling_factor + self._shift

    @property
    def _longest_prompt(self) -> int:
        """In tokens."""
        return self._text_encoder.config.max_position_embeddings

    @property
    def _shift(self) -> float:
        return getattr(self._vae.config, "shift_factor", None) or 0.0

    @cached_property
    def _frugal_bytes(self) -> float:
        return banded.frugal_bytes(self._vae, _WHOLE_WINDOWS * self.window**2)

    @cached_property
    def _preview_map(self) -> tuple[Tensor, Tensor]:
        """A linear map from latents to colours, fitted to this checkpoint's own autoencoder.

        Encodes one picture of smooth random colours and solves for the 3 x C matrix and the offset
        that explain it best: a preview costs nothing then and needs no file for each family.
        """
        generator = torch.Generator("cpu").manual_seed(0)
        cells = _PREVIEW_FIT_CELLS
        coarse = torch.rand(1, 3, cells // 2, cells // 2, generator=generator) * 2 - 1
        size = cells * self.cell_px
        pixels = functional.interpolate(coarse, (size, size), mode="bilinear")
        latents = self.encode(pixels).to("cpu", torch.float32)[0].flatten(1).T
        colours = functional.avg_pool2d(pixels, self.cell_px)[0].flatten(1).T
        ones = torch.ones(latents.shape[0], 1)
        solution = torch.linalg.lstsq(torch.cat([latents, ones], dim=1), colours).solution
        return solution[:-1].T.contiguous(), solution[-1]


def _is_finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all())
