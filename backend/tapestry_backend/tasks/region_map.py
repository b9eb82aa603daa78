"""Which region each pixel of a picture belongs to: labels for training other networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from tapestry_protocol.messages import Request

from .canvas import cut_output, painted_masks
from .canvas_source import visible_shares
from .plan import Plan, background_prompt


class RegionMap(NamedTuple):
    """Numbers of regions uint8 [height, width], and what each number means, ready for JSON.

    0 is the background, 1 the topmost region, 2 the one below it, and so on.
    """

    numbers: np.ndarray
    classes: list[dict[str, Any]]


def region_map(request: Request, blobs: Mapping[str, bytes], plan: Plan) -> RegionMap:
    """The region that has most of each pixel of the picture; of two that have as much, the upper.

    As the artist painted them, to the pixel: outlines are not softened (`feather_px`, loose
    regions). Where a picture is extended, regions go on beyond its old edge as they are painted.
    """
    masks = painted_masks(request, blobs, plan, softened=False)
    size = plan.canvas.height * plan.cell_px, plan.canvas.width * plan.cell_px
    most, numbers = torch.zeros(size), torch.zeros(size, dtype=torch.uint8)
    for place, (share, region) in enumerate(
        zip(visible_shares(masks, plan), plan.regions, strict=True)
    ):
        values, before = share.values * region.weight, share.part_of(most)
        larger = values > before
        number = (place + 1) % len(plan.regions)  # the background is the last
        share.part_of(numbers)[larger] = number
        before[larger] = values[larger]
    labels = cut_output(numbers, plan).numpy()
    prompts = [background_prompt(request), *(region.prompt for region in request.regions)]
    counts = np.bincount(labels.ravel(), minlength=len(prompts))
    classes = [
        {"number": number, "prompt": prompt, "pixels": int(counts[number])}
        for number, prompt in enumerate(prompts)
    ]
    return RegionMap(np.ascontiguousarray(labels), classes)
