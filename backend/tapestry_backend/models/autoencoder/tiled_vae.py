"""Decoding and encoding pictures of any size in bands; the same numbers as whole, less memory.

A convolution sees only so far: a band that is computed with as much beyond its ends as the layers
reach is exact. A group norm sees the whole picture: its statistics are gathered from all bands
before anything that depends on them is computed. What must be computed more than once for this
starts from the last activation for which there was room.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...engine.out_of_memory import attempt
from ...engine.windows import NO_CONTEXT, Size
from ..device.memory import spare_bytes
from .cropped_forward import Span
from .pooled_norm import Affine, PooledStatistics
from .vae_layers import Chain, Norm, Part, decoder_chain, encoder_chain

_ALIVE = 4
"""Activations of the largest kind that exist at once inside a part, workspace included."""

_LESS, _ATTEMPTS = 4, 3
"""How much less room each further attempt gets, and how many there are before the least of all."""

_BEYOND = 1
"""Cells of a trimmed network's largest activation beyond what is wanted, at both ends together."""

_KEPT_SHARE = 0.8
"""Of the budget, for the activation that is kept; the rest at least is for the bands."""


@torch.no_grad()
def decode(
    autoencoder: Any,
    latents: Tensor,
    budget_bytes: int | None = None,
    context: Size = NO_CONTEXT,
) -> Tensor:
    """Latents [B, C, h, w], as the autoencoder takes them -> pixels [B, 3, H, W] around -1..1.

    The outermost cells, as many as `context` says above and below, and at both sides, are seen but
    do not become pixels. Decodes whole where that fits into the budget, bit for bit as diffusers
    does where there is no context, and in bands otherwise; when memory runs out all the same, in
    shorter bands. Without a budget, a share of the free memory is it. Not below a floor: the
    result, what AutoencoderKL computes at latent size, and bands twice as long as their reach.
    """
    chain = decoder_chain(autoencoder)

    def whole() -> Tensor:
        if context != NO_CONTEXT and chain is not None and chain.inside is not None:
            return chain.inside(latents, *_wanted(latents, context, chain.scale))
        pixels = autoencoder.decode(latents, return_dict=False)[0]
        rows, columns = _wanted(latents, context, Fraction(pixels.shape[-1], latents.shape[-1]))
        return pixels[..., slice(*rows), slice(*columns)]

    return _within(budget_bytes, chain, latents, whole, context)


@torch.no_grad()
def encode(autoencoder: Any, pixels: Tensor, budget_bytes: int | None = None) -> Tensor:
    """Pixels [B, 3, H, W] in -1..1 -> latents [B, C, h, w]; the mode where there is a distribution.

    H and W are multiples of a cell. The budget as in `decode`.
    """

    def whole() -> Tensor:
        encoded = autoencoder.encode(pixels)
        # AutoencoderKL gives a distribution, AutoencoderTiny the latents themselves.
        return encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents

    return _within(budget_bytes, encoder_chain(autoencoder), pixels, whole)


def _wanted(values: Tensor, context: Size, scale: Fraction) -> tuple[Span, Span]:
    """Rows and columns of what comes of values [B, C, h, w] that are not made of context alone."""
    rows, columns = (
        Span(int(beyond * scale), int((length - beyond) * scale))
        for length, beyond in zip(values.shape[-2:], context, strict=True)
    )
    return rows, columns


def _within(
    budget_bytes: int | None,
    chain: Chain | None,
    values: Tensor,
    whole: Callable[[], Tensor],
    context: Size = NO_CONTEXT,
) -> Tensor:
    """What comes of the values, whole or in bands; with less and less room while that is too much.

    Raises whatever says that memory ran out when it does so in the shortest bands, too.
    """
    if chain is None:
        return whole()
    needed = _whole_bytes(chain, values, context)
    budget = spare_bytes(values.device) if budget_bytes is None else budget_bytes
    if needed <= budget:
        done = attempt(whole)
        if done is not None:
            return done[0]
        budget = needed // _LESS
    for _ in range(_ATTEMPTS):
        done = attempt(partial(_in_bands, chain, values, budget, context))
        if done is not None:
            return done[0]
        budget //= _LESS
    return _in_bands(chain, values, 0, context)


