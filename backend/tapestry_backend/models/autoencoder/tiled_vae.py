"""Decoding and encoding pictures of any size in bands; the same numbers as whole, less memory.

A convolution sees only so far: a band that is computed with as much beyond its ends as the layers
reach is exact. A group norm sees the whole picture: its statistics are gathered from all bands
before anything that depends on them is computed. What must be computed more than once for this
starts from the last activation for which there was room.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...engine.out_of_memory import attempt
from ...engine.windows import NO_CONTEXT, Size
from ..device.memory import spare_bytes
from .band_plan import ACTIVATIONS_ALIVE, BandStage, Budget, other, plan_bands, widest
from .cropped_forward import Span
from .one_frame import OneFrame
from .pooled_norm import Affine, PooledStatistics
from .vae_layers import Chain, Norm, VaePart, decoder_chain, encoder_chain

_LESS, _ATTEMPTS = 4, 3
"""By what the budget is divided for each further attempt, and how many there are before none."""


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
    chain = _decoder_chain(autoencoder)

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

    is_film = isinstance(autoencoder, OneFrame)
    chain = autoencoder.encoder_chain if is_film else encoder_chain(autoencoder)
    return _within(budget_bytes, chain, pixels, whole)


def _decoder_chain(autoencoder: Any) -> Chain | None:
    is_film = isinstance(autoencoder, OneFrame)
    return autoencoder.decoder_chain if is_film else decoder_chain(autoencoder)


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
    chain = _decoder_chain(autoencoder)
    if chain is None or not _is_local(chain):
        return math.inf
    dtype = next(autoencoder.parameters()).dtype
    return float(ACTIVATIONS_ALIVE * cells * widest(chain.parts) * dtype.itemsize)


def decodes_locally(autoencoder: Any) -> bool:
    """Whether a cell's pixels depend on its neighbours alone: no norm sees the whole picture."""
    chain = _decoder_chain(autoencoder)
    return chain is not None and _is_local(chain)


def _is_local(chain: Chain) -> bool:
    return not chain.sees_all and not any(part.norms for part in chain.parts)


def _whole_bytes(chain: Chain, values: Tensor, context: Size) -> int:
    """The most memory that the chain's parts take without bands."""
    height, width = values.shape[-2:]
    if chain.inside is not None:  # context is cut off before activations are at their largest
        height, width = height - 2 * context.height, width - 2 * context.width
    cells = values.shape[0] * height * width
    return math.ceil(ACTIVATIONS_ALIVE * cells * widest(chain.parts) * values.element_size())


def _in_bands(chain: Chain, values: Tensor, budget_bytes: int, context: Size) -> Tensor:
    run = _BandedRun(chain.before(values), budget_bytes)
    return chain.after(run.through(chain.parts, _wanted(values, context, chain.scale)))


class _BandedRun:
    """An activation [B, C, H, W] on its way through parts, in bands along its longer side.

    The activation that is kept moves on part by part, as far as there is room for it; which bands
    there are is the business of `band_plan`.
    """

    def __init__(self, start: Tensor, budget_bytes: int) -> None:
        self._axis = -1 if start.shape[-1] >= start.shape[-2] else -2
        self._kept = _Strip(self._axis, start.shape)
        self._kept.append(start)
        self._device, self._dtype = start.device, start.dtype
        self._budget = Budget(budget_bytes, start.dtype.itemsize)
        self._norms: dict[nn.GroupNorm, Affine] = {}

    def through(self, parts: Sequence[VaePart], wanted: tuple[Span, Span]) -> Tensor:
        """These rows and columns of the activation after all parts."""
        pending: tuple[VaePart, ...] = ()
        for part in parts[:-1]:
            pending = (*pending, part)
            stage = self._stage(pending)
            self._learn_norms(stage)
            if self._budget.keeps(max(self._kept.shape.numel(), stage.shape.numel())):
                self._keep(stage)
                pending = ()
        last = self._stage((*pending, parts[-1]))
        self._learn_norms(last)
        return self._result(last, wanted)

    def _stage(self, parts: tuple[VaePart, ...]) -> BandStage:
        return BandStage(self._kept.shape, self._axis, parts)

    def _learn_norms(self, stage: BandStage) -> None:
        """Gather the statistics of the last part's norms; those of the parts before are known."""
        held = self._kept.shape.numel()
        for norm in stage.parts[-1].norms:
            statistics = PooledStatistics(norm.module)
            for band in plan_bands(stage, self._budget, held):
                statistics.add(self._compute(stage, band, norm))
            self._norms[norm.module] = statistics.affine(self._device, self._dtype)

    def _keep(self, stage: BandStage) -> None:
        """Compute what comes after a stage and let go of what it came from, band by band."""
        result = _Strip(self._axis, stage.shape)
        held = max(self._kept.shape.numel(), stage.shape.numel())
        for band in plan_bands(stage, self._budget, held):
            self._kept.forget(stage.seen(band).start)
            result.append(self._compute(stage, band))
        self._kept = result

    def _result(self, stage: BandStage, wanted: tuple[Span, Span]) -> Tensor:
        """These rows and columns of what comes after a stage."""
        sizes = (span.stop - span.start for span in wanted)
        result = torch.empty((*stage.shape[:2], *sizes), dtype=self._dtype, device=self._device)
        along, across = wanted[self._axis], wanted[other(self._axis)]
        held = self._kept.shape.numel() + result.numel()
        for band in plan_bands(stage, self._budget, held, along, across):
            made = self._compute(stage, band, across=across)
            result.narrow(self._axis, band.start - along.start, made.shape[self._axis]).copy_(made)
        return result

    def _compute(
        self, stage: BandStage, band: Span, norm: Norm | None = None, across: Span | None = None
    ) -> Tensor:
        """A band of the activation after a stage, or of what comes to `norm` in its last part.

        At the canvas' border the layers' own zero padding is right; elsewhere a band is computed
        with as much beyond its ends as they reach, and cut. across: the other axis, all of it where
        nothing is said.
        """
        seen, last = stage.seen(band), stage.parts[-1]
        values = self._kept.read(*seen)
        for part in stage.parts[:-1]:
            values = part.run(values, self._normalise)
        origin = int(seen.start * stage.scale)
        along = Span(band.start - origin, band.stop - origin)
        across = across or Span(0, stage.shape[other(self._axis)])
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
