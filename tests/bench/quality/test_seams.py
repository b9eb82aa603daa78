"""The seam ratio: 1 where nothing shows, and well above it where anything does."""

import numpy as np
import pytest

from tapestry_backend.bench.metrics.seams import (
    change_across,
    most_visible,
    seam_ratio,
    turned,
    wide_ratio,
)

CELL = 8


def test_a_picture_without_joins_has_a_ratio_of_one(smooth) -> None:
    """The mean over many pictures; a single one varies by chance."""
    ratios = [seam_ratio(smooth(128, 512, seed), [64, 128, 192], CELL) for seed in range(16)]

    assert np.mean(ratios) == pytest.approx(1, abs=0.02)


def test_windows_without_fusion_fail(smooth) -> None:
    """The failing control: pieces that know nothing of each other, side by side."""
    for seed in range(4):
        pieces = [smooth(128, 128, 10 * seed + i) for i in range(4)]
        assert seam_ratio(np.concatenate(pieces, axis=1), [128, 256, 384], CELL) > 1.3


def test_plain_windows_of_the_model_side_by_side_fail(painter) -> None:
    """The same with what the model paints."""
    pieces = [painter.plain("autumn leaves", seed) for seed in range(3)]

    assert seam_ratio(np.concatenate(pieces, axis=1), [128, 256], CELL) > 1.3


def test_a_faint_step_is_found(smooth) -> None:
    """A step of 12 of 255, hardly visible, on one of the borders."""
    picture = smooth(128, 512).astype(float)
    stepped = picture.copy()
    stepped[:, 128:] += 12
    borders = [128]

    assert seam_ratio(stepped, borders, CELL) > seam_ratio(picture, borders, CELL) + 0.3


def test_another_hue_beside_a_border_is_found(smooth) -> None:
    """Colours that change over as many pixels as no column shows; elsewhere, and by chance, 1."""
    ratios = [wide_ratio(smooth(128, 512, seed), [128, 256], 12) for seed in range(16)]
    picture = smooth(128, 512).astype(float)
    other = picture + 2 * np.clip(np.arange(512) - 122, 0, 12)[None, :, None]

    assert np.mean(ratios) == pytest.approx(1, abs=0.05)
    assert seam_ratio(other, [128], CELL) == pytest.approx(seam_ratio(picture, [128], CELL))
    assert wide_ratio(other, [128], 12) > wide_ratio(picture, [128], 12) + 0.5


def test_what_every_cell_shows_is_no_seam(smooth) -> None:
    """An autoencoder's own grid lies on window borders as on all others."""
    picture = smooth(128, 512).astype(float)
    gridded = picture.copy()
    gridded[:, ::CELL] += 20

    assert seam_ratio(gridded, [64, 256], CELL) == pytest.approx(1, abs=0.1)


def test_an_even_ramp_has_no_change() -> None:
    """Second differences: a sky that darkens is not a row of seams."""
    ramp = np.broadcast_to(np.arange(64.0)[None, :, None], (8, 64, 3))

    assert np.allclose(change_across(ramp), 0)


def test_borders_at_the_edge_and_nothing_to_compare_with_are_refused(smooth) -> None:
    """There is no change across a place that has only one side."""
    with pytest.raises(ValueError, match="nothing to compare"):
        seam_ratio(smooth(16, 64), [64], CELL)
    with pytest.raises(ValueError, match="nothing to compare"):
        seam_ratio(smooth(16, 24), [8, 16], CELL)


def test_turned_measures_the_other_axis(smooth) -> None:
    """A line from left to right is a seam of the turned picture."""
    picture = smooth(128, 128).copy()
    picture[64:] = picture[64:] // 2

    assert seam_ratio(turned(picture), [64], CELL) > 1.3
    assert seam_ratio(picture, [64], CELL) < 1.3


def test_a_band_that_differs_becomes_visible(smooth) -> None:
    """Two decodes of the same thing: equal ones have 1, one with a step has more."""
    whole = smooth(64, 256).astype(float)
    banded = whole.copy()
    banded[:, 100:] += 8

    assert most_visible(whole, whole) == 1
    assert most_visible(whole, whole + 1e-3) == pytest.approx(1)
    assert most_visible(whole, banded) > 1.1
    assert most_visible(turned(whole), turned(banded)) > 1.1