def frugal_bytes(autoencoder: Any, cells: int) -> float:
    """A budget that decodes so many cells whole, and more of them in bands, where bands are cheap.

    They are without norms: nothing is computed twice then but the ends of bands. Otherwise there is
    no reason to take less than what is free: infinity.
    """
    chain = decoder_chain(autoencoder)
    if chain is None or not _is_local(chain):
        return math.inf
    dtype = next(autoencoder.parameters()).dtype
    return float(_ALIVE * cells * _widest(chain.parts) * dtype.itemsize)


def decodes_locally(autoencoder: Any) -> bool:
    """Whether a cell's pixels depend on its neighbours alone: no norm sees the whole picture."""
    chain = decoder_chain(autoencoder)
    return chain is not None and _is_local(chain)


def _is_local(chain: Chain) -> bool:
    return not any(part.norms for part in chain.parts)


def _whole_bytes(chain: Chain, values: Tensor, context: Size) -> int:
    """The most memory that the chain's parts take without bands."""
    height, width = values.shape[-2:]
    if chain.inside is not None:  # context is cut off before activations are at their largest
        height, width = height - 2 * context.height, width - 2 * context.width
    cells = values.shape[0] * height * width
    return math.ceil(_ALIVE * cells * _widest(chain.parts) * values.element_size())


def _in_bands(chain: Chain, values: Tensor, budget_bytes: int, context: Size) -> Tensor:
    progress = _Progress(chain.before(values), budget_bytes)
    return chain.after(progress.through(chain.parts, _wanted(values, context, chain.scale)))


