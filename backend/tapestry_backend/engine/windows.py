"""Windows: rectangles of the latent canvas at the model's own size, and plans that cover it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Weighting = Literal["linear", "flat", "gaussian"]

_GAUSSIAN_VARIANCE = 0.01

_HARDLY_LARGER = 1.25
"""Times the native area. Models bear that, and two windows that see nearly the same cost more."""


class Size(NamedTuple):
    """Height and width, in latent cells."""

    height: int
    width: int


class Window(NamedTuple):
    """A rectangle of the latent canvas, half-open; `right` exceeds the width where it wraps."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> Size:
        return Size(self.bottom - self.top, self.right - self.left)

    def moved(self, down: int, right: int) -> Window:
        """The same, as far away."""
        return Window(self.top + down, self.left + right, self.bottom + down, self.right + right)


def native_window(canvas: Size, side: int, step: int = 1, longest: float = math.inf) -> Size:
    """The size of a model's window on a canvas of so many cells.

    side       of the square that the model paints best, in cells
    step       cells that the window's sides are multiples of where the canvas decides about them
    longest    cells on a side that the model can see at once

    It is that square, unless the canvas is lower or narrower. Then the window is as low or narrow
    as the canvas, and as long along the other axis as the square's area allows: the sizes that
    models are trained with besides squares. Those go to four times as long as high, so no side is
    shorter than half of the square's; what is smaller must be padded. A canvas that is hardly
    larger than such a window is a window itself.
    """
    if min(canvas) >= side:
        return Size(side, side)
    least = min(_whole(side / 2, step), side)
    height, width = (max(_whole(length, step), least) for length in canvas)
    short, long = min(height, width, side), max(height, width)
    if short * long > _HARDLY_LARGER * side**2:
        long = _whole(side**2 / short, step)
    long = int(min(long, longest)) // step * step
    return Size(short, long) if height <= width else Size(long, short)


class Factor(NamedTuple):
    """A window, or the overlap of some, and its sign: 1, or -1 for what is taken off."""

    window: Window
    sign: int


def axis_starts(length: int, window: int, stride: int, *, wrap: bool = False) -> list[int]:
    """Where windows start along one axis so that every cell is covered.

    Starts are spread evenly, at most `stride` apart, and the last window ends at the border. (The
    original's planner, (length - window) // stride + 1 fixed steps, leaves the last columns without
    a window at many lengths.) With `wrap`, windows go on over the border to the other side.
    """
    if length < 1 or window < 1 or stride < 1:
        raise ValueError(f"length {length}, window {window} and stride {stride} must be positive")
    window = min(window, length)
    stride = min(stride, window)
    if wrap:
        count = math.ceil(length / stride)
        return [round(i * length / count) for i in range(count)]
    count = math.ceil((length - window) / stride) + 1
    return [round(i * (length - window) / max(1, count - 1)) for i in range(count)]


def plan_windows(canvas: Size, window: Size, stride: Size, *, wrap: bool = False) -> list[Window]:
    """Windows that cover the whole canvas, in reading order; `wrap` joins left and right edge.

    A canvas smaller than a window along an axis takes windows of the canvas' own length there.
    """
    height, width = min(window.height, canvas.height), min(window.width, canvas.width)
    return [
        Window(top, left, top + height, left + width)
        for top in axis_starts(canvas.height, height, stride.height)
        for left in axis_starts(canvas.width, width, stride.width, wrap=wrap)
    ]


