"""Seams: does the picture change more where something was joined than elsewhere.

Change is the size of second differences across a place, so an even ramp has none. It is compared
with the same at other cell borders: an autoencoder paints every latent cell a little on its own,
so places between two cells differ from places inside one, seam or no seam.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def change_across(picture: np.ndarray) -> np.ndarray:
    """Change at every place between two columns of [H, W, C]: [W + 1], 0 within two of the edges.

    Entry x belongs to the border between the columns x - 1 and x: the mean of the two second
    differences that reach over it, over rows and channels.
    """
    values = picture.astype(np.float64)
    second = np.abs(values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]).mean(axis=(0, 2))
    change = np.zeros(picture.shape[1] + 1)
    change[2:-2] = (second[1:] + second[:-1]) / 2
    return change


def seam_ratio(picture: np.ndarray, borders: Sequence[int], cell_px: int) -> float:
    """Change across the borders (columns of [H, W, C]) over that across other cell borders.

    1 = no seam. Raises ValueError where a border lies at the edge, or nothing is left to compare
    with.
    """
    change = change_across(picture)
    places = set(range(0, picture.shape[1] + 1, cell_px))
    elsewhere = [x for x in sorted(places - set(borders)) if 2 <= x <= picture.shape[1] - 2]
    if not elsewhere or not all(2 <= x <= picture.shape[1] - 2 for x in borders):
        raise ValueError(f"borders {borders} leave nothing to compare with")
    return float(change[list(borders)].mean() / change[elsewhere].mean())


def wide_ratio(picture: np.ndarray, borders: Sequence[int], side_px: int) -> float:
    """The same over more pixels: a line may be wide and faint, as where a sky takes another hue.

    Means of squares of `side_px` pixels on both sides of a place are compared. Elsewhere is where
    no square reaches over a border.
    """
    rows = picture.shape[0] // side_px * side_px
    bands = picture[:rows].astype(np.float64)
    bands = bands.reshape(-1, side_px, *picture.shape[1:]).mean(axis=1)
    sums = np.pad(np.cumsum(bands, axis=1), ((0, 0), (1, 0), (0, 0)))
    means = (sums[:, side_px:] - sums[:, :-side_px]) / side_px
    change = np.abs(means[:, side_px:] - means[:, :-side_px]).mean(axis=(0, 2))
    elsewhere = [
        value
        for x, value in enumerate(change, start=side_px)
        if all(abs(x - border) >= 2 * side_px for border in borders)
    ]
    return float(change[[x - side_px for x in borders]].mean() / np.mean(elsewhere))


def turned(picture: np.ndarray) -> np.ndarray:
    """Rows as columns, so that a seam across the height is measured like one across the width."""
    return picture.swapaxes(0, 1)


def most_visible(whole: np.ndarray, banded: np.ndarray) -> float:
    """The largest change in one picture over that in another one at the same place, both ways.

    For two pictures [H, W, C] that should be the same; 1 = no place gives away how it was made.
    """
    ratios = []
    for first, second in ((whole, banded), (turned(whole), turned(banded))):
        before, after = change_across(first)[2:-2], change_across(second)[2:-2]
        ratios.append((after / before.clip(min=1e-6)).max())
    return float(max(ratios))
