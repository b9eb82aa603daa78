"""diffusers' StableDiffusionPanoramaPipeline with the window of the model under test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPanoramaPipeline
from diffusers.utils import logging

from ...engine.noise import canvas_noise
from ...engine.windows import Size
from ...models.denoiser import Denoiser
from ..common.painter import PainterSettings

_WINDOW_OVER_STRIDE = 8


class PeerPipeline(StableDiffusionPanoramaPipeline):
    """The pipeline with another window than the 64 cells that are fixed in its code.

    Its own planner does the rest: as many whole strides of an eighth of a window as fit.
    """

    window_cells = 64
    cell_px = 8

    def get_views(
        self,
        panorama_height: int,
        panorama_width: int,
        window_size: int = 64,  # noqa: ARG002  fixed by the caller, which is diffusers
        stride: int = 8,  # noqa: ARG002  likewise
        circular_padding: bool = False,  # noqa: FBT001, FBT002  diffusers' signature
    ) -> list[tuple[int, int, int, int]]:
        """(top, bottom, left, right) of every window, in cells."""
        return super().get_views(
            # It divides by 8, whatever the autoencoder's factor.
            panorama_height * 8 / self.cell_px,
            panorama_width * 8 / self.cell_px,
            self.window_cells,
            max(1, self.window_cells // _WINDOW_OVER_STRIDE),
            circular_padding,
        )

    def uncovered_columns(self, height: int, width: int) -> int:
        """How many columns of a canvas of so many pixels no window reaches."""
        covered = np.zeros(width // self.cell_px, dtype=bool)
        for _, _, left, right in self.get_views(height, width):
            covered[left:right] = True
        return int((~covered).sum()) * self.cell_px


class DiffusersPanorama:
    """Paints panoramas with diffusers, on the noise that Tapestry would start from."""

    def __init__(self, model: Denoiser, folder: Path, settings: PainterSettings) -> None:
        self._model = model
        self._settings = settings
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self._pipeline = PeerPipeline.from_pretrained(
            folder, safety_checker=None, local_files_only=True
        ).to(model.device, model.dtype)
        self._pipeline.scheduler = DDIMScheduler.from_config(self._pipeline.scheduler.config)
        self._pipeline.set_progress_bar_config(disable=True)
        self._pipeline.window_cells = model.window
        self._pipeline.cell_px = model.cell_px
        self.evaluations = 0
        """Rows that have gone through the pipeline's U-Net so far."""
        self.latents: torch.Tensor
        """Those of the last picture, [1, C, h, w]."""
        self._pipeline.unet.register_forward_pre_hook(self._count, with_kwargs=True)

    def panorama(
        self, height: int, width: int, prompt: str, seed: int, *, wrap: bool = False
    ) -> np.ndarray:
        """The picture of one prompt on a canvas of so many pixels, uint8 [H, W, 3]."""
        cell_px = self._model.cell_px
        seed = self._settings.picture_seed(seed)
        canvas = Size(height // cell_px, width // cell_px)
        made = self._pipeline(
            prompt,
            height=height,
            width=width,
            num_inference_steps=self._settings.num_inference_steps,
            guidance_scale=self._settings.guidance_scale,
            latents=canvas_noise(seed, self._model.channels, canvas).to(self._model.dtype),
            generator=torch.Generator().manual_seed(seed),
            circular_padding=wrap,
            callback_on_step_end=self._keep,
        )
        return np.asarray(made.images[0])

    def _keep(
        self, _pipeline: Any, _step: int, _timestep: Any, state: dict[str, Any]
    ) -> dict[str, Any]:
        self.latents = state["latents"]
        return state

    def _count(self, _unet: Any, inputs: tuple[Any, ...], _named: dict[str, Any]) -> None:
        self.evaluations += len(inputs[0])

    def uncovered_columns(self, height: int, width: int) -> int:
        """How many columns of pixels of such a canvas no window of the pipeline reaches."""
        return self._pipeline.uncovered_columns(height, width)
