"""Noise of the canvas: keyed to absolute tiles, so that a picture keeps its noise when it grows."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor
from torch.nn import functional

from .windows import Size

_CORNER = Size(0, 0)
_TILE = 32
"""Cells on a side of a tile that draws its noise from a generator of its own."""


def canvas_noise(seed: int, channels: int, canvas: Size, origin: Size = _CORNER) -> Tensor:
    """Standard normal noise [1, C, H, W], float32, on the CPU.

    origin is where the document's own corner lies on this canvas, in cells: a canvas that has grown
    by 4 cells at its left has the origin (0, 4), and the same noise as before on its old part.
    """
    noise = torch.empty(1, channels, *canvas)
    rows = _tiles(-origin.height, canvas.height - origin.height)
    columns = _tiles(-origin.width, canvas.width - origin.width)
    for row in rows:
        for column in columns:
            _place(noise, _draw(seed, row, column, channels), row, column, origin)
    return noise


def coarse(noise: Tensor) -> Tensor:
    """What of noise [B, C, H, W] is no finer than two cells."""
    pairs = functional.avg_pool2d(noise, 2, ceil_mode=True)
    return functional.interpolate(pairs, noise.shape[-2:], mode="bilinear", align_corners=False)


def job_generator(seed: int) -> torch.Generator:
    """The generator for whatever a stochastic scheduler draws on the way."""
    return torch.Generator("cpu").manual_seed(_key(seed, "steps"))


def _tiles(start: int, stop: int) -> range:
    return range(start // _TILE, (stop - 1) // _TILE + 1)


def _key(seed: int, *what: object) -> int:
    text = ":".join(map(str, (seed, *what)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def _draw(seed: int, row: int, column: int, channels: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(_key(seed, row, column))
    return torch.randn(channels, _TILE, _TILE, generator=generator)


def _place(noise: Tensor, tile: Tensor, row: int, column: int, origin: Size) -> None:
    top, left = row * _TILE + origin.height, column * _TILE + origin.width
    first_row, first_column = max(0, top), max(0, left)
    last_row = min(noise.shape[-2], top + _TILE)
    last_column = min(noise.shape[-1], left + _TILE)
    noise[0, :, first_row:last_row, first_column:last_column] = tile[
        :, first_row - top : last_row - top, first_column - left : last_column - left
    ]
