"""Two other ways to make a picture larger with a model of one window's size, to compare with.

Tiles that overlap, as Tiled Diffusion lays them: the enlarged picture is noised to a strength
(SDEdit) and denoised in windows half a window apart, whose predictions are averaged; nothing else
holds it to what it was.

DemoFusion (Du et al., "DemoFusion: Democratising High-Resolution Image Generation With No $$$",
CVPR 2024): scale by scale, from noise, in as many steps as a new picture. With c = (1 + cos(pi (T -
t) / T)) / 2, which falls from 1 to 0:

    x <- c^3 noised(enlarged, t) + (1 - c^3) x           skip residual
    e = (1 - c) e_windows(x) + c e_dilated(x)            windows that overlap; the whole canvas as
                                                         s x s lattices, each seen after a blur

The paper steps each and mixes the results, which is the same for DDIM.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ...engine.noise import canvas_noise
from ...engine.windows import Size, Window, crop
from ...models.denoiser import Denoiser
from ..common.painter import PainterSettings
from .paper import average

_BATCH_SIZE = 32
_SKIP_POWER = 3
_BLUR = 0.8
"""Of the whole canvas at the first step, in cells; the authors' own scripts use it."""


class OverlappingTiles:
    """Paints over enlarged pictures in fixed windows, half a window apart."""

    def __init__(self, model: Denoiser, settings: PainterSettings) -> None:
        self._model = model
        self._settings = settings
        self._scheduler: Any = DDIMScheduler.from_config(model.make_scheduler().config)
        self._conditions = torch.empty(0)
        self.evaluations = 0
        """Rows that have gone through the model so far."""

    @torch.no_grad()
    def upscaled(
        self, first: np.ndarray, factor: int, prompt: str, seed: int, strength: float
    ) -> np.ndarray:
        """A picture uint8 [h, w, 3], as uint8 [h * factor, w * factor, 3]."""
        self._begin(prompt)
        height, width = (side * factor for side in first.shape[:2])
        larger = Image.fromarray(first).resize((width, height), Image.Resampling.LANCZOS)
        start = self._encoded(np.asarray(larger))
        noise = self._noise(start, seed)
        count = len(self._scheduler.timesteps)
        timesteps = self._scheduler.timesteps[count - max(1, round(count * strength)) :]
        windows = self._windows(start)
        latents = self._scheduler.add_noise(start, noise, timesteps[:1])
        for timestep in timesteps:
            prediction = self._in_windows(latents, windows, timestep)
            latents = self._scheduler.step(prediction, timestep, latents).prev_sample
        return self._decoded(latents)

    def _begin(self, prompt: str) -> None:
        self._scheduler.set_timesteps(self._settings.num_inference_steps)
        self._conditions = self._model.encode_prompts((prompt, ""))

    def _encoded(self, picture: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        return self._model.encode(pixels.to(self._model.device)).float()

    def _decoded(self, latents: Tensor) -> np.ndarray:
        pixels = (self._model.decode(latents)[0].float() / 2 + 0.5).clamp(0, 1)
        return (pixels * 255).round().permute(1, 2, 0).to("cpu", torch.uint8).numpy()

    def _noise(self, latents: Tensor, seed: int) -> Tensor:
        seed = self._settings.picture_seed(seed)
        return canvas_noise(seed, latents.shape[1], Size(*latents.shape[-2:])).to(latents)

    def _windows(self, latents: Tensor, jitter: random.Random | None = None) -> list[Window]:
        """Half a window apart; with `jitter` up to a quarter of that aside, but at the edges."""
        side = self._model.window
        height, width = latents.shape[-2:]

        def moved(start: int, length: int) -> int:
            if jitter is None or start in {0, length - side}:
                return start
            return min(start + jitter.randint(-(side // 8), side // 8), length - side)

        corners = [
            (moved(top, height), moved(left, width))
            for top in _starts(height, side)
            for left in _starts(width, side)
        ]
        return [Window(top, left, top + side, left + side) for top, left in corners]

    def _in_windows(self, latents: Tensor, windows: Sequence[Window], timestep: Tensor) -> Tensor:
        """The mean of what the windows predict; what none of them sees is predicted as 0."""
        crops = torch.stack([crop(latents[0], window) for window in windows])
        paths = [(v, 0) for v in range(len(windows))]
        ones = torch.ones(1, *latents.shape[-2:]).to(latents)
        return average(self._guided(crops, timestep), ones, windows, paths)

    def _guided(self, crops: Tensor, timestep: Tensor) -> Tensor:
        wanted, negative = (self._predicted(crops, timestep, row) for row in (0, 1))
        return negative + self._settings.guidance_scale * (wanted - negative)

    def _predicted(self, crops: Tensor, timestep: Tensor, row: int) -> Tensor:
        self.evaluations += len(crops)
        made = []
        for batch in crops.split(_BATCH_SIZE):
            conditions = self._conditions[row].expand(len(batch), -1, -1)
            made.append(self._model.predict(batch, timestep, conditions))
        return torch.cat(made).to(crops)


class DemoFusion(OverlappingTiles):
    """Paints larger ones scale by scale, each from noise, led by the one before."""

    @torch.no_grad()
    def enlarged(self, first: np.ndarray, factor: int, prompt: str, seed: int) -> np.ndarray:
        """A picture of one window, uint8 [h, w, 3], as uint8 [h * factor, w * factor, 3]."""
        self._begin(prompt)
        base = latents = self._encoded(first)
        for scale in range(2, factor + 1):
            size = tuple(side * scale for side in base.shape[-2:])
            larger = functional.interpolate(latents, size, mode="bicubic")
            latents = _like(self._phase(larger, scale, seed), base)
        return self._decoded(latents)

    def _phase(self, larger: Tensor, scale: int, seed: int) -> Tensor:
        """The latents of one scale, led by those of the one before at its size."""
        noise = self._noise(larger, seed)
        jitter = random.Random(f"{seed}:{scale}")  # noqa: S311  a picture's seed, no secret
        latents = noise
        count = self._scheduler.config.num_train_timesteps
        for timestep in self._scheduler.timesteps:
            share = (1 + math.cos(math.pi * (count - int(timestep)) / count)) / 2
            skip = share**_SKIP_POWER
            led = self._scheduler.add_noise(larger, noise, timestep[None])
            latents = skip * led + (1 - skip) * latents
            local = self._in_windows(latents, self._windows(latents, jitter), timestep)
            whole = self._dilated(latents, scale, timestep, share)
            prediction = (1 - share) * local + share * whole
            latents = self._scheduler.step(prediction, timestep, latents).prev_sample
        return latents

    def _dilated(self, latents: Tensor, scale: int, timestep: Tensor, share: float) -> Tensor:
        """What is predicted of every `scale`-th cell, from each of the first ones."""
        seen = _like(_blurred(latents, 2 * scale - 1, _BLUR * (0.99 * share + 0.01)), latents)
        places = [(row, column) for row in range(scale) for column in range(scale)]
        lattices = torch.cat([seen[..., row::scale, column::scale] for row, column in places])
        predictions = self._guided(lattices, timestep)
        whole = torch.empty_like(latents)
        for (row, column), prediction in zip(places, predictions, strict=True):
            whole[..., row::scale, column::scale] = prediction
        return whole


def _starts(length: int, window: int) -> list[int]:
    """Where windows start along an axis, half a window apart, the last one at the edge."""
    return sorted({*range(0, length - window, window // 2), length - window})


def _like(values: Tensor, other: Tensor) -> Tensor:
    """Values [1, C, H, W] with the mean and the spread of another canvas, channel by channel."""
    spread, mean = torch.std_mean(values, dim=(2, 3), keepdim=True)
    wanted_spread, wanted_mean = torch.std_mean(other, dim=(2, 3), keepdim=True)
    return (values - mean) / spread * wanted_spread + wanted_mean


def _blurred(values: Tensor, taps: int, sigma: float) -> Tensor:
    """Values [1, C, H, W] after a Gaussian of this many taps an axis."""
    at = torch.arange(taps).to(values) - taps // 2
    line = torch.exp(-((at / sigma) ** 2) / 2)
    line = line / line.sum()
    channels, around = values.shape[1], taps // 2
    padded = functional.pad(values, (around,) * 4, mode="reflect")
    kernel = (line[:, None] * line[None, :]).expand(channels, 1, taps, taps)
    return functional.conv2d(padded, kernel, groups=channels)
