"""Counting what is red, and spots that were not there."""

import numpy as np
import pytest
from PIL import Image

from tapestry_backend.bench.metrics.objects import component_sizes, red_objects, specks


def sky(side: int = 64) -> np.ndarray:
    """Blue, brighter below."""
    picture = np.zeros((side, side, 3), np.uint8)
    picture[...] = (90, 150, 235)
    picture += np.linspace(0, 20, side)[:, None, None].astype(np.uint8)
    return picture


def larger(picture: np.ndarray) -> np.ndarray:
    """Four times as large."""
    height, width = picture.shape[:2]
    size = (4 * width, 4 * height)
    return np.array(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def test_red_things_are_counted_by_their_size_in_the_picture() -> None:
    """Two, whatever else there is; as many when it becomes larger."""
    picture = sky()
    picture[8:20, 8:20] = picture[40:52, 30:36] = (200, 30, 30)
    picture[30, 30] = (200, 30, 30)
    picture[50:60, 50:60] = (230, 230, 230)

    assert red_objects(picture) == red_objects(larger(picture)) == 2
    assert red_objects(sky()) == 0


def test_a_speck_is_of_a_colour_that_is_not_near() -> None:
    """Plainly enlarged there is none; nor are grain, or a sharper outline of what is there."""
    first = sky()
    first[40:] = (60, 140, 60)
    made = larger(first)
    assert specks(made, first) == 0

    made[157:163] = (60, 140, 60)
    assert specks(made, first) == 0

    grain = np.random.default_rng(2).integers(-15, 15, (120, 256, 3))
    made[:120] = made[:120].astype(int) + grain
    assert specks(made, first) == 0

    made[40:44, 60:64] = made[80:88, 200:203] = (30, 40, 60)
    made[90, 90] = (0, 0, 0)
    assert specks(made, first) == 2


@pytest.mark.parametrize("share", [0.0, 0.4, 0.55, 0.7, 1.0])
def test_parts_are_what_hangs_together(share: float) -> None:
    """As one finds by walking from pixel to pixel."""
    mask = np.random.default_rng(3).random((30, 41)) < share

    assert sorted(component_sizes(mask).tolist()) == sorted(walked(mask.copy()))


def walked(mask: np.ndarray) -> list[int]:
    """The sizes of the parts of a mask, which is emptied."""
    sizes = []
    for start in zip(*np.nonzero(mask), strict=True):
        waiting, size = [start], 0
        while waiting:
            row, column = waiting.pop()
            if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and mask[row, column]:
                mask[row, column] = False
                size += 1
                waiting += [(row + 1, column), (row - 1, column)]
                waiting += [(row, column + 1), (row, column - 1)]
        sizes += [size] if size else []
    return sizes
