"""Changes that were learned apart, so merged that each is open for its own words alone.

Custom Diffusion merges by least squares under a constraint (Kumari et al. 2023, section 3.3). Of
all weights W that make of the tokens C of every word what its own weights W_i make of them, it
takes those that change least what is made of other texts C_reg:

    min |(W - W_0) C_reg^T|  where  W c = W_i c  for every token c of word i.

Its closed form is W = W_0 + (V - W_0 C^T) (d C^T)^-1 d, with d = C (C_reg^T C_reg)^-1 and V all
that the words' own weights make. Where W_i is W_0 with a low-rank change B_i A_i, that is
W_0 + sum B_i A_i P_i: only the factor that reads changes, and the ranks add up.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_DAMPING = 1e-3
"""Of the mean variance of other texts, added to theirs: some directions they hardly have."""

_ALIKE = 1e-3
"""What tells tokens apart by less than so much of the most is left out: it is noise."""


def reading_projectors(words: Sequence[Tensor], others: Tensor) -> list[Tensor]:
    """P_i [D, D] of each word, in double precision, to be multiplied to what reads it: A_i P_i.

    words     what is read of each word [n_i, D]
    others    what is read of other texts [N, D]

    P_i leaves the word's own tokens as they are, takes away those of the other words, and of other
    texts as much as goes. Where tokens are too alike to be told apart, as nearly as goes.
    """
    tokens = torch.cat([word.double() for word in words])
    known = others.double()
    covariance = known.T @ known
    damped = covariance + _DAMPING * covariance.diagonal().mean() * torch.eye(
        len(covariance), dtype=covariance.dtype, device=covariance.device
    )
    read = torch.linalg.solve(damped, tokens.T).T
    inverse = torch.linalg.pinv(read @ tokens.T, rtol=_ALIKE, hermitian=True)
    rows = (inverse @ read).split([len(word) for word in words])
    return [word.double().T @ own for word, own in zip(words, rows, strict=True)]