def fitted_windows(
    mask: Tensor, window: Size, stride: Size, *, wrap: bool = False, margin: int = 0
) -> list[Window]:
    """Windows that cover where a mask [H, W] is positive, laid around it rather than on a grid.

    Along an axis on which the mask is no longer than a window, one window lies with the mask in its
    middle (moved inside the canvas, unless it wraps): models put their subject there, and no window
    is spent on what the mask does not touch. Windows that are needed anyway are spread as far as
    `margin` cells beyond the mask. An empty mask has no windows.
    """
    canvas = Size(*mask.shape)
    size = Size(min(window.height, canvas.height), min(window.width, canvas.width))
    occupied = mask > 0
    if not bool(occupied.any()):
        return []
    rows = extent(occupied.any(dim=1), wrap=False)
    columns = extent(occupied.any(dim=0), wrap=wrap)
    tops = _around(rows, canvas.height, size.height, stride.height, wrap=False, margin=margin)
    lefts = _around(columns, canvas.width, size.width, stride.width, wrap=wrap, margin=margin)
    windows = [
        Window(top, left, top + size.height, left + size.width) for top in tops for left in lefts
    ]
    return [w for w in windows if bool(crop(occupied, w).any())]


def shifted_windows(
    canvas: Size, window: Size, offset: Size, *, wrap: bool = False
) -> list[Window]:
    """Windows side by side, the whole grid moved by `offset` cells (0 <= offset < window).

    Without wrapping, windows that would reach beyond the border lie at the border instead, so every
    cell is covered at every offset (SpotDiffusion, Frolov et al. 2024, rolls the canvas instead;
    FSTD, Zheng et al. 2023, leaves a strip without a window).
    """
    height, width = min(window.height, canvas.height), min(window.width, canvas.width)
    return [
        Window(top, left, top + height, left + width)
        for top in _shifted(canvas.height, height, offset.height, wrap=False)
        for left in _shifted(canvas.width, width, offset.width, wrap=wrap)
    ]


def window_weights(
    windows: Sequence[Window], canvas: Size, kind: Weighting = "linear", *, wrap: bool = False
) -> list[Tensor]:
    """Blending weight of each window at each of its cells: [h, w], float32, in (0, 1].

    "linear" and "gaussian" fall towards edges where another window takes over and are flat towards
    the canvas' border, "flat" is 1 everywhere; never 0: so a canvas of one window has the weight 1
    everywhere, exactly. Gaussian: variance 0.01 in units of the window (Mixture of Diffusers,
    Jimenez 2023).
    """
    return [
        _profile(kind, w.size.height, falls_before=w.top > 0, falls_after=w.bottom < canvas.height)[
            :, None
        ]
        * _profile(
            kind,
            w.size.width,
            falls_before=wrap or w.left > 0,
            falls_after=wrap or w.right < canvas.width,
        )[None, :]
        for w in windows
    ]


def factors(windows: Sequence[Window], width: int, *, wrap: bool = False) -> list[Factor]:
    """Windows, and the overlaps that they count twice, so that each cell counts once.

    windows: those of a grid; width: of the canvas. DiffCollage (Zhang et al. 2023, eq. 6) takes the
    distribution of a chain of overlapping pictures for the product of theirs over that of the
    overlaps, so that scores are added and those of the overlaps taken off. A grid is a chain of
    rows, each a chain of windows.
    """
    rows = _chain(sorted({(w.top, w.bottom) for w in windows}))
    columns = _chain(sorted({(w.left, w.right) for w in windows}), width if wrap else None)
    return [
        Factor(Window(top, left, bottom, right), down * across)
        for top, bottom, down in rows
        for left, right, across in columns
    ]


def crop(canvas: Tensor, window: Window) -> Tensor:
    """The window's part of a canvas [..., H, W] -> [..., h, w]; a copy where it wraps around."""
    rows = canvas[..., window.top : window.bottom, :]
    width = canvas.shape[-1]
    if window.right <= width:
        return rows[..., window.left : window.right]
    return torch.cat([rows[..., window.left :], rows[..., : window.right - width]], dim=-1)


def paste(canvas: Tensor, window: Window, values: Tensor) -> None:
    """Put values [..., h, w] into the window's part of a canvas [..., H, W], in place."""
    rows = canvas[..., window.top : window.bottom, :]
    width = canvas.shape[-1]
    inside = min(window.right, width) - window.left
    rows[..., window.left : window.left + inside] = values[..., :inside]
    if window.right > width:
        rows[..., : window.right - width] = values[..., inside:]


