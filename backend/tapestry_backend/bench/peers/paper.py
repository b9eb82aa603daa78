"""The loops of the MultiDiffusion paper as it describes them, to compare with.

Bar-Tal, Yariv, Lipman, Dekel, "MultiDiffusion: Fusing Diffusion Paths for Controlled Image
Generation" (ICML 2023). Every window F_v and prompt r takes a DDIM step of its own, and the canvas
becomes what is closest to all of them in least squares (eq. 3 to 5):

    x' = argmin_x sum_v sum_r | sqrt(M_r) (F_v(x) - step(F_v(x_t), r)) |^2
       = sum_v F_v^-1( sum_r M_r step_vr ) / sum_v F_v^-1( sum_r M_r )

Windows start at every eighth of a window. Regions: masks by nearest neighbour, a background mask
max(0, 1 - sum), all prompts over all windows, and bootstrapping: in the first 40 % of the steps
(20 of 50) the path of a region sees its own mask's content over a constant colour, one of 20 random
ones, at the noise level of the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch import Tensor
from torch.nn import functional

from ...engine.noise import canvas_noise
from ...engine.windows import Size, Window, crop
from ...models.denoiser import Denoiser
from ..common.layouts import RegionLayout
from ..common.painter import PainterSettings

BOOTSTRAPPING = 20 / 50
"""Share of the steps in which a region's path sees nothing but itself."""

Paths = Sequence[tuple[int, int]]
"""Pairs of a window's number and a region's; region 0 is the background."""

_BACKDROPS = 20
_WINDOW_OVER_STRIDE = 8
_BATCH_SIZE = 32


@dataclass(frozen=True)
class PaperScene:
    """What a loop is asked for.

    masks [R + 1, H, W] in cells, 0 or 1, the background first; conditions [R + 2, T, D], encoded in
    the same order, with the negative prompt as the last; backdrops [N, C, h, w] of one window.
    """

    masks: Tensor
    conditions: Tensor
    backdrops: Tensor
    windows: Sequence[Window]


