"""Painting on from a picture that is there: known cells, continued edges, colours that match."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TRANSITION_KEEP = 0.3
"""Share of the steps during which the first new cell still follows the continued edge."""

_FADE_CELLS = 12
"""The colour correction of the new side has faded after this many cells (96 pixels at factor 8)."""

_MAX_CORRECTION = 24 / 255
"""A larger difference is content, not a colour shift of the autoencoder."""


def keep_map(known: Tensor, cell_px: int) -> Tensor:
    """How long each cell keeps to the known picture: 1 for known cells, 0 for new ones.

    known [H, W] bool, in pixels -> [h, w] float32. A cell with a single unknown pixel is new; new
    cells beside known ones follow the continued edge for the first steps (a soft transition on the
    new side only).
    """
    cells = _fully(known, cell_px)
    beside = functional.max_pool2d(cells[None, None], 3, stride=1, padding=1)[0, 0]
    return torch.maximum(cells, beside * TRANSITION_KEEP)


def continue_edges(pixels: Tensor, known: Tensor) -> Tensor:
    """Fill what is unknown with the colours beside it.

    pixels [1, 3, H, W], known [H, W] bool -> [1, 3, H, W]. Holes are filled from coarser means
    around them (pull-push); outside the known rectangle its edges are continued. A picture
    without any known pixel becomes mid-grey (0).
    """
    if not bool(known.any()):
        return torch.zeros_like(pixels)
    rows = torch.nonzero(known.any(dim=1)).flatten()
    columns = torch.nonzero(known.any(dim=0)).flatten()
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    filled = pull_push(pixels[..., top:bottom, left:right], known[top:bottom, left:right])
    row = torch.arange(pixels.shape[-2]).clamp(top, bottom - 1) - top
    column = torch.arange(pixels.shape[-1]).clamp(left, right - 1) - left
    return filled[..., row, :][..., column]


def pull_push(values: Tensor, known: Tensor) -> Tensor:
    """Interpolate smoothly from known places: values [1, C, H, W], known [H, W] bool."""
    weight = known[None, None].to(values)
    return _pull_push(values * weight, weight)


def match_colours(decoded: Tensor, original: Tensor, known: Tensor, cell_px: int) -> Tensor:
    """Take the autoencoder's colour shift out of the new side, as far as the border shows it.

    decoded, original [1, 3, H, W], known [H, W] bool -> decoded, corrected. The difference between
    original and decoded on known cells is carried over smoothly to the new side, where it fades:
    a cheap stand-in for the membrane of Poisson blending (Perez et al. 2003), with one border.
    """
    cells = _fully(known, cell_px)
    if not bool(cells.any()):
        return decoded
    difference = functional.avg_pool2d((original - decoded) * known.to(decoded), cell_px)
    correction = pull_push(difference, cells > 0).clamp(-_MAX_CORRECTION, _MAX_CORRECTION)
    correction = correction * _fade(cells)
    size = decoded.shape[-2:]
    return decoded + functional.interpolate(correction, size, mode="bilinear")


def _fully(known: Tensor, cell_px: int) -> Tensor:
    """[h, w] float32: 1 where all pixels of a cell are known."""
    return 1 - functional.max_pool2d((~known).float()[None, None], cell_px)[0, 0]


def _fade(cells: Tensor) -> Tensor:
    """[h, w]: 1 on known cells, falling linearly to 0 over the first new cells."""
    reached, fade = cells[None, None], cells.clone()
    for _ in range(_FADE_CELLS - 1):
        reached = functional.max_pool2d(reached, 3, stride=1, padding=1)
        fade += reached[0, 0]
    return fade / _FADE_CELLS


def _pull_push(weighted: Tensor, weight: Tensor) -> Tensor:
    if bool((weight > 0).all()) or max(weight.shape[-2:]) == 1:
        return weighted / weight.clamp(min=1e-8)
    size = weight.shape[-2:]
    pad = (0, size[1] % 2, 0, size[0] % 2)
    coarse = _pull_push(
        functional.avg_pool2d(functional.pad(weighted, pad), 2),
        functional.avg_pool2d(functional.pad(weight, pad), 2).clamp(max=1),
    )
    pushed = functional.interpolate(coarse, scale_factor=2, mode="bilinear")
    pushed = pushed[..., : size[0], : size[1]]
    here = weighted / weight.clamp(min=1e-8)
    return torch.where(weight > 0, here, pushed)