def add_at(canvas: Tensor, window: Window, values: Tensor) -> None:
    """Add values [..., h, w] to the window's part of a canvas [..., H, W], in place."""
    rows = canvas[..., window.top : window.bottom, :]
    width = canvas.shape[-1]
    inside = min(window.right, width) - window.left
    rows[..., window.left : window.left + inside] += values[..., :inside]
    if window.right > width:
        rows[..., : window.right - width] += values[..., inside:]


def extent(occupied: Tensor, *, wrap: bool = False) -> tuple[int, int]:
    """Start and stop of what is occupied along an axis [L]; over the border where that is shorter.

    With `wrap` the longest free stretch is left out, wherever it lies; then stop may exceed L.
    """
    places = torch.nonzero(occupied).flatten().tolist()
    if not wrap:
        return places[0], places[-1] + 1
    length = len(occupied)
    following = [*places[1:], places[0] + length]
    gaps = [after - place for place, after in zip(places, following, strict=True)]
    widest = max(range(len(gaps)), key=gaps.__getitem__)
    start = following[widest] % length
    return start, start + length - gaps[widest] + 1


def _whole(length: float, step: int) -> int:
    """A length in cells, rounded up to a multiple of `step`."""
    return math.ceil(length / step) * step


def _chain(
    spans: Sequence[tuple[int, int]], around: int | None = None
) -> list[tuple[int, int, int]]:
    """Ascending spans of one axis, and between each two what they share, which counts -1.

    around: the length of an axis on which the last one meets the first one again.
    """
    chain = [(start, stop, 1) for start, stop in spans]
    following = [*spans[1:]]
    if around is not None and len(spans) > 1:
        following.append((spans[0][0] + around, spans[0][1] + around))
    for (_, stop), (start, _) in zip(spans, following, strict=False):
        if start < stop:
            first = start % around if around is not None else start
            chain.append((first, first + stop - start, -1))
    return chain


def _around(
    extent: tuple[int, int], length: int, window: int, stride: int, *, wrap: bool, margin: int
) -> list[int]:
    """Where windows start along an axis so that they cover an extent, centred around it."""
    start, stop = extent
    if wrap and stop - start == length:
        return axis_starts(length, window, stride, wrap=True)
    covered = min(length, max(window, stop - start))
    spare = -(covered - window) % min(stride, window)
    covered = min(length, covered + min(spare, 2 * margin))
    first = start - (covered - (stop - start)) // 2
    if not wrap:
        first = min(max(first, 0), length - covered)
    starts = [first + at for at in axis_starts(covered, window, stride)]
    return [at % length for at in starts] if wrap else starts


def _shifted(length: int, window: int, offset: int, *, wrap: bool) -> list[int]:
    if length == window:
        return [0]
    if wrap:
        count = math.ceil(length / window)
        return [(round(i * length / count) + offset) % length for i in range(count)]
    starts = range(offset - window, length, window)
    inside = (min(max(start, 0), length - window) for start in starts if start + window > 0)
    return sorted(set(inside))


def _profile(kind: Weighting, length: int, *, falls_before: bool, falls_after: bool) -> Tensor:
    """1 in the middle, [length]; falls towards each end that asks for it."""
    place = (torch.arange(length, dtype=torch.float32) + 0.5) / length
    share = torch.ones(length)
    if falls_before:
        share = torch.minimum(share, 2 * place)
    if falls_after:
        share = torch.minimum(share, 2 * place.flip(0))
    if kind == "flat":
        return torch.ones(length)
    if kind == "gaussian":
        return torch.exp(-(((1 - share) / 2) ** 2) / (2 * _GAUSSIAN_VARIANCE))
    return share


NO_CONTEXT = Size(0, 0)
"""All cells of the latents become pixels."""
