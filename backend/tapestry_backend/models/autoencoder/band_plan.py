"""In which bands an autoencoder's parts are computed, so that they fit into a budget."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch

from .cropped_forward import Span
from .vae_layers import VaePart

ACTIVATIONS_ALIVE = 4
"""Activations of the largest kind that exist at once inside a part, workspace included."""

_BEYOND = 1
"""Cells of a trimmed network's largest activation beyond what is wanted, at both ends together."""

_KEPT_SHARE = 0.8
"""Share of the budget for the activation that is kept; at least the rest is for the bands."""


@dataclass(frozen=True)
class Budget:
    """Bytes for everything that exists at once, and the bytes of one number."""

    total_bytes: int
    number_bytes: int

    def keeps(self, numbers: int) -> bool:
        """Whether there is room to keep an activation of so many numbers, beside the bands."""
        return numbers * self.number_bytes <= self.total_bytes * _KEPT_SHARE

    def for_bands(self, held: int) -> int:
        """Bytes for bands while so many numbers are held besides."""
        rest = self.total_bytes - held * self.number_bytes
        return max(rest, int(self.total_bytes * (1 - _KEPT_SHARE)))


@dataclass(frozen=True)
class BandStage:
    """Parts that are computed together, from an activation that is kept.

    kept    [B, C, H, W] of that activation
    axis    of the bands: -2, rows; -1, columns
    """

    kept: torch.Size
    axis: int
    parts: tuple[VaePart, ...]

    @property
    def scale(self) -> Fraction:
        """Cells after the parts per cell before them, along an axis."""
        return _scale(self.parts)

    @property
    def reach(self) -> Fraction:
        """How far beyond a band's ends the parts see, in cells before them."""
        reaches = (part.reach / _scale(self.parts[:i]) for i, part in enumerate(self.parts))
        return sum(reaches, start=Fraction(0))

    @property
    def shape(self) -> torch.Size:
        """[B, C, H, W] of the activation after the parts."""
        batch, _, height, width = self.kept
        height, width = int(height * self.scale), int(width * self.scale)
        return torch.Size((batch, self.parts[-1].channels, height, width))

    def seen(self, band: Span) -> Span:
        """Which cells of the kept activation a band after the parts depends on."""
        start, stop = band
        lengths = [self.kept[self.axis]]
        for part in self.parts:
            lengths.append(int(lengths[-1] * part.scale))
        for part, length in zip(reversed(self.parts), reversed(lengths[:-1]), strict=True):
            start = max(0, math.floor(start / part.scale) - part.reach)
            stop = min(length, math.ceil(stop / part.scale) + part.reach)
        # Where a part takes every second cell, a band must begin with one that the whole takes.
        return Span(start - start % self.scale.denominator, stop)


def plan_bands(
    stage: BandStage,
    budget: Budget,
    held: int,
    along: Span | None = None,
    across: Span | None = None,
) -> list[Span]:
    """Bands after a stage, as long as there is room for, of equal length but for a cell.

    held    numbers that are in memory besides
    along   the cells that are wanted along the bands' axis; None: all
    across  and along the other axis

    None is shorter than twice what the parts reach, if the canvas is not: most of such a band would
    be what its neighbours compute as well.
    """
    along = along or Span(0, stage.shape[stage.axis])
    across = across or Span(0, stage.shape[other(stage.axis)])
    beyond: Fraction | int = 2 * stage.reach
    high: Fraction | int = stage.kept[other(stage.axis)]
    if stage.parts[-1].inside is not None:  # cut to what is wanted after each of its layers
        beyond, high = _BEYOND, (across.stop - across.start) / stage.scale + _BEYOND
    numbers = ACTIVATIONS_ALIVE * widest(stage.parts) * stage.kept[0] * high
    cells = budget.for_bands(held) / (numbers * budget.number_bytes) - beyond
    length = max(1, 2 * math.ceil(stage.reach), math.floor(cells))
    first, last = along
    count = math.ceil((last - first) / (length * stage.scale))
    edges = [first + i * (last - first) // count for i in range(count + 1)]
    return [Span(*ends) for ends in itertools.pairwise(edges)]


def other(axis: int) -> int:
    """Columns for rows, and rows for columns."""
    return -3 - axis


def widest(parts: Sequence[VaePart]) -> Fraction:
    """Numbers in the largest activation on the way, per cell before these parts."""
    return max(part.widest * _scale(parts[:i]) ** 2 for i, part in enumerate(parts))


def _scale(parts: Sequence[VaePart]) -> Fraction:
    return math.prod((part.scale for part in parts), start=Fraction(1))
