"""DreamBooth as its authors and diffusers' script have it: the whole U-Net, with prior pictures.

Ruiz et al. 2023; rates and losses are those of diffusers' `train_dreambooth.py`: AdamW at 5e-6,
weight decay 0.01, one example and one prior picture a step, gradients cut at 1.
"""

from __future__ import annotations

from collections.abc import Callable

import diffusers
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...models.model_cache import ModelCache
from ..common.painter import Painter, PainterSettings
from ..common.progress import ProgressLog

_RATE, _DECAY, _LONGEST = 5e-6, 1e-2, 1.0
_PRIOR_PICTURES = 6


class DreamBooth:
    """Trains a copy of the model; the one that it was given stays as it is."""

    def __init__(self, model_cache: ModelCache, settings: PainterSettings) -> None:
        self._settings = settings
        cache = ModelCache(model_cache.catalogue, str(model_cache.device))
        self._painter = Painter(cache, settings, ProgressLog())
        self.steps = 0

    def taught(
        self,
        examples: np.ndarray,
        prompt: str,
        prior: str,
        seconds: float,
        clock: Callable[[], float],
    ) -> Painter:
        """A painter whose model was taught by examples, uint8 [N, H, W, 3], for so long.

        clock: by which the seconds are counted.
        """
        painter = self._painter
        model = painter.model
        unet = model.adapter_manager.networks["unet"]
        class_pictures = np.stack([painter.plain(prior, 9000 + i) for i in range(_PRIOR_PICTURES)])
        own, kept = (model.encode(_pixels(each)) for each in (examples, class_pictures))
        texts = torch.cat([model.encode_prompts([prompt]), model.encode_prompts([prior])])
        scheduler = diffusers.DDPMScheduler.from_config(model.make_scheduler("ddim").config)
        unet.requires_grad_(requires_grad=True)
        optimizer = torch.optim.AdamW(unet.parameters(), lr=_RATE, weight_decay=_DECAY)
        generator = torch.Generator().manual_seed(self._settings.seed)
        began = clock()
        self.steps = 0
        while clock() - began < seconds:
            rows = [
                int(torch.randint(len(each), (1,), generator=generator)) for each in (own, kept)
            ]
            clean = torch.stack([own[rows[0]], kept[rows[1]]])
            noise = torch.randn(clean.shape, generator=generator).to(clean)
            times = torch.randint(
                scheduler.config.num_train_timesteps, (2,), generator=generator
            ).to(clean.device)
            noisy = scheduler.add_noise(clean, noise, times)
            made = unet(noisy, times, texts, return_dict=False)[0]
            wanted = _wanted(scheduler, clean, noise, times)
            losses = functional.mse_loss(made, wanted, reduction="none").mean(dim=(1, 2, 3))
            losses.sum().backward()
            torch.nn.utils.clip_grad_norm_(unet.parameters(), _LONGEST)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            self.steps += 1
        unet.requires_grad_(requires_grad=False)
        return painter


def _wanted(
    scheduler: diffusers.DDPMScheduler, clean: Tensor, noise: Tensor, times: Tensor
) -> Tensor:
    if scheduler.config.prediction_type == "v_prediction":
        return scheduler.get_velocity(clean, noise, times)
    return noise


def _pixels(pictures: np.ndarray) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