class _Progress:
    """An activation [B, C, H, W] on its way through parts, in bands along its longer side."""

    def __init__(self, start: Tensor, budget_bytes: int) -> None:
        self._axis = -1 if start.shape[-1] >= start.shape[-2] else -2
        self._kept = _Strip(self._axis, start.shape)
        self._kept.append(start)
        self._device, self._dtype = start.device, start.dtype
        self._budget = budget_bytes
        self._norms: dict[nn.GroupNorm, Affine] = {}

    def through(self, parts: Sequence[Part], wanted: tuple[Span, Span]) -> Tensor:
        """These rows and columns of the activation after all parts.

        From each part that there is room for, we go on.
        """
        pending: list[Part] = []
        for part in parts[:-1]:
            pending.append(part)
            self._learn_norms(pending)
            if max(self._bytes(), self._bytes(pending)) <= self._budget * _KEPT_SHARE:
                self._keep(pending)
                pending = []
        pending.append(parts[-1])
        self._learn_norms(pending)
        shape = (*self._shape(pending)[:2], *(span.stop - span.start for span in wanted))
        result = torch.empty(shape, dtype=self._dtype, device=self._device)
        along, across = wanted[self._axis], wanted[-3 - self._axis]
        held = self._bytes() + result.nbytes
        for band in self._plan(pending, held, (along, across)):
            made = self._compute(pending, band, across=across)
            result.narrow(self._axis, band.start - along.start, made.shape[self._axis]).copy_(made)
        return result

    def _learn_norms(self, parts: Sequence[Part]) -> None:
        """Gather the statistics of the last part's norms; those of the parts before are known."""
        for norm in parts[-1].norms:
            statistics = PooledStatistics(norm.module)
            for band in self._plan(parts, held_bytes=self._bytes()):
                statistics.add(self._compute(parts, band, norm))
            self._norms[norm.module] = statistics.affine(self._device, self._dtype)

    def _keep(self, parts: Sequence[Part]) -> None:
        """Compute what comes after these parts and let go of what it came from, bit by bit."""
        result = _Strip(self._axis, self._shape(parts))
        held = max(self._bytes(), self._bytes(parts))
        for band in self._plan(parts, held_bytes=held):
            self._kept.forget(self._seen(parts, *band).start)
            result.append(self._compute(parts, band))
        self._kept = result

    def _compute(
        self,
        parts: Sequence[Part],
        band: Span,
        norm: Norm | None = None,
        across: Span | None = None,
    ) -> Tensor:
        """A band of the activation after these parts, or of what comes to `norm` in the last one.

        At the canvas' border the layers' own zero padding is right; elsewhere a band is computed
        with as much beyond its ends as they reach, and cut. across: the other axis, all of it where
        nothing is said.
        """
        seen, last = self._seen(parts, *band), parts[-1]
        values = self._kept.read(*seen)
        for part in parts[:-1]:
            values = part.run(values, self._normalise)
        origin = int(seen.start * _scale(parts))
        along = Span(band.start - origin, band.stop - origin)
        across = across or Span(0, self._shape(parts)[-3 - self._axis])
        rows, columns = (along, across) if self._axis == -2 else (across, along)
        if norm is None and last.inside is not None:
            made = last.inside(values, rows, columns)
        else:
            made = (norm.arriving if norm else last.run)(values, self._normalise)
            made = made[..., slice(*rows), slice(*columns)]
        # A copy: what is cut off must not live as long as what is kept.
        return made.clone()

    def _normalise(self, norm: nn.GroupNorm, values: Tensor) -> Tensor:
        return self._norms[norm](values)

    def _seen(self, parts: Sequence[Part], start: int, stop: int) -> Span:
        """Which cells of the kept activation the cells start..stop after these parts depend on."""
        lengths = [self._kept.shape[self._axis]]
        for part in parts:
            lengths.append(int(lengths[-1] * part.scale))
        for part, length in zip(reversed(parts), reversed(lengths[:-1]), strict=True):
            start = max(0, math.floor(start / part.scale) - part.reach)
            stop = min(length, math.ceil(stop / part.scale) + part.reach)
        # Where a part takes every second cell, a band must begin with one that the whole takes.
        return Span(start - start % _scale(parts).denominator, stop)

    def _plan(
        self, parts: Sequence[Part], held_bytes: int, wanted: tuple[Span, Span] | None = None
    ) -> Iterator[Span]:
        """Bands after these parts, as long as there is room for.

        wanted: what of them, along and across; everything where nothing is said. Shorter bands than
        twice what the parts reach would mostly be what their neighbours compute as well.
        """
        scale, reach = _scale(parts), _reach(parts)
        shape = self._shape(parts)
        along, across = wanted or (Span(0, shape[self._axis]), Span(0, shape[-3 - self._axis]))
        beyond: Fraction | int = 2 * reach
        high: Fraction | int = self._kept.shape[-3 - self._axis]
        if parts[-1].inside is not None:
            beyond, high = _BEYOND, (across.stop - across.start) / scale + _BEYOND
        row_bytes = _ALIVE * _widest(parts) * shape[0] * high * self._dtype.itemsize
        rest = max(self._budget - held_bytes, int(self._budget * (1 - _KEPT_SHARE)))
        length = max(1, 2 * math.ceil(reach), math.floor(rest / row_bytes - beyond))
        first, last = along
        count = math.ceil((last - first) / (length * scale))
        edges = [first + i * (last - first) // count for i in range(count + 1)]
        yield from itertools.starmap(Span, itertools.pairwise(edges))

    def _shape(self, parts: Sequence[Part]) -> torch.Size:
        """Of the activation after these parts."""
        batch, _, height, width = self._kept.shape
        scale = _scale(parts)
        return torch.Size((batch, parts[-1].channels, int(height * scale), int(width * scale)))

    def _bytes(self, parts: Sequence[Part] = ()) -> int:
        """Of the activation after these parts."""
        shape = self._shape(parts) if parts else self._kept.shape
        return shape.numel() * self._dtype.itemsize


class _Strip:
    """A tensor of this shape in pieces along an axis; the first of them may be forgotten."""

    def __init__(self, axis: int, shape: torch.Size) -> None:
        self.shape = shape
        self._axis = axis
        self._pieces: list[Tensor] = []
        self._start = 0

    def append(self, piece: Tensor) -> None:
        self._pieces.append(piece)

    def forget(self, before: int) -> None:
        """Let go of the pieces that end before this place, or at it."""
        while self._start + self._pieces[0].shape[self._axis] <= before:
            self._start += self._pieces.pop(0).shape[self._axis]

    def read(self, start: int, stop: int) -> Tensor:
        found, place = [], self._start
        for piece in self._pieces:
            length = piece.shape[self._axis]
            first, last = max(0, start - place), min(length, stop - place)
            if first < last:
                found.append(piece.narrow(self._axis, first, last - first))
            place += length
        return found[0] if len(found) == 1 else torch.cat(found, dim=self._axis)


def _scale(parts: Sequence[Part]) -> Fraction:
    """Cells after these parts per cell before them, along an axis."""
    return math.prod((part.scale for part in parts), start=Fraction(1))


def _reach(parts: Sequence[Part]) -> Fraction:
    """How far beyond a band's ends these parts see, in cells before them."""
    return sum((part.reach / _scale(parts[:i]) for i, part in enumerate(parts)), start=Fraction(0))


def _widest(parts: Sequence[Part]) -> Fraction:
    """Numbers in the largest activation on the way, per cell before these parts."""
    return max(part.widest * _scale(parts[:i]) ** 2 for i, part in enumerate(parts))
