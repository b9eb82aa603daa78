"""Painting on from a picture that is there: known cells, continued edges, colours that match."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .layers import dilated
from .windows import Window, extent

FOLLOW_NEAR, FOLLOW_FAR = 0.1, 0.03
"""New cells follow the continued edges until the picture has this share of the variance of what the
model sees (`noise_schedule.share_until`): beside the known picture, and a window or more away from
it."""

_FADE_CELLS = 12
"""The colour correction of the new side has faded after this many cells (96 pixels at factor 8)."""

_MAX_CORRECTION = 48 / 255
"""A larger difference is content, not an error of the autoencoder."""

_MIRROR_PX = 12
"""The autoencoder's error pixel by pixel is mirrored this far beyond the border, fading."""

_STRIP_SHARES = (0.75, 0.55)
"""Where the first share of what is around a pixel is known, it lies in a strip; where no more than
the second is, beside a border."""

_SMOOTHINGS = 4
"""Rounds of averaging at each level of `pull_push`; makes it meet the known values smoothly."""


_NEAR_CELLS, _AGAIN_CELLS = 8, 4
"""Known cells further from the border than the first are left out, and further than the second not
encoded again: with everything, no pixel of four pictures changed by more than 0.3 of 255 levels."""


class Follow(NamedTuple):
    """How long new cells follow the continued edges, as shares of the steps.

    near: beside a known cell; far: `cells` or more away from the last one.
    """

    near: float
    far: float
    cells: int


def preserve_cells_until(
    preserve_until: Tensor, cell_px: int, follow: Follow | None = None, *, wrap: bool = False
) -> Tensor:
    """How long each cell preserves the picture that is there: a share of the steps.

    preserve_until [H, W] in 0..1: the same for each pixel -> [h, w] float32. A cell is as free as
    its freest pixel: with a single unknown pixel (0) it is new. Around cells that are preserved to
    the end (1), new ones follow the continued edges for the first steps, the longer the nearer:
    while there is still more noise than picture, this hands on what is large (light, colour, where
    the horizon lies) and nothing that is small. Where the canvas wraps, cells at its right edge lie
    beside those at its left one.
    """
    until = -functional.max_pool2d(-preserve_until[None, None], cell_px)[0, 0]
    known = (until >= 1).to(until)
    if follow is None or not bool(known.any()):
        return until
    until, reached = until.clamp(min=follow.far), known[None]
    for distance in range(follow.cells):
        reached = dilated(reached, 1, wrap=wrap)
        level = follow.near + (follow.far - follow.near) * distance / follow.cells
        until = torch.maximum(until, reached[0] * level)
    return until


def continue_edges(pixels: Tensor, known: Tensor, *, wrap: bool = False) -> Tensor:
    """Fill what is unknown with the colours beside it.

    pixels [1, 3, H, W], known [H, W] bool -> [1, 3, H, W]. Holes are filled from coarser means
    around them (pull-push); outside the known rectangle its edges are continued. A picture
    without any known pixel becomes mid-grey (0). Where it wraps, the way around leads evenly from
    its right edge to its left one.
    """
    if not bool(known.any()):
        return torch.zeros_like(pixels)
    top, left, bottom, right = _box(known)
    filled = pull_push(pixels[..., top:bottom, left:right], known[top:bottom, left:right])
    row = torch.arange(pixels.shape[-2]).clamp(top, bottom - 1) - top
    column = torch.arange(pixels.shape[-1]).clamp(left, right - 1) - left
    whole = filled[..., row, :][..., column]
    gap = pixels.shape[-1] - (right - left)
    if wrap and gap:
        around = (torch.arange(right, right + gap)) % pixels.shape[-1]
        share = torch.arange(1, gap + 1).to(whole) / (gap + 1)
        ends = whole[..., right - 1, None], whole[..., left, None]
        whole[..., around] = torch.lerp(*ends, share)
    return whole


