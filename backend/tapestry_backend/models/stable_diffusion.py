"""Stable-Diffusion-format checkpoints (1.x, 2.x and the bundled one) as a Denoiser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Scheduler

from . import banded
from .catalogue import Entry, inpainting_channels
from .prompt_weights import read_weights, weigh
from .schedulers import make_scheduler

transformers.utils.logging.disable_progress_bar()  # one stage, "loading", is all there is to show

_AUTOENCODERS = ("AutoencoderKL", "AutoencoderTiny")
_PREVIEW_FIT_CELLS = 16
_LOADING_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ImportError,  # a scheduler that needs a package which is not there
    SafetensorError,
)


class StableDiffusion:
    """A checkpoint in diffusers' folder layout; see `Denoiser` for what each method gives.

    Raises TapestryError when the folder's files are not what its configuration says.
    """

    def __init__(self, entry: Entry, device: torch.device, dtype: torch.dtype) -> None:
        self.id = entry.id
        self.device = device
        self.dtype = dtype
        parts = _load_parts(entry.path, dtype)
        self._tokenizer = parts["tokenizer"]
        self._text_encoder = parts["text_encoder"].to(device).eval()
        self._unet = parts["unet"].to(device).eval()
        self._vae = parts["vae"].to(device).eval()
        self._scheduler = parts["scheduler"]
        self.cell_px = 2 ** (len(self._vae.config.block_out_channels) - 1)
        self.window = entry.window_px // self.cell_px
        self.channels = self._vae.config.latent_channels
        self.inpaints = self._unet.config.in_channels == inpainting_channels(self.channels)

    def make_scheduler(self, name: Scheduler = "checkpoint") -> Any:
        return make_scheduler(name, self._scheduler)

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        weighted = [read_weights(prompt) for prompt in prompts]
        if not any(prompt.spans for prompt in weighted):
            return self._encode([prompt.text for prompt in weighted])[0]
        encoded, offsets = self._encode([*(prompt.text for prompt in weighted), ""])
        return weigh(encoded[:-1], encoded[-1:], weighted, offsets[:-1])

    def _encode(self, texts: Sequence[str]) -> tuple[Tensor, list[list[tuple[int, int]]]]:
        """Conditions [N, T, D], and the place of every token in its text."""
        tokens = self._tokenizer(
            list(texts),
            padding="max_length",
            max_length=self._tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
            return_offsets_mapping=True,
        )
        attention_mask = None
        if getattr(self._text_encoder.config, "use_attention_mask", False):
            attention_mask = tokens.attention_mask.to(self.device)
        ids = tokens.input_ids.to(self.device)
        encoded = self._text_encoder(ids, attention_mask=attention_mask)[0].to(self.dtype)
        return encoded, tokens.offset_mapping.tolist()

    @torch.no_grad()
    def predict(self, latents: Tensor, timestep: Tensor, conditions: Tensor) -> Tensor:
        latents = latents.to(self.dtype)
        return self._unet(latents, timestep, encoder_hidden_states=conditions, return_dict=False)[0]

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        latents = banded.encode(self._vae, pixels.to(self.device, self.dtype))
        return (latents - self._shift) * self._vae.config.scaling_factor

    def decode(self, latents: Tensor) -> Tensor:
        return banded.decode(self._vae, self._unscaled(latents))

    def decode_with_gradient(self, latents: Tensor) -> Tensor:
        return self._vae.decode(self._unscaled(latents), return_dict=False)[0]

    def preview(self, latents: Tensor) -> Tensor:
        matrix, offset = self._preview_map
        rgb = torch.einsum("rc,bchw->brhw", matrix, latents.to("cpu", torch.float32))
        return (rgb + offset[:, None, None]).clamp(-1, 1)

    def _unscaled(self, latents: Tensor) -> Tensor:
        return latents.to(self.dtype) / self._vae.config.scaling_factor + self._shift

    @property
    def _shift(self) -> float:
        return getattr(self._vae.config, "shift_factor", None) or 0.0

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


def _load_parts(path: Path, dtype: torch.dtype) -> dict[str, Any]:
    """The five parts of the checkpoint, from safetensors only and without the network."""
    try:
        index = json.loads((path / "model_index.json").read_text(encoding="utf-8"))
        vae = getattr(diffusers, _known(index["vae"][1], _AUTOENCODERS))
        scheduler = getattr(diffusers, index["scheduler"][1])
        weights = {"torch_dtype": dtype, "use_safetensors": True, "local_files_only": True}
        return {
            "tokenizer": transformers.CLIPTokenizer.from_pretrained(
                path / "tokenizer", local_files_only=True
            ),
            "text_encoder": transformers.CLIPTextModel.from_pretrained(
                path / "text_encoder", dtype=dtype, use_safetensors=True, local_files_only=True
            ),
            "unet": diffusers.UNet2DConditionModel.from_pretrained(path / "unet", **weights),
            "vae": vae.from_pretrained(path / "vae", **weights),
            "scheduler": scheduler.from_pretrained(path / "scheduler", local_files_only=True),
        }
    except _LOADING_ERRORS as error:
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            f"The model in {str(path)!r} cannot be loaded ({type(error).__name__}: "
            f"{str(error)[:300]}).",
            "Check that the folder is complete and holds its weights as .safetensors.",
        ) from error


def _known(name: str, names: Sequence[str]) -> str:
    if name not in names:
        raise ValueError(f"{name} is not one of {', '.join(names)}")
    return name
