"""Layers that melt together: a collage becomes one picture.

As Collage Diffusion (Sarukkai et al. 2023) does it: one path paints everything, from the layers'
own paint, each for its own share of the steps, so that they get one light and one style. What each
shows stays where it is by its words, which count more for the cells that its layer covers, and less
for all others. Here each layer's words are read by themselves: in one text their colours would pass
from one thing to another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor

from tapestry_protocol.messages import Region, Request
from tapestry_protocol.sentences import Sentence

from ..engine.composition import area_mean
from ..engine.noise_schedule import SamplingStep
from ..engine.windows import Size, Window, crop
from ..models.denoiser import Denoiser
from .plan import Plan, styled

_FIRMNESS = 8.0
"""At a melt of 1, and with as much noise as picture times e: by this logarithm words count more in
their places, and less in others. With a quarter of it colours pass from one thing to its neighbour;
at half of it every thing has its own, and is drawn whole."""

_LEAST_ALPHA = 0.01
"""Some schedules begin with nothing but noise."""


class Melting:
    """Where the words of a plan's regions look, and those of what no region covers.

    places    [N + 1, h, w] in 0..1: each region's share of each cell, the background's as the last
    """

    def __init__(self, model: Denoiser, plan: Plan, places: Tensor) -> None:
        request = plan.request
        self._model = model
        self._melt = request.melt
        background = styled(request.prompt, request.style)
        of_each = [*(region.prompt for region in plan.regions[:-1]), background]
        self._prompts = [p for p in dict.fromkeys(of_each) if p.strip()]
        same = [[p == other for other in of_each] for p in self._prompts]
        self._places = torch.einsum("pn,nhw->phw", torch.tensor(same).float(), places)
        self._lengths: list[int] = []

    def encode(self, whole: str, guidance_scale: float) -> Tensor:
        """The condition [1, T, D] that all of it is painted with; whole: its text."""
        condition, self._lengths = self._model.encode_collage(self._prompts, whole, guidance_scale)
        return condition

    def told(
        self,
        step: SamplingStep,
        size: Size,
        windows: Sequence[Window],
        is_negative: Sequence[bool],
    ) -> AbstractContextManager[None]:
        """Inside, rows of these windows, on a canvas of this size, attend to words at their places.

        The less noise there is, the less firmly: at the end all is drawn as one picture.
        """
        firmness = self._melt * _FIRMNESS * math.log1p(step.sigma / max(step.alpha, _LEAST_ALPHA))
        places = area_mean(self._places[None], size)[0] * 2 - 1
        biases = [
            crop(places, window) * (firmness * (not negative))
            for window, negative in zip(windows, is_negative, strict=True)
        ]
        return self._model.attention_biased(torch.stack(biases), self._lengths)


def melted(request: Request) -> tuple[Request, tuple[str, ...]]:
    """The request with regions that are nothing but paint and words; and what does not count."""
    regions = tuple(_plain(region) for region in request.regions)
    alone = [replace(region, fit="loose") for region in request.regions]
    notice = Sentence(
        "Layers that melt together are painted as one: the negative prompts, guidance, seeds and "
        "adapters of single layers do not count."
    )
    return replace(request, regions=regions), () if list(regions) == alone else (notice,)


def _plain(region: Region) -> Region:
    """One whose latents are those of all."""
    return replace(
        region,
        fit="loose",
        negative_prompt=None,
        guidance_scale=None,
        seed=None,
        loras=(),
        controls=(),
    )
