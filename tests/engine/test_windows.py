"""Windows: every cell of every canvas is covered, and crops and sums fit together."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tapestry_backend.engine.windows import (
    Size,
    Window,
    add_at,
    axis_starts,
    crop,
    native_window,
    paste,
    plan_windows,
    window_weights,
)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("stride", [8, 16])
def test_every_cell_is_covered_at_every_size(stride: int, wrap: bool) -> None:
    """From 64 to 1024 pixels in steps of one latent cell, on each axis, no cell lacks weight."""
    window = Size(16, 16)
    for length in range(8, 129):
        for canvas in (Size(16, length), Size(length, 16)):
            windows = plan_windows(canvas, window, Size(stride, stride), wrap=wrap)
            weight_sum = torch.zeros(*canvas)
            for planned, weight in zip(
                windows, window_weights(windows, canvas, wrap=wrap), strict=True
            ):
                add_at(weight_sum, planned, weight)
            assert bool((weight_sum > 0).all()), canvas


@given(st.integers(1, 300), st.integers(1, 80), st.integers(1, 90), st.booleans())
def test_starts_leave_no_gap(length: int, window: int, stride: int, wrap: bool) -> None:
    """Windows follow each other without a gap, at most a stride apart, and reach the end."""
    starts = axis_starts(length, window, stride, wrap=wrap)
    width = min(window, length)

    assert starts[0] == 0
    assert all(0 < b - a <= min(stride, width) for a, b in pairwise(starts))
    assert starts[-1] + width >= length
    assert wrap or starts[-1] + width == length


@pytest.mark.parametrize(
    "size", [Size(768, 1344), Size(832, 1216), Size(1024, 960), Size(512, 2048)]
)
@pytest.mark.parametrize("step", [2, 4])
def test_sizes_that_models_are_trained_with_are_one_window(size: Size, step: int) -> None:
    """Stable Diffusion XL's own sizes besides its square, lying and standing."""
    for canvas in (Size(*(px // 8 for px in size)), Size(*(px // 8 for px in size[::-1]))):
        assert native_window(canvas, 128, step) == canvas


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([1, 2, 4, 8]))
def test_a_window_is_no_larger_than_the_model_paints_well(
    height: int, width: int, step: int
) -> None:
    """About its area at most, sides that are halved evenly, and none below half of the square's."""
    canvas = Size(height, width)
    window = native_window(canvas, 64, step)

    assert all(side % step == 0 and side >= 32 for side in window)
    assert max(window) <= 5 * min(window)
    assert window.height * window.width <= 1.25 * 64**2 + step * min(window)
    if min(canvas) >= 64:
        assert window == Size(64, 64)
    else:
        assert min(window) < max(min(canvas), 32) + step


def test_a_low_canvas_is_not_padded_to_a_square() -> None:
    """Rows that would be thrown away are not painted: a long panorama of half a window's height."""
    canvas = Size(64, 2048)
    window = native_window(canvas, 128, 4)

    assert window == Size(64, 256)
    assert len(plan_windows(canvas, window, Size(32, 128))) == 15


def test_a_canvas_hardly_larger_than_a_window_is_one() -> None:
    """Two windows would see nearly the same; what is larger gets windows of the native area."""
    assert native_window(Size(96, 212), 128, 4) == Size(96, 212)
    assert native_window(Size(96, 216), 128, 4) == Size(96, 172)


def test_a_window_is_not_longer_than_the_model_can_see() -> None:
    """Stable Diffusion 3 knows so many places along a side."""
    assert native_window(Size(64, 2048), 128, 4, longest=193) == Size(64, 192)


def test_one_window_weighs_exactly_one() -> None:
    """A canvas of one window has the weight 1 everywhere, so fusing changes no bit."""
    (weight,) = window_weights([Window(0, 0, 16, 16)], Size(16, 16))

    assert torch.equal(weight, torch.ones(16, 16))


def test_crop_and_sum_go_around_the_edge() -> None:
    """A window that wraps reads and writes the columns of the other side."""
    canvas = torch.arange(6.0).repeat(2, 1)
    window = Window(0, 4, 2, 8)

    assert crop(canvas, window)[0].tolist() == [4, 5, 0, 1]
    total = torch.zeros(2, 6)
    add_at(total, window, torch.ones(2, 4))
    assert total[0].tolist() == [1, 1, 0, 0, 1, 1]
    paste(total, window, torch.tensor([2.0, 3, 4, 5]).repeat(2, 1))
    assert total.tolist() == [[4, 5, 0, 0, 2, 3]] * 2


@pytest.mark.parametrize("sizes", [(0, 8, 4), (8, 0, 4), (8, 8, 0)])
def test_senseless_sizes_are_refused(sizes: tuple[int, int, int]) -> None:
    """Nothing is planned for a length, window or stride of zero."""
    with pytest.raises(ValueError, match="positive"):
        axis_starts(*sizes)
