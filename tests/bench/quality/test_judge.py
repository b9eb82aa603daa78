"""The patch classifiers: they learn what differs, and say when they do not know."""

import numpy as np

from tapestry_backend.bench.quality.judge import Judge, patch_grid

STEPS = 60


def pictures(kinds: int, each: int, side: int = 64) -> np.ndarray:
    """uint8 [K, N, H, W, 3]: stripes of different directions and widths, in noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((side, side))
    made = []
    for kind in range(kinds):
        stripes = (np.cos(kind) * rows + np.sin(kind) * columns) / (1 + kind) % 2 < 1
        noise = rng.normal(scale=15, size=(each, side, side, 3))
        made.append((stripes[..., None] * 120 + 60 + noise).clip(0, 255))
    return np.array(made).astype(np.uint8)


def test_a_judge_names_patches_it_has_not_seen() -> None:
    """Taught on some pictures, right on others."""
    all_ = pictures(3, 6)
    judge = Judge.taught(all_[:, :4], ("a", "b", "c"), seed=0, steps=STEPS)

    assert judge.accuracy(all_[:, 4:]).min() > 0.9
    assert judge.name(all_[0, 5]).shape == patch_grid(64, 64)


def test_a_judge_that_was_taught_nonsense_is_found_out() -> None:
    """Its accuracy on unseen pictures is what tells whether its other figures mean anything."""
    same = np.repeat(pictures(1, 6), 2, axis=0)
    judge = Judge.taught(same[:, :4], ("a", "b"), seed=0, steps=STEPS)

    assert judge.accuracy(same[:, 4:]).mean() < 0.8


def test_a_patch_sees_sixteen_pixels_and_no_more() -> None:
    """What lies beyond a patch cannot change its name."""
    all_ = pictures(2, 4)
    judge = Judge.taught(all_, ("a", "b"), seed=0, steps=STEPS)
    picture = all_[0, 0].copy()
    before = judge.name(picture)
    picture[:, 32:] = all_[1, 0][:, 32:]
    after = judge.name(picture)

    inside = (32 - 16) // 4 + 1
    assert np.array_equal(before[:, :inside], after[:, :inside])
    assert not np.array_equal(before, after)


def test_the_same_seed_teaches_the_same_judge() -> None:
    """And leaves all other random numbers alone."""
    import torch

    all_ = pictures(2, 3)
    torch.manual_seed(5)
    first = Judge.taught(all_, ("a", "b"), seed=1, steps=5)
    drawn = torch.rand(1)
    second = Judge.taught(all_, ("a", "b"), seed=1, steps=5)
    torch.manual_seed(5)

    assert torch.equal(drawn, torch.rand(1))
    assert np.array_equal(first.name(all_[0, 0]), second.name(all_[0, 0]))
