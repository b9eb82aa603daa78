"""Packs what a model reads of a text besides tokens into the same tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def pack(tokens: Tensor, vectors: Sequence[Tensor]) -> Tensor:
    """Tokens [N, T, D] and vectors [N, P] each -> [N, T + R, D], the vectors in the last R rows."""
    if not vectors:
        return tokens
    wide = tokens.shape[-1]
    flat = torch.cat([vector.to(tokens) for vector in vectors], dim=1)
    rows = _rows(flat.shape[1], wide)
    padded = functional.pad(flat, (0, rows * wide - flat.shape[1]))
    return torch.cat([tokens, padded.unflatten(1, (rows, wide))], dim=1)


def unpack(packed: Tensor, sizes: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
    """The inverse of `pack` for vectors of these sizes: tokens [N, T, D], vectors [N, P] each."""
    if not sizes:
        return packed, []
    rows = _rows(sum(sizes), packed.shape[-1])
    flat = packed[:, -rows:].flatten(1)[:, : sum(sizes)]
    return packed[:, :-rows], list(flat.split(list(sizes), dim=1))


def _rows(numbers: int, wide: int) -> int:
    return math.ceil(numbers / wide)
