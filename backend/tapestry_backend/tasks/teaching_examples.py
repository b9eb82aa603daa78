"""Examples as a model is shown them: what is painted, in several variants, as latents."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Teach
from tapestry_protocol.sentences import Sentence

from ..engine.learning import Shown
from ..models.denoiser import Denoiser
from .canvas import pixel_array

_TURN_DEGREES = 8.0
_LIGHTER, _DARKER = 1.1, 0.9
_BESIDE_CELLS = 4
"""How far around the paint its own colours go on, so that the autoencoder sees no edge there."""


class Example(NamedTuple):
    """What is painted of a picture: colours [3, H, W] in 0..1, and opacity [H, W] in 0..1."""

    pixels: Tensor
    opacity: Tensor


def read_examples(teach: Teach, blobs: Mapping[str, bytes], cell_px: int) -> list[Example]:
    """The examples, each cut to its paint.

    Raises TapestryError when fewer than two have some paint, or one has less than a cell of it.
    """
    found, empty = [], 0
    for picture in teach.examples:
        rgba = torch.from_numpy(pixel_array(picture, blobs)).permute(2, 0, 1).float() / 255
        painted = torch.nonzero(rgba[3] > 0)
        if not len(painted):
            empty += 1
            continue
        top, left = painted.amin(dim=0).tolist()
        bottom, right = (painted.amax(dim=0) + 1).tolist()
        if min(bottom - top, right - left) < cell_px:
            raise _too_small(right - left, bottom - top, cell_px)
        cut = rgba[:, top:bottom, left:right]
        found.append(Example(cut[:3], cut[3]))
    if len(found) < 2:
        raise _nothing_painted(empty, len(found))
    return found


def variants_of(examples: Sequence[Example], teach: Teach) -> Iterator[Example]:
    """Each as it is, and as the switches say."""
    for example in examples:
        mirrored = [example, *([_mirrored(example)] if teach.flips else [])]
        turned = list(mirrored)
        if teach.turns:
            turned += [_turned(each, angle) for each in mirrored for angle in _ANGLES]
        for each in turned:
            yield each
            if teach.light:
                yield each._replace(pixels=(each.pixels * _LIGHTER).clamp(0, 1))
                yield each._replace(pixels=each.pixels * _DARKER)


_ANGLES = (-_TURN_DEGREES, _TURN_DEGREES)


def shown_examples(variants: Sequence[Example], model: Denoiser, text: int) -> list[Shown]:
    """Their latents, and how much of each cell is painted. Each is a window at least.

    Beside the paint its colours go on, which counts nothing; small ones lie in the middle.
    """
    return [_shown(each, model, text) for each in variants]


def _shown(example: Example, model: Denoiser, text: int) -> Shown:
    side = model.window * model.cell_px
    height, width = (
        max(side, math.ceil(length / model.cell_px) * model.cell_px)
        for length in example.opacity.shape
    )
    top = (height - example.opacity.shape[0]) // 2
    left = (width - example.opacity.shape[1]) // 2
    pads = (
        left,
        width - left - example.opacity.shape[1],
        top,
        height - top - example.opacity.shape[0],
    )
    opacity = functional.pad(example.opacity, pads)
    pixels = functional.pad(example.pixels, pads)
    filled = _continued(pixels, opacity, _BESIDE_CELLS * model.cell_px)
    clean = model.encode(filled[None] * 2 - 1)
    counts = functional.avg_pool2d(opacity[None, None], model.cell_px)[0, 0]
    counts = torch.where(counts > 0.5, counts, torch.zeros_like(counts))
    if not bool((counts > 0).any()):  # a thin line, or thin paint: what there is
        counts = functional.avg_pool2d(opacity[None, None], model.cell_px)[0, 0]
    return Shown(clean, counts, text)


def _continued(pixels: Tensor, opacity: Tensor, reach_px: int) -> Tensor:
    """Colours [3, H, W] that go on beyond the paint: near ones near it, their mean far away."""
    weight = opacity[None]
    mean = (pixels * weight).sum(dim=(1, 2), keepdim=True) / weight.sum()
    size = 2 * reach_px + 1
    most = [min(size, 2 * ((length - 1) // 2) + 1) for length in opacity.shape]
    pool: dict[str, Any] = {
        "kernel_size": most,
        "stride": 1,
        "padding": [side // 2 for side in most],
    }
    near = functional.avg_pool2d((pixels * weight)[None], **pool)[0]
    share = functional.avg_pool2d(weight[None], **pool)[0]
    beside = torch.where(share > 1e-6, near / share.clamp(min=1e-6), mean)
    return pixels * weight + beside * (1 - weight)


def _mirrored(example: Example) -> Example:
    return Example(example.pixels.flip(-1), example.opacity.flip(-1))


def _turned(example: Example, degrees: float) -> Example:
    """Turned about its middle; what comes in from outside is not painted."""
    height, width = example.opacity.shape
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = torch.tensor([[cos, -sin * height / width, 0.0], [sin * width / height, cos, 0.0]])
    stacked = torch.cat([example.pixels * example.opacity, example.opacity[None]])[None]
    grid = functional.affine_grid(matrix[None], list(stacked.shape), align_corners=False)
    turned = functional.grid_sample(stacked, grid, align_corners=False)[0]
    opacity = turned[3]
    return Example(turned[:3] / opacity.clamp(min=1e-3) * (opacity > 1e-3), opacity)


def _too_small(width: int, height: int, cell_px: int) -> TapestryError:
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        Sentence(
            "An example is painted on {width} x {height} pixels; the model sees nothing smaller "
            "than {cell}.",
            width=width,
            height=height,
            cell=cell_px,
        ),
        "Choose layers with more paint, or leave that one out.",
    )


def _nothing_painted(empty: int, painted: int) -> TapestryError:
    problem = Sentence("Examples that are transparent everywhere: {count}.", count=empty)
    if not painted:
        problem = Sentence("All examples are transparent everywhere.")
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        problem,
        "Choose 3 to 5 layers that have paint on them and show the same thing.",
    )
