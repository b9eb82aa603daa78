"""Detail, style, regions and horizons: good pictures pass, bad ones do not."""

import numpy as np
import pytest

from tapestry_backend.bench.metrics.detail import detail_energy, mean_ratio
from tapestry_backend.bench.metrics.horizon import fall_back, has_one_horizon
from tapestry_backend.bench.metrics.regions import intersection_over_union, whole_patches
from tapestry_backend.bench.metrics.style import crops, mean_distance, spread, style, style_unit

ROWS = np.linspace(0.1, 0.9, 64)


def test_a_blurred_picture_has_less_detail(smooth) -> None:
    """Averaging two pixels is enough to miss the goal of 0.95."""
    picture = smooth(64, 64).astype(float)
    blurred = (picture[:, 1:] + picture[:, :-1]) / 2

    assert detail_energy(blurred) < 0.9 * detail_energy(picture)
    assert detail_energy(np.full((8, 8, 3), 77)) == pytest.approx(0, abs=1e-12)


def test_detail_does_not_depend_on_the_size_of_the_canvas(smooth) -> None:
    """It is a mean: a larger picture of the same kind has the same."""
    small, large = detail_energy(smooth(64, 64)), detail_energy(smooth(128, 256, seed=1))

    assert large == pytest.approx(small, rel=0.15)


def test_ratios_have_a_geometric_mean() -> None:
    """A single soft picture among sharp ones is not hidden by one that is sharper than needed."""
    assert mean_ratio([2.0, 0.5]) == (pytest.approx(1), pytest.approx(np.log(2) / 2**0.5))
    assert mean_ratio([0.9, 0.9]) == (pytest.approx(0.9), pytest.approx(0))


def test_crops_do_not_overlap_and_leave_the_rest_out() -> None:
    """Squares in reading order."""
    numbers = np.arange(5 * 7).reshape(5, 7)

    assert [crop[0, 0] for crop in crops(numbers, 2)] == [0, 2, 4, 14, 16, 18]


def test_a_picture_that_drifts_has_a_larger_spread(smooth) -> None:
    """Colour first, texture second; the same everywhere is the least."""
    even = smooth(64, 256).astype(float)
    coloured, rough = even.copy(), even.copy()
    coloured[:, 128:] *= (1, 0.6, 0.6)
    rough[:, 128:] = 128 + 2 * (rough[:, 128:] - 128)
    unit = style_unit([smooth(64, 64, 5), smooth(64, 64, 6) // 2, 255 - smooth(64, 64, 7) // 3])

    assert spread(coloured, 64, unit) > 1.5 * spread(even, 64, unit)
    assert spread(rough, 64, unit) > 1.5 * spread(even, 64, unit)
    assert spread(np.tile(even[:, :64], (1, 4, 1)), 64, unit) == pytest.approx(0, abs=1e-9)


def test_style_tells_directions_apart() -> None:
    """Stripes down are no stripes across."""
    stripes = np.zeros((64, 64, 3))
    stripes[:, ::4] = 200

    assert not np.allclose(style(stripes), style(stripes.swapaxes(0, 1)))


def test_one_crop_has_no_spread() -> None:
    """A distance takes two."""
    with pytest.raises(ValueError, match="two crops"):
        mean_distance([np.zeros(3)])


def test_patches_across_an_edge_are_left_out() -> None:
    """A label's patches are those that lie in it whole."""
    labels = np.zeros((32, 64), dtype=int)
    labels[:, 30:] = 1
    corner, whole = whole_patches(labels, 16, 4)

    assert whole.shape == (5, 13)
    assert whole[0].tolist() == [x * 4 + 16 <= 30 or x * 4 >= 30 for x in range(13)]
    assert corner[0, 0] == 0
    assert corner[0, -1] == 1


def test_intersection_over_union() -> None:
    """Half of an area right, and what is named wrongly counts against the others as well."""
    truth = np.array([0, 0, 0, 0, 1, 1])

    assert intersection_over_union(truth, truth) == {0: 1, 1: 1}
    assert intersection_over_union(np.array([0, 0, 1, 1, 1, 1]), truth) == {0: 0.5, 1: 0.5}
    assert intersection_over_union(np.array([0, 0, -1, -1, 1, 1]), truth) == {0: 0.5, 1: 1}


def test_a_scene_that_goes_down_once_has_one_horizon() -> None:
    """From the top of a single picture to its bottom, however long it stays anywhere."""
    stretched = np.concatenate([np.full(40, 0.1), np.linspace(0.1, 0.9, 20), np.full(40, 0.9)])

    assert has_one_horizon(np.repeat(ROWS[:, None], 90, axis=1), block=30, smooth=4)
    assert has_one_horizon(np.repeat(stretched[:, None], 60, axis=1), block=30, smooth=4)


def test_scenes_on_scenes_have_more_than_one_horizon() -> None:
    """Two stacked scenes, half of one repeated, upside down, or sky alone: none of them passes."""
    again = np.concatenate([ROWS, ROWS])
    half = np.concatenate([ROWS, ROWS[32:]])
    for profile in (again, half, ROWS[::-1], ROWS[:20]):
        assert not has_one_horizon(np.repeat(profile[:, None], 60, axis=1), block=30, smooth=4)


def test_one_part_with_a_second_horizon_is_enough() -> None:
    """A wide picture is judged in parts, so that a mean cannot hide one of six."""
    heights = np.repeat(np.linspace(0.1, 0.9, 128)[:, None], 180, axis=1)
    heights[:, 60:90] = np.concatenate([ROWS, ROWS])[:, None]

    assert not has_one_horizon(heights, block=30, smooth=4)


def test_single_wrong_rows_do_not_count() -> None:
    """One row of patches that looks like sky within the ground."""
    heights = np.repeat(ROWS[:, None], 60, axis=1)
    heights[50] -= 0.3

    assert has_one_horizon(heights, block=30, smooth=4)


def test_fall_back_is_the_deepest() -> None:
    """From the lowest place so far, back up."""
    assert fall_back(np.array([0.1, 0.5, 0.3, 0.9, 0.6, 0.9])) == pytest.approx(0.3)
    assert fall_back(ROWS) == 0
