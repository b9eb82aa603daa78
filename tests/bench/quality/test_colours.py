"""The judge of colours: right to the pixel, whatever lies across an outline."""

import numpy as np
import pytest

from tapestry_backend.bench.metrics.colours import Mixture, mean_around
from tapestry_backend.bench.quality.colour_judge import ColourJudge

from ..conftest import COLOURS, drawn


@pytest.fixture(scope="module")
def judge() -> ColourJudge:
    """Taught by drawn pictures."""
    return ColourJudge(drawn)


def test_unseen_pictures_are_named(judge: ColourJudge) -> None:
    """All pixels of all materials."""
    for number, prompt in enumerate(COLOURS):
        seen = judge.name(judge.unseen(prompt), [*COLOURS])
        assert (seen == number).mean() > 0.99


def test_the_nearer_of_two_prompts(judge: ColourJudge) -> None:
    """By the pixels that are clearly of one of them; what both have says nothing."""
    labels = np.zeros((64, 64), dtype=int)
    labels[:, 16:] = 1
    assert judge.nearer(judge.unseen("lava"), "lava", "snow") > 0.99
    assert judge.nearer(judge.cut(("lava", "snow"), labels), "lava", "snow") == pytest.approx(
        0.25, abs=0.02
    )
    assert judge.nearer(judge.unseen("lava"), "snow", "snow") == 0.5


def test_an_outline_is_where_it_is_seen(judge: ColourJudge) -> None:
    """Not a pixel beside it, whatever the outline of the mask says."""
    labels = np.zeros((64, 64), dtype=int)
    labels[:, 31:] = 1
    picture = judge.cut(("grass", "lava"), labels)
    asked = np.roll(labels, 2, axis=1)

    for sides in (None, labels, asked):
        assert (judge.name(picture, ("grass", "lava"), sides) != labels).mean() < 0.002


def test_a_mixed_colour_is_named_by_what_it_is_nearest_to(judge: ColourJudge) -> None:
    """Although no plain picture has it."""
    lava, snow = (judge.unseen(prompt).astype(float) for prompt in ("lava", "snow"))
    for share in (0.25, 0.75):
        mixed = (share * lava + (1 - share) * snow).astype(np.uint8)
        assert ((judge.name(mixed, ("snow", "lava")) == 1) == (share > 0.5)).mean() > 0.95


def test_plain_pictures_are_painted_once() -> None:
    """When they are first asked for, each with a seed of its own."""
    asked = []

    def paint(prompt: str, seed: int) -> np.ndarray:
        asked.append((prompt, seed))
        return drawn(prompt, seed)

    judge = ColourJudge(paint)
    assert asked == []
    for _ in range(2):
        judge.name(drawn("lava", 9), ("lava", "snow"))
    assert [prompt for prompt, _ in asked] == ["lava"] * 4 + ["snow"] * 4
    assert len({seed for _, seed in asked}) == 8


def test_means_stay_on_their_side() -> None:
    """Of a picture in two halves, each has its own mean."""
    sides = np.zeros((4, 6), dtype=int)
    sides[:, 3:] = 1

    assert np.allclose(mean_around(sides[None] * 8.0, sides), sides * 8)
    assert not np.allclose(mean_around(sides[None] * 8.0, sides * 0), sides * 8)


def test_mixed_and_side_by_side_count_the_same() -> None:
    """A third of the paint in every pixel, or in every third pixel."""
    lava, snow = drawn("lava", 1), drawn("snow", 2)
    mixture = Mixture(drawn("lava", 3), drawn("snow", 4))
    blended = (lava / 3 + snow * (2 / 3)).astype(np.uint8)
    patches = snow.copy()
    patches[:, ::3] = lava[:, ::3]

    assert mixture.share(lava).mean() == pytest.approx(1, abs=0.02)
    assert mixture.share(snow).mean() == pytest.approx(0, abs=0.02)
    assert mixture.share(blended).mean() == pytest.approx(1 / 3, abs=0.02)
    assert mixture.share(patches).mean() == pytest.approx(1 / 3, abs=0.02)
