"""The judge of heights: taught by single pictures, it finds scenes that begin again."""

import numpy as np
import pytest

from tapestry_backend.bench.quality.composition import HeightJudge

SIDE = 128
PROMPTS = ("beach", "hills")
SKY = {"beach": (90, 160, 240), "hills": (240, 150, 90)}
GROUND = {"beach": (230, 210, 150), "hills": (60, 140, 60)}


def view(prompt: str, height: int, width: int, seed: int) -> np.ndarray:
    """Sky that fades into ground, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    share = np.linspace(0, 1, height)[:, None, None]
    colours = (1 - share) * np.array(SKY[prompt]) + share * np.array(GROUND[prompt])
    return (colours + rng.normal(scale=5, size=(height, width, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def judge() -> HeightJudge:
    """Taught by single windows."""
    pictures = np.array([[view(p, SIDE, SIDE, i) for i in range(4)] for p in PROMPTS])
    return HeightJudge.taught(pictures, PROMPTS, seed=0, steps=100)


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (2, 6)])
def test_one_scene_has_one_horizon(judge: HeightJudge, prompt: str, size) -> None:
    """However large it is painted."""
    picture = view(prompt, size[0] * SIDE, size[1] * SIDE, 50)

    assert judge.sees_one_horizon(picture, prompt)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_windows_that_each_paint_a_scene_have_several(judge: HeightJudge, prompt: str) -> None:
    """Stacked, upside down, or in one corner only."""
    whole = view(prompt, 2 * SIDE, 3 * SIDE, 60)
    again = np.concatenate([view(prompt, SIDE, SIDE, seed) for seed in (61, 62)])
    corner = whole.copy()
    corner[:, :SIDE] = again

    assert not judge.sees_one_horizon(again, prompt)
    assert not judge.sees_one_horizon(whole[::-1], prompt)
    assert not judge.sees_one_horizon(corner, prompt)


def test_heights_grow_from_top_to_bottom(judge: HeightJudge) -> None:
    """In the middle of a picture lies what is in the middle of single ones."""
    heights = judge.heights(view("hills", SIDE, SIDE, 70), "hills").mean(axis=1)

    assert heights[0] < 0.3
    assert 0.4 < heights[len(heights) // 2] < 0.6
    assert heights[-1] > 0.7