def pull_push(values: Tensor, known: Tensor, *, wrap: bool = False) -> Tensor:
    """Interpolate smoothly from known places, as a soap film does.

    values [1, C, H, W], known [H, W] bool with at least one True -> [1, C, H, W]. Means of coarser
    and coarser cells are pushed down to where nothing is known (Gortler et al. 1996), smoothed at
    every level. Where the canvas wraps, what is known at one side goes on at the other.
    """
    if wrap:
        width = values.shape[-1]
        around = torch.arange(-(width // 2), width + width // 2) % width
        whole = pull_push(values[..., around], known[:, around])
        return whole[..., width // 2 : width // 2 + width]
    weight = known[None, None].to(values)
    return _pull_push(values * weight, weight)


def match_colours(
    decoded: Tensor,
    original: Tensor,
    known: Tensor,
    cell_px: int,
    carried: Tensor | float = 1.0,
) -> Tensor:
    """Take the autoencoder's error out of the new side, as far as the border shows it.

    decoded, original [1, 3, H, W], known [H, W] bool -> the original where it is known, the decoded
    picture elsewhere, corrected. A shift of colour is continued over the border as a membrane
    (Poisson image editing, Perez et al. 2003) that fades slowly; what remains is the autoencoder's
    error pixel by pixel, mirrored at the border and faded within a few pixels: no line shows. The
    border may have any shape. carried [H, W] in 0..1: how much of the rest goes over it.
    """
    cells = _fully(known, cell_px)
    error = (original - decoded) * known
    shift = torch.zeros_like(error)
    if bool(cells.any()):
        even = pull_push(functional.avg_pool2d(error, cell_px), cells > 0) * _fade(cells)
        shift = functional.interpolate(even, decoded.shape[-2:], mode="bilinear")
    rest = _mirrored(torch.where(known, error - shift, 0) * carried, known)
    correction = (shift + rest).clamp(-_MAX_CORRECTION, _MAX_CORRECTION)
    return torch.where(known, original, decoded + correction)


def same_content(decoded: Tensor, original: Tensor, known: Tensor, cell_px: int) -> Tensor:
    """Where the new side shows the same as the known one: [H, W] in 0..1.

    decoded, original [1, 3, H, W], known [H, W] bool. The cells that are known in part tell: what
    was painted there is compared with what is known. Where its mean is quite another one, the
    border is an outline between two things, and nothing may be carried over it; 1 where no such
    cell is near.
    """
    whole = _fully(known, cell_px).repeat_interleave(cell_px, dim=0)
    partly = known & (whole.repeat_interleave(cell_px, dim=1) == 0)
    counted = partly[None, None].to(decoded)
    side = 2 * cell_px + 1
    sums = functional.avg_pool2d(
        torch.cat([(original - decoded) * counted, counted], dim=1), side, 1, side // 2
    )
    off = (sums[:, :-1] / sums[:, -1:].clamp(min=1e-6)).abs().amax(dim=1)[0]
    return (2 - 2 * off / _MAX_CORRECTION).clamp(0, 1)


class Border(NamedTuple):
    """Where known and new cells meet, and how much of the canvas [h, w] that concerns.

    near     the cells that the border's own look depends on, on both sides of it
    again    [h, w] bool: cells that no longer fit their neighbours when what is new is decoded
    beyond   everything new, and as much beside it as its colours are matched with
    """

    near: Window
    again: Tensor
    beyond: Window


def find_border(known: Tensor, cell_px: int) -> Border | None:
    """The border of what is known [H, W] bool; None where all or nothing is."""
    new, old = (
        functional.max_pool2d(pixels.float()[None, None], cell_px) for pixels in (~known, known)
    )
    if not bool(new.any()) or not bool(old.any()):
        return None
    near_new = _spread(new, _NEAR_CELLS)
    again = _spread(old, 1) * _spread(new, _AGAIN_CELLS)
    return Border(
        Window(*_box((near_new * _spread(old, _NEAR_CELLS))[0, 0])),
        again[0, 0] > 0,
        Window(*_box(near_new[0, 0])),
    )


def turn_to_middle(known: Tensor, cell_px: int) -> int:
    """By how many cells to roll a canvas that wraps, so that what is known [H, W] lies amid it.

    Where something is known in every column, what is new lies amid it.
    """
    amid = known.any(dim=0)
    amid = (~known).any(dim=0) if bool(amid.all()) else amid
    if bool(amid.all()) or not bool(amid.any()):
        return 0
    left, right = extent(amid, wrap=True)
    return (known.shape[-1] - left - right) // (2 * cell_px)


def _mirrored(values: Tensor, known: Tensor) -> Tensor:
    """Values [1, C, H, W] of known pixels, carried on beyond their border and faded there.

    [1, C, H, W], 0 where `known` [H, W] or far from it. Mirrored at the nearest known pixel, and at
    that point, not at a line (2 v(edge) - v(mirror)): so the slope carries on, too. Where the
    mirror is not known itself, beside a tip or a thin stroke, the edge's own value is carried on;
    likewise where the mirror shows something else than was painted there: a difference as large as
    that is content, no error of the autoencoder, and its negative would stand as a line. In a strip
    with something known at both sides the errors of its edges meet: there it is the mean around
    the edge that is carried on, or single pixels would stand as specks.
    """
    place, edge = nearest_known(known, _MIRROR_PX)
    is_open = _is_open(known)[_at(place)]
    mirror = 2 * edge - place
    size = torch.tensor(known.shape)
    on_canvas = ((mirror >= 0) & (mirror < size)).all(dim=1)
    mirror = torch.where(on_canvas[:, None], mirror, edge)
    mirror = torch.where(known[_at(mirror)][:, None], mirror, edge)
    fade = 1 - (place - edge).float().norm(dim=1) / _MIRROR_PX
    carried = torch.zeros_like(values)
    at_edge, at_mirror = values[0][:, *_at(edge)], values[0][:, *_at(mirror)]
    slope = (at_edge - at_mirror) * _is_error(at_mirror)
    around = _mean_of_known(values, known)[0][:, *_at(edge)]
    rest = (at_edge + slope) * _is_error(at_edge) * is_open
    rest += around * _is_error(around) * (1 - is_open)
    carried[0][:, *_at(place)] = rest * fade * fade * (3 - 2 * fade)
    return carried


def _is_open(known: Tensor) -> Tensor:
    """How far pixels lie beside a border rather than in a strip: [H, W] in 0..1.

    By the share of what is known around them: half of it beside a straight border.
    """
    side = 2 * _MIRROR_PX + 1
    around = known[None, None].float()
    share = functional.avg_pool2d(around, side, 1, _MIRROR_PX, count_include_pad=False)[0, 0]
    most, least = _STRIP_SHARES
    return ((most - share) / (most - least)).clamp(0, 1)


def _mean_of_known(values: Tensor, known: Tensor) -> Tensor:
    """Values [1, C, H, W], each the mean of the known ones among it and its neighbours."""
    counted = torch.cat([values * known, known[None, None].to(values)], dim=1)
    sums = functional.avg_pool2d(counted, 3, 1, 1)
    return sums[:, :-1] / sums[:, -1:].clamp(min=1e-6)


def _is_error(values: Tensor) -> Tensor:
    """How far differences [C, K] are small enough for errors of the autoencoder: [K] in 0..1."""
    return (2 - 2 * values.abs().amax(dim=0) / _MAX_CORRECTION).clamp(0, 1)


def nearest_known(known: Tensor, reach_px: int) -> tuple[Tensor, Tensor]:
    """Unknown pixels that have a known one nearer than `reach_px`, and the nearest of each.

    known [H, W] bool -> two [K, 2] int64 of (row, column). Exact, by distances along columns that
    are compared along rows (Felzenszwalb and Huttenlocher 2012, with a limit).
    """
    rows = torch.arange(known.shape[0], dtype=torch.int32)[:, None].expand(known.shape)
    far = 2 * max(known.shape) + reach_px
    above = torch.where(known, rows, -far).cummax(dim=0).values
    below = torch.where(known, rows, far).flip(0).cummin(dim=0).values.flip(0)
    row = torch.where(rows - above <= below - rows, above, below)
    squares = ((row - rows).clamp(-reach_px, reach_px) ** 2)[None, None]
    aside = functional.pad(squares, (reach_px, reach_px), value=reach_px**2)[0, 0]
    best, steps = squares[0, 0].clone(), torch.zeros_like(row)
    for step in sorted(range(1 - reach_px, reach_px), key=abs):
        left = reach_px + step
        distance = aside[:, left : left + known.shape[1]] + step**2
        nearer = distance < best
        best[nearer], steps[nearer] = distance[nearer], step
    place = torch.nonzero(~known & (best < reach_px**2))
    column = place[:, 1] + steps[_at(place)]
    return place, torch.stack([row[place[:, 0], column].long(), column], dim=1)


def _at(places: Tensor) -> tuple[Tensor, Tensor]:
    """Places [K, 2] as an index of rows and columns."""
    return places[:, 0], places[:, 1]


def _spread(cells: Tensor, count: int) -> Tensor:
    """Cells [1, 1, h, w] that are not 0, and those that lie within so many cells of them."""
    return functional.max_pool2d(cells, 2 * count + 1, stride=1, padding=count)


def _box(known: Tensor) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) around what is known, half-open."""
    rows = torch.nonzero(known.any(dim=1)).flatten()
    columns = torch.nonzero(known.any(dim=0)).flatten()
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


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
    here = weighted / weight.clamp(min=1e-8)
    size = weight.shape[-2:]
    if bool((weight > 0).all()) or max(size) == 1:
        return here
    pad = (0, size[1] % 2, 0, size[0] % 2)
    coarse = _pull_push(
        functional.avg_pool2d(functional.pad(weighted, pad), 2),
        functional.avg_pool2d(functional.pad(weight, pad), 2),
    )
    values = functional.interpolate(coarse, scale_factor=2, mode="bilinear")
    values = torch.where(weight > 0, here, values[..., : size[0], : size[1]])
    for _ in range(_SMOOTHINGS):
        around = functional.avg_pool2d(functional.pad(values, (1, 1, 1, 1), mode="replicate"), 3, 1)
        values = torch.where(weight > 0, here, around)
    return values
