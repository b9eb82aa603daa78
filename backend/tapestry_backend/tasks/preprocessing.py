"""What control networks are shown of a layer: lines, edges, the map of the regions."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..engine.regions import PaintedMask, occlude
from ..engine.windows import Size

CANNY_LOW, CANNY_HIGH = 0.05, 0.1
"""Thresholds of weak and of strong edges, as shares of a step from black to white (Canny 1986)."""

_CANNY_SOFT_PX = 1.4

_REACH_PX = 64
"""Pixels along which a weak edge counts as the continuation of a strong one."""

_GOLDEN = 0.618034


def on_black(rgba: Tensor) -> Tensor:
    """A layer [4, H, W] uint8 as it is, black where nothing is painted: [3, H, W] in 0..1."""
    return rgba[:3].float() * rgba[3:].float() / 255**2


def drawn_lines(rgba: Tensor) -> Tensor:
    """What is drawn on a layer [4, H, W] uint8, white on black: [3, H, W] in 0..1.

    On a transparent layer everything that is painted is a line, whatever its colour; on an opaque
    one, such as a scan, what is dark.
    """
    alpha = rgba[3].float() / 255
    lines = alpha if bool((alpha < 1).any()) else 1 - grey(rgba[:3].float() / 255)
    return lines.expand(3, -1, -1)


def grey(rgb: Tensor) -> Tensor:
    """Luma (BT.601) of [3, H, W] in 0..1: [H, W]."""
    return (rgb * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(dim=0)


def canny_edges(rgb: Tensor) -> Tensor:
    """Canny's edges of a picture [3, H, W] in 0..1, a pixel thin, white on black: the same shape.

    Steps are found in a picture softened by a Gaussian of 1.4 pixels; of each, only the ridge
    counts, and a weak one only near a strong one of the same line.
    """
    down, right = _steps(_soften(grey(rgb), _CANNY_SOFT_PX))
    # A step of height 1 is so much flatter after the Gaussian.
    steep = torch.hypot(down, right) * _CANNY_SOFT_PX * math.sqrt(2 * math.pi)
    ridge = torch.where(_is_ridge(steep, down, right), steep, 0.0)
    weak, found = ridge >= CANNY_LOW, (ridge >= CANNY_HIGH).float()
    for _ in range(_REACH_PX):
        grown = functional.max_pool2d(found[None, None], 3, stride=1, padding=1)[0, 0] * weak
        if torch.equal(grown, found):
            break
        found = grown
    return found.expand(3, -1, -1)


def soft_edges(rgb: Tensor) -> Tensor:
    """How steep a picture [3, H, W] in 0..1 is, softened by 2 pixels, white on black: the same."""
    down, right = _steps(_soften(grey(rgb), 2.0))
    return (8 * torch.hypot(down, right)).clamp(max=1).sqrt().expand(3, -1, -1)


def region_map(
    masks: Sequence[PaintedMask], colours: Sequence[Sequence[float]], size_px: Size
) -> Tensor:
    """Every region, topmost first, in its colour, of numbers in 0..1: [3, H, W] in 0..1.

    Where no region is more than half, the colour is the last one, the background's.
    """
    owners = occlude(masks, size_px, 1).argmax(dim=0)
    return torch.tensor(colours)[owners].permute(2, 0, 1)


def colour_of(number: int) -> tuple[float, float, float]:
    """Plain colours that differ as much as they can, whatever their number."""
    return colorsys.hsv_to_rgb(
        number * _GOLDEN % 1, 0.6 + 0.4 * (number % 2), 1 - 0.3 * (number % 3)
    )


def _soften(values: Tensor, sigma_px: float) -> Tensor:
    reach = round(3 * sigma_px)
    places = torch.arange(-reach, reach + 1.0)
    kernel = torch.exp(-(places**2) / (2 * sigma_px**2))
    kernel /= kernel.sum()
    padded = functional.pad(values[None, None], (reach,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel[None, None, :, None])
    return functional.conv2d(rows, kernel[None, None, None, :])[0, 0]


def _steps(values: Tensor) -> tuple[Tensor, Tensor]:
    """How much [H, W] rises downwards and to the right: a pixel's step, by Sobel's operator."""
    kernel = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]) / 8
    padded = functional.pad(values[None, None], (1,) * 4, mode="replicate")
    both = functional.conv2d(padded, torch.stack([kernel, kernel.T])[:, None])[0]
    return both[0], both[1]


def _is_ridge(steep: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Whether a pixel is at least as steep as its two neighbours across the edge: [H, W] bool."""
    around = functional.pad(steep[None, None], (1,) * 4)[0, 0]
    height, width = steep.shape

    def neighbour(rows: int, columns: int) -> Tensor:
        return around[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    # Of two equally steep neighbours only one is the ridge.
    def is_top(rows: int, columns: int) -> Tensor:
        return (steep > neighbour(-rows, -columns)) & (steep >= neighbour(rows, columns))

    flat, upright = right.abs() > 2.4142 * down.abs(), down.abs() > 2.4142 * right.abs()
    slanted = torch.where(down * right > 0, is_top(1, 1), is_top(1, -1))
    return torch.where(flat, is_top(0, 1), torch.where(upright, is_top(1, 0), slanted))
