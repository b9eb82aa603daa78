"""Pictures made the product's own way, from a request through its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds, Pixels

from ...checkpoints.catalogue import SAMPLE
from ...models.denoiser import Denoiser
from ...models.model_cache import ModelCache
from ...tasks.events import Finished
from ...tasks.inversion_files import InversionFiles
from ...tasks.run import run
from ...tasks.tensor_files import TensorFiles
from .layouts import RegionLayout
from .progress import ProgressLog


@dataclass(frozen=True)
class PainterSettings:
    """What all pictures of a run have in common, whichever painter makes them."""

    model: str = SAMPLE
    num_inference_steps: int = 20
    guidance_scale: float = 5.0
    seed: int = 0

    def picture_seed(self, number: int) -> int:
        """The seed of a run's picture with this number, below 65,536; no two runs share one."""
        return (self.seed << 16) + number


class Painter:
    """Tapestry itself: requests in, pictures out, with the same settings for all of them."""

    def __init__(
        self, model_cache: ModelCache, settings: PainterSettings, progress: ProgressLog
    ) -> None:
        self.model_cache = model_cache
        """The models, as they are loaded."""
        self.settings = settings
        self.progress = progress

    @property
    def model(self) -> Denoiser:
        """The model that paints."""
        return self.model_cache.load(self.settings.model)

    @property
    def folder(self) -> Path:
        """Where the model's files lie."""
        return self.model_cache.catalogue.find(self.settings.model).path

    @property
    def window_px(self) -> int:
        """The side of the model's window, in pixels."""
        return self.model.window * self.model.cell_px

    def paint(
        self,
        request: Request,
        blobs: Mapping[str, bytes] | None = None,
        learned: TensorFiles | None = None,
        inversions: InversionFiles | None = None,
    ) -> np.ndarray:
        """The picture of a request, uint8 [H, W, 4]; the files are those of `run`."""
        return self.finish(request, blobs, learned, inversions)[0]

    def finish(
        self,
        request: Request,
        blobs: Mapping[str, bytes] | None = None,
        learned: TensorFiles | None = None,
        inversions: InversionFiles | None = None,
    ) -> tuple[np.ndarray, Mapping[str, Any]]:
        """The same, and the report."""
        kept = None, inversions, learned
        *_, finished = run(request, blobs or {}, self.model_cache, *kept)
        if not isinstance(finished, Finished):
            raise TypeError("a task must end with its picture")
        pixels = finished.pixels
        rgba = np.frombuffer(pixels.data, np.uint8).reshape(pixels.height, pixels.width, 4)
        return rgba, finished.report

    def request(self, height: int, width: int, prompt: str, seed: int, **fields: Any) -> Request:
        """A request, for a generated picture where nothing else is said among its `fields`."""
        settings = self.settings
        chosen: dict[str, Any] = {
            "task": "generate",
            "seed": settings.picture_seed(seed),
            "num_inference_steps": settings.num_inference_steps,
            "guidance_scale": settings.guidance_scale,
            "model": settings.model,
            **fields,
        }
        return Request(height=height, width=width, prompt=prompt, **chosen)

    def plain(self, prompt: str, seed: int, **fields: Any) -> np.ndarray:
        """One window of one prompt, uint8 [H, W, 3]: the model's own picture."""
        side = self.window_px
        return self.paint(self.request(side, side, prompt, seed, **fields))[..., :3]

    def layout(self, layout: RegionLayout, seed: int, **fields: Any) -> np.ndarray:
        """The picture of a layout of regions, uint8 [H, W, 3]."""
        regions, blobs = as_regions(layout.masks, layout.prompts)
        request = self.request(
            layout.height, layout.width, layout.background, seed, regions=regions, **fields
        )
        return self.paint(request, blobs)[..., :3]


def as_regions(
    masks: Sequence[np.ndarray], prompts: Sequence[str]
) -> tuple[tuple[Region, ...], dict[str, bytes]]:
    """Masks [H, W], topmost first, as regions of a request, and the blobs they refer to.

    bool, or opacities in 0..1.
    """
    regions, blobs = [], {}
    for mask, prompt in zip(masks, prompts, strict=True):
        height, width = mask.shape
        pixels = Pixels(height, width, 1, _bytes_of(mask))
        blobs[pixels.sha256] = pixels.data
        regions.append(Region(prompt, Bounds(0, 0, height, width), PixelsRef.of(pixels)))
    return tuple(regions), blobs


def _bytes_of(mask: np.ndarray) -> bytes:
    return (mask.astype(np.float64) * 255).round().astype(np.uint8).tobytes()
