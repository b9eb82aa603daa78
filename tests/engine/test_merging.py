"""Changes learned apart are merged as Custom Diffusion's least squares have it."""

import pytest
import torch
from torch import Tensor

from tapestry_backend.engine import merging
from tapestry_backend.engine.merging import reading_projectors

WIDTH, OUT = 12, 5


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Random ones, in double precision."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def least_squares(first: Tensor, tokens: Tensor, wanted: Tensor, others: Tensor) -> Tensor:
    """Weights by the conditions of Lagrange: min |(W - W_0) C_reg^T| where W C^T = V."""
    count = len(tokens)
    system = torch.zeros(WIDTH + count, WIDTH + count, dtype=torch.float64)
    system[:WIDTH, :WIDTH] = others.T @ others
    system[:WIDTH, WIDTH:], system[WIDTH:, :WIDTH] = tokens.T, tokens
    right = torch.cat([torch.zeros(WIDTH, OUT, dtype=torch.float64), wanted - tokens @ first.T])
    return first + torch.linalg.solve(system, right)[:WIDTH].T


def test_it_is_the_papers_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of weights that were changed by low ranks, for three words of several tokens each."""
    monkeypatch.setattr(merging, "_DAMPING", 0.0)
    first, others = numbers(OUT, WIDTH), numbers(100, WIDTH, seed=1)
    words = [numbers(count, WIDTH, seed=2 + count) for count in (1, 2, 3)]
    changes = [numbers(OUT, 2, seed=8 + i) @ numbers(2, WIDTH, seed=12 + i) for i in range(3)]
    projectors = reading_projectors(words, others)
    merged = first + sum(
        change @ projector for change, projector in zip(changes, projectors, strict=True)
    )
    wanted = torch.cat([word @ (first + own).T for word, own in zip(words, changes, strict=True)])
    expected = least_squares(first, torch.cat(words), wanted, others)
    torch.testing.assert_close(merged, expected, atol=1e-9, rtol=1e-9)


def test_each_word_is_let_through_by_its_own_alone() -> None:
    """Also where texts vary in few directions; others come through in part at most."""
    others = numbers(100, 3, seed=1) @ numbers(3, WIDTH, seed=2)
    words = [numbers(2, WIDTH, seed=3), numbers(2, WIDTH, seed=4)]
    one, two = reading_projectors(words, others)
    torch.testing.assert_close(words[0] @ one.T, words[0])
    torch.testing.assert_close(words[1] @ one.T, torch.zeros_like(words[1]), atol=1e-9, rtol=0)
    torch.testing.assert_close(words[1] @ two.T, words[1])
    assert float((others @ one.T).norm() / others.norm()) < 0.05


def test_the_same_tokens_in_two_words_are_no_trouble() -> None:
    """Marks and padding are; between their weights lies the mean."""
    same = numbers(1, WIDTH, seed=5)
    words = [torch.cat([numbers(1, WIDTH, seed=6), same]), torch.cat([same, same])]
    one, two = reading_projectors(words, numbers(100, WIDTH, seed=1))
    assert bool(torch.isfinite(one).all())
    torch.testing.assert_close(same @ (one + two).T, same)
    torch.testing.assert_close(words[0][:1] @ one.T, words[0][:1])
