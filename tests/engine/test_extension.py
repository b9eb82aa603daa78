"""Extension: which cells are kept, how edges continue, how colours are matched."""

import pytest
import torch

from tapestry_backend.engine.extension import (
    Follow,
    continue_edges,
    find_border,
    keep_map,
    match_colours,
    pull_push,
    turn_to_middle,
)


def known_rectangle(height: int, width: int, top: int, left: int, bottom: int, right: int):
    """[H, W] bool, True inside the rectangle."""
    known = torch.zeros(height, width, dtype=torch.bool)
    known[top:bottom, left:right] = True
    return known


def test_a_cell_with_one_unknown_pixel_is_new() -> None:
    """Known cells are known as a whole; new ones follow the edge, the longer the nearer."""
    known = known_rectangle(8, 48, 0, 0, 8, 17)
    keep = keep_map(known.float(), 8, Follow(0.5, 0.2, cells=3))[0]

    assert keep.tolist() == pytest.approx([1, 1, 0.5, 0.4, 0.3, 0.2])


def test_a_cell_is_as_free_as_its_freest_pixel() -> None:
    """What is held for a part of the steps is held as long as its pixels allow."""
    hold = torch.full((8, 24), 0.7)
    hold[3, 9] = 0.4

    assert keep_map(hold, 8)[0].tolist() == pytest.approx([0.7, 0.4, 0.7])


def test_with_nothing_known_everything_is_free() -> None:
    """There is no edge to follow in an empty picture."""
    assert float(keep_map(torch.zeros(16, 16), 8, Follow(0.5, 0.2, cells=2)).max()) == 0


def test_edges_are_led_around_to_each_other() -> None:
    """Where the picture wraps: in even steps from the right edge to the left one."""
    pixels = torch.zeros(1, 3, 2, 8)
    pixels[..., 4] = 4.0
    known = known_rectangle(2, 8, 0, 2, 2, 5)
    continued = continue_edges(pixels, known, wrap=True)

    expected = [4 / 3, 2 / 3, 0, 0, 4, 10 / 3, 8 / 3, 2]
    assert continued[0, 0, 0].tolist() == pytest.approx(expected)


def test_edges_are_continued_outwards() -> None:
    """Each row's last colour goes on to the border, to both sides."""
    pixels = torch.rand(1, 3, 16, 16)
    known = known_rectangle(16, 16, 0, 4, 16, 12)
    continued = continue_edges(pixels, known)

    assert torch.equal(continued[..., 4:12], pixels[..., 4:12])
    assert torch.equal(continued[..., 0], pixels[..., 4])
    assert torch.equal(continued[..., 15], pixels[..., 11])


def test_a_hole_is_filled_from_around() -> None:
    """A hole in one colour gets this colour."""
    pixels = torch.full((1, 3, 24, 24), 0.25)
    known = torch.ones(24, 24, dtype=torch.bool)
    known[5:14, 7:20] = False

    torch.testing.assert_close(continue_edges(pixels * known, known), pixels)


def test_nothing_known_becomes_grey() -> None:
    """A fully transparent picture gives a neutral start."""
    known = torch.zeros(8, 8, dtype=torch.bool)

    assert torch.equal(continue_edges(torch.rand(1, 3, 8, 8), known), torch.zeros(1, 3, 8, 8))


def test_pull_push_keeps_what_is_known() -> None:
    """Known values stay, unknown ones lie between the smallest and the largest known one."""
    values, known = torch.rand(1, 2, 13, 29), torch.rand(13, 29) > 0.7
    filled = pull_push(values, known)

    assert torch.equal(filled[..., known], values[..., known])
    inside = values[..., known]
    assert bool((filled >= inside.min() - 1e-5).all())
    assert bool((filled <= inside.max() + 1e-5).all())


def test_a_colour_shift_is_taken_out_beside_the_border_and_fades() -> None:
    """A decoder that darkens by 0.04 is corrected beside the border and left alone far off."""
    original = torch.full((1, 3, 32, 256), 0.5)
    known = known_rectangle(32, 256, 0, 0, 32, 64)
    matched = match_colours(original - 0.04, original, known, 8)

    assert torch.equal(matched[..., :64], original[..., :64])
    assert float((matched[..., 64:68] - 0.5).abs().max()) < 0.005
    torch.testing.assert_close(matched[..., 200:], original[..., 200:] - 0.04)


def test_fine_errors_leave_no_line_at_the_border() -> None:
    """Where the decoder is wrong row by row, the first new column is corrected row by row."""
    original = torch.rand(1, 3, 64, 1, generator=torch.Generator().manual_seed(2)).expand(
        -1, -1, -1, 128
    )
    error = 0.1 * torch.sin(torch.arange(64) / 2)[:, None]
    known = known_rectangle(64, 128, 0, 0, 64, 64)
    matched = match_colours(original + error, original, known, 8)
    step = (matched - original)[..., 64].abs().mean()

    assert float(step) < 0.5 * float(error.abs().mean())
    far = (matched - original)[..., 90] - error[:, 0]
    assert float(far.abs().max()) < 0.01


def test_the_border_is_where_known_and_new_cells_meet() -> None:
    """A cell that is known in part is one of them, and so is the next one; what is far is not."""
    known = known_rectangle(8, 400, 0, 0, 8, 161)  # twenty cells, and a pixel of the next one
    border = find_border(known, 8)

    assert border is not None
    assert border.again[0].nonzero().flatten().tolist() == [*range(16, 22)]
    assert border.near == (0, 12, 1, 29)
    assert border.beyond == (0, 12, 1, 50)


@pytest.mark.parametrize("right", [0, 48])
def test_where_all_or_nothing_is_known_there_is_no_border(right: int) -> None:
    """Nothing meets anything."""
    assert find_border(known_rectangle(8, 48, 0, 0, 8, right), 8) is None


@pytest.mark.parametrize(("left", "right"), [(0, 24), (40, 64), (8, 40)])
def test_what_is_known_is_turned_to_the_middle(left: int, right: int) -> None:
    """As much is new to its left as to its right then, to a cell."""
    known = known_rectangle(8, 64, 0, left, 8, right)
    columns = known.roll(8 * turn_to_middle(known, 8), -1)[0].nonzero().flatten()

    assert int(columns[-1]) - int(columns[0]) == right - left - 1
    assert abs(int(columns[0]) - (63 - int(columns[-1]))) <= 8


def test_a_canvas_where_nothing_is_known_is_not_turned() -> None:
    """There is no middle to turn to."""
    assert turn_to_middle(torch.zeros(8, 64, dtype=torch.bool), 8) == 0
