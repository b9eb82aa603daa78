"""The measure of painting live: its figures, and what it takes for far away."""

from itertools import pairwise

import numpy as np
import pytest

from tapestry_backend.bench.common.goals import GOALS, KEYS
from tapestry_backend.bench.quality import live


def test_a_painting_grows_stroke_by_stroke() -> None:
    """Each stroke lies in one layer of the layout that it comes with, and in none before."""
    layouts = list(live._painting(64, ("a", "b", "c", "d"), 3))

    assert len(layouts) == live._STROKES + 1
    assert layouts[0][0].masks[0].shape == (128, 192)
    for (before, _), (after, stroke) in pairwise(layouts):
        grown = [now & ~then for now, then in zip(after.masks, before.masks, strict=True)]
        assert sum(mask.any() for mask in grown) <= 1
        assert not (np.any(grown, axis=0) & ~stroke).any()


@pytest.mark.parametrize("at", [(0, 0), (40, 60)])
def test_cells_near_a_stroke_are_within_reach_of_it(at: tuple[int, int]) -> None:
    """Cells, the margin around them, and as far as a decoder sees."""
    stroke = np.zeros((200, 200), bool)
    stroke[at[0] : at[0] + 10, at[1] : at[1] + 10] = True

    near = live._near(stroke, 8)

    assert near[stroke].all()
    assert not near[at[0] + 10 + 9 * 8 + 1, at[1]]
    assert near[at[0] + 10 + 9 * 8 - 1, at[1]]


def test_figures_of_live_painting_have_goals() -> None:
    """Those that are shown are among those that are measured."""
    assert set(KEYS["live"]) <= set(GOALS["live"])
