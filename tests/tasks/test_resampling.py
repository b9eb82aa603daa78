"""Pictures of another size, beside Pillow's."""

import numpy as np
import pytest
from PIL import Image

from tapestry_backend.engine.windows import Size
from tapestry_backend.tasks.resampling import resized

VALUES = np.random.default_rng(2).random((3, 23, 31), np.float32)


@pytest.mark.parametrize("how", ["box", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(46, 93), (23, 31), (50, 40), (7, 9), (1, 1), (23, 400)])
@pytest.mark.parametrize("rows", [(0.0, 23.0), (3.4, 17.9), (-2.0, 9.5), (22.0, 23.0)])
def test_each_filter_is_the_one_of_that_name(
    how: str, size: tuple[int, int], rows: tuple[float, float]
) -> None:
    """Larger, smaller, of a band that begins and ends anywhere."""
    box = (0.0, max(0.0, rows[0]), 31.0, rows[1])
    theirs = [
        np.asarray(Image.fromarray(channel).resize(size[::-1], Image.Resampling[how.upper()], box))
        for channel in VALUES
    ]

    ours = resized(VALUES, Size(*size), rows, how)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, np.stack(theirs), atol=2e-6)


def test_a_plain_picture_keeps_its_value() -> None:
    """Also at the ends."""
    ours = resized(np.full((1, 1, 1), 0.25, np.float32), Size(5, 3), (0.0, 1.0), "lanczos")
    np.testing.assert_allclose(ours, np.full((1, 5, 3), 0.25), rtol=1e-6)