class PaperLoop:
    """Paints with the paper's loops and a model of Tapestry's.

    What an equation multiplies by zero is not evaluated, and the negative prompt is evaluated once
    where several paths see the same: the canvas is the same, at a part of the cost.
    """

    def __init__(
        self,
        model: Denoiser,
        settings: PainterSettings,
        scheduler: Any = DDIMScheduler,
        num_inference_steps: int | None = None,
        bootstrapping: float = BOOTSTRAPPING,
    ) -> None:
        self.model = model
        self.settings = settings
        self._scheduler = scheduler.from_config(model.make_scheduler().config)
        self._steps = num_inference_steps or settings.num_inference_steps
        self._bootstrapped = round(bootstrapping * self._steps)

    def layout(self, layout: RegionLayout, seed: int) -> np.ndarray:
        """The picture of a layout of regions, uint8 [H, W, 3]."""
        return self._paint(paper_masks(layout.masks, self.model.cell_px), layout, seed)

    def panorama(self, height: int, width: int, prompt: str, seed: int) -> np.ndarray:
        """The picture of one prompt on a canvas of so many pixels, uint8 [H, W, 3]."""
        cell_px = self.model.cell_px
        masks = torch.ones(1, height // cell_px, width // cell_px)
        return self._paint(masks, RegionLayout("", (), (), prompt), seed)

    def _paint(self, masks: Tensor, layout: RegionLayout, seed: int) -> np.ndarray:
        model, seed = self.model, self.settings.picture_seed(seed)
        canvas = Size(*masks.shape[-2:])
        generator = torch.Generator().manual_seed(seed)
        prompts = (layout.background, *layout.prompts, "")
        windows = paper_windows(canvas, model.window)
        size_px = [side * model.cell_px for side in windows[0].size]
        colours = torch.rand(_BACKDROPS, 3, 1, 1, generator=generator) * 2 - 1
        scene = PaperScene(
            masks,
            model.encode_prompts(prompts),
            model.encode(colours.expand(-1, -1, *size_px)),
            windows,
        )
        latents = self.sample(scene, canvas_noise(seed, model.channels, canvas), generator)
        pixels = (model.decode(latents)[0].float() / 2 + 0.5).clamp(0, 1)
        return (pixels * 255).round().permute(1, 2, 0).to("cpu", torch.uint8).numpy()

    @torch.no_grad()
    def sample(self, scene: PaperScene, noise: Tensor, generator: torch.Generator) -> Tensor:
        """From noise [1, C, H, W] to the latents of a picture."""
        self._scheduler.set_timesteps(self._steps, device=self.model.device)
        latents = noise = noise.to(self.model.device)
        paths = self.paths(scene)
        for i, timestep in enumerate(self._scheduler.timesteps):
            inputs = torch.stack([crop(latents[0], scene.windows[v]) for v, _ in paths])
            bootstrapped = i < self._bootstrapped
            # Drawn for every window and region at every step, used or not.
            shape = (len(scene.windows), len(scene.masks))
            chosen = torch.randint(len(scene.backdrops), shape, generator=generator)
            if bootstrapped:
                crops = torch.stack([crop(noise[0], scene.windows[v]) for v, _ in paths])
                colours = scene.backdrops[[int(chosen[path]) for path in paths]].to(noise)
                backdrops = self._scheduler.add_noise(colours, crops, timestep[None])
                inputs = _only_inside(scene, paths, inputs, backdrops)
            guided = self.guided(scene, paths, inputs, timestep, shared=not bootstrapped)
            moved = self._scheduler.step(guided, timestep, inputs, generator=generator).prev_sample
            latents = average(moved, scene.masks.to(noise), scene.windows, paths)
        return latents

    def paths(self, scene: PaperScene) -> Paths:
        """Every window with every region that it sees anything of."""
        return [
            (v, r)
            for v, window in enumerate(scene.windows)
            for r, mask in enumerate(scene.masks)
            if bool(crop(mask, window).any())
        ]

    def guided(
        self, scene: PaperScene, paths: Paths, inputs: Tensor, timestep: Tensor, *, shared: bool
    ) -> Tensor:
        """Each path's guided prediction, [K, C, h, w]; `shared` where a window's see the same."""
        numbers = [r for _, r in paths]
        # Which row's evaluation of the negative prompt serves each path.
        rows = [v for v, _ in paths] if shared else list(range(len(paths)))
        first = {row: k for k, row in reversed([*enumerate(rows)])}
        wanted = self._predict(scene, inputs, timestep, numbers)
        plain = self._predict(scene, inputs[[*first.values()]], timestep, [-1] * len(first))
        negative = plain[[[*first].index(row) for row in rows]]
        return negative + self.settings.guidance_scale * (wanted - negative)

    def _predict(
        self, scene: PaperScene, inputs: Tensor, timestep: Tensor, numbers: Sequence[int]
    ) -> Tensor:
        batches = zip(
            inputs.split(_BATCH_SIZE), torch.tensor(numbers).split(_BATCH_SIZE), strict=True
        )
        made = [
            self.model.predict(batch, timestep, scene.conditions[conditions])
            for batch, conditions in batches
        ]
        return torch.cat(made).to(inputs)


def _only_inside(scene: PaperScene, paths: Paths, inputs: Tensor, backdrops: Tensor) -> Tensor:
    """What paths see while bootstrapped: themselves in their mask; the background sees all."""
    masks = torch.stack([crop(scene.masks[r], scene.windows[v]) for v, r in paths])[:, None]
    masks[[r == 0 for _, r in paths]] = 1
    return inputs * masks.to(inputs) + backdrops * (1 - masks.to(inputs))


def average(moved: Tensor, masks: Tensor, windows: Sequence[Window], paths: Paths) -> Tensor:
    """The canvas closest to all paths in least squares, [1, C, H, W]; zero where there is none."""
    value = torch.zeros(1, moved.shape[1], *masks.shape[-2:]).to(moved)
    count = torch.zeros(masks.shape[-2:]).to(moved)
    for path, (v, r) in zip(moved, paths, strict=True):
        top, left, bottom, right = windows[v]
        mask = crop(masks[r], windows[v])
        value[0, :, top:bottom, left:right] += mask * path
        count[top:bottom, left:right] += mask
    return torch.where(count > 0, value / count, value)


def paper_windows(canvas: Size, window: int) -> list[Window]:
    """Windows at every eighth of a window, as many as fit; what is left at the end has none.

    A canvas that is lower or narrower than a window has windows of its own height or width.
    """
    stride = max(1, window // _WINDOW_OVER_STRIDE)
    height, width = (min(window, side) for side in canvas)
    return [
        Window(top, left, top + height, left + width)
        for top in range(0, canvas.height - height + 1, stride)
        for left in range(0, canvas.width - width + 1, stride)
    ]


def paper_masks(masks: Sequence[np.ndarray], cell_px: int) -> Tensor:
    """Masks [H, W], bool or in 0..1 -> [R + 1, h, w] float in cells, background first.

    By nearest neighbour.
    """
    pixels = torch.from_numpy(np.stack(masks)).float()
    height, width = pixels.shape[-2:]
    cells = functional.interpolate(pixels[None], (height // cell_px, width // cell_px))[0]
    background = (1 - cells.sum(dim=0, keepdim=True)).clamp(min=0)
    return torch.cat([background, cells])
